"""Which road an algorithm's update takes: by hand where every one of its parts has gradients written out."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from virel_deep.agent.fused import ByHand, DeterministicByHand, FusedAgent, GaussianByHand
from virel_deep.agent.general import GeneralAgent
from virel_deep.agent.interfaces import Agent
from virel_deep.design import parts
from virel_deep.design.algorithm import Algorithm

BY_HAND: dict[type, Callable[[Any], ByHand]] = {
    parts.TanhGaussian: GaussianByHand,
    parts.Deterministic: DeterministicByHand,
}
"""Gradients written out, by kind of posterior."""
OTHER_PARTS = {
    parts.TargetQ, parts.VNetwork,
    parts.Uniform,
    parts.Constant, parts.Residual, parts.Dual, parts.Zero,
    parts.Replay,
}  # fmt: skip
"""Kinds of the other parts that the update by hand knows."""


def fused(algorithm: Algorithm) -> bool:
    """Whether the update by hand knows every part of an algorithm."""
    kinds = {type(part) for part in algorithm.parts.values()}
    return kinds <= OTHER_PARTS | BY_HAND.keys()


def make_agent(
    algorithm: Algorithm,
    n_observation: int,
    n_action: int,
    generators: Sequence[torch.Generator],
    *,
    device: torch.device,
    general: bool = False,
) -> Agent:
    """K agents of an algorithm, one per generator: by hand where that is known, else on the general road.

    Args:
        algorithm: parts and shared settings.
        n_observation: O.
        n_action: A.
        generators: one per seed, for the initial weights.
        device: where everything lives.
        general: take the general road in any case; for comparisons.
    """
    if general or not fused(algorithm):
        return GeneralAgent(algorithm, n_observation, n_action, generators, device=device)
    by_hand = BY_HAND[type(algorithm.posterior)]
    return FusedAgent(algorithm, n_observation, n_action, generators, by_hand=by_hand, device=device)
