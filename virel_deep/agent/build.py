"""Choice of an agent's update: hand-written gradients if all of its parts have them, else autograd."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from virel_deep.agent.fused import ByHand, DeterministicByHand, FusedAgent, GaussianByHand
from virel_deep.agent.general import GeneralAgent
from virel_deep.agent.stacked import StackedAgent
from virel_deep.design import data, parts, temperature
from virel_deep.design.algorithm import Algorithm

BY_HAND: dict[type, Callable[[Any], ByHand]] = {
    parts.TanhGaussian: GaussianByHand,
    parts.Deterministic: DeterministicByHand,
}
"""Classes of hand-written gradients, by kind of posterior."""
OTHER_PARTS = {
    parts.TargetQ, parts.VNetwork,
    parts.Uniform,
    temperature.Constant, temperature.Residual, temperature.Dual, temperature.Zero,
    data.Replay,
}  # fmt: skip
"""Kinds of the other parts that the update with hand-written gradients supports."""


def fused(algorithm: Algorithm) -> bool:
    """Whether every part of an algorithm has hand-written gradients, so that autograd is not needed.

    They are written for one action per state, policies that are evaluated as they are, targets of one step,
    averaged target networks, and gradients as long as they are.
    """
    kinds = {type(part) for part in algorithm.parts.values()}
    one_action = getattr(algorithm.posterior, "samples", 1) == 1 and algorithm.value.evaluation != "optimal"
    plain = one_action and algorithm.value.window == 1 and algorithm.target_period == 0
    plain = plain and algorithm.gradient_norm is None
    return plain and kinds <= OTHER_PARTS | BY_HAND.keys()


def make_agent(
    algorithm: Algorithm,
    n_observation: int,
    n_action: int,
    generators: Sequence[torch.Generator],
    *,
    device: torch.device,
    general: bool = False,
) -> StackedAgent:
    """Make K agents, one per random generator, updated by hand-written gradients if possible, else autograd.

    Args:
        algorithm: parts and shared settings.
        n_observation: O.
        n_action: A.
        generators: one per seed, for the initial weights.
        device: where everything lives.
        general: whether to use autograd in any case, for comparisons.
    """
    if general or not fused(algorithm):
        return GeneralAgent(algorithm, n_observation, n_action, generators, device=device)
    by_hand = BY_HAND[type(algorithm.posterior)]
    return FusedAgent(algorithm, n_observation, n_action, generators, by_hand=by_hand, device=device)
