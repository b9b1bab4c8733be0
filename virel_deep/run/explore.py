"""Exploratory actions of a training step with what a replay keeps of them, and actors that explore alike."""

import numpy as np
import torch
from torch import Tensor

from virel_deep.agent.build import make_agent
from virel_deep.agent.stacked import StackedAgent
from virel_deep.axes import categorical
from virel_deep.axes.interfaces import Draw
from virel_deep.axes.posterior import tanh_gaussian
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.perceptron import Floats
from virel_deep.run.actors import SeedState


def explore(
    agent: StackedAgent, rows: Floats, noise: Floats, *, uniform: bool, observation: Floats | None = None
) -> Floats:
    """Actions `[K, E, A]` for the observations in `rows`, whose tails are filled in.

    Args:
        agent: agent of all seeds.
        rows: rows of the replay `[K, E, width]`, of which the observations are known.
        noise: numbers `[K, E, A]` uniform in [-1, 1] if `uniform`, else what the agent's `acting` declares.
        observation: observations `[K, E, O]` as the networks see them; None: as they are in the rows.
        uniform: whether actions are uniform, as during warm-up.
    """
    columns = agent.columns
    observation = rows[..., columns.observation] if observation is None else observation
    if columns.log_density is None and not uniform:
        return agent.act(observation, noise)
    if columns.log_density is None and not agent.discrete:
        return noise
    uniformly = categorical.behave_uniformly if agent.discrete else tanh_gaussian.behave_uniformly
    behaviour = uniformly(noise) if uniform else agent.behave(observation, noise)
    if columns.pre is not None:
        rows[..., columns.pre] = behaviour.pre
    if columns.log_density is not None:
        rows[..., columns.log_density] = behaviour.log_density
    return behaviour.action


def fill(out: Tensor, draw: Draw, source: torch.Generator) -> None:
    """Fill a tensor with random numbers of a law."""
    if draw.law == "normal":
        out.normal_(generator=source)
    else:
        out.uniform_(generator=source)


class Explorer:
    """Policy of one seed that draws its actions as training does after the warm-up.

    Args:
        algorithm: algorithm of the policy.
        state: the seed's agent, as a checkpoint has it.
        source: source of the random numbers; it is not advanced.
    """

    def __init__(self, algorithm: Algorithm, state: SeedState, source: np.random.SeedSequence) -> None:
        """Build an agent of one seed, restore it, and start the random numbers."""
        self._source = torch.Generator().manual_seed(int(source.generate_state(1)[0]))
        n_action, device = state["n_action"], torch.device("cpu")
        # a policy network may read more than the observation, a critic reads that and the action
        by_critic = "critic" in state
        n_input = state["critic" if by_critic else "policy"]["0.weight"].shape[-2]
        n_observation = n_input - n_action if by_critic else n_input
        weights = [torch.Generator()]  # overwritten at once
        self._agent = make_agent(algorithm, n_observation, n_action, weights, device=device)
        self._agent.load_seed_state(0, dict(state))

    def act(self, observation: Floats) -> Floats:
        """Exploratory actions `[N, A]` at `observation [N, O]`: in [-1, 1], or one-hot."""
        noise = torch.empty(1, len(observation), self._agent.acting.width)
        fill(noise, self._agent.acting, self._source)
        action: Floats = self._agent.act(observation[None], noise.numpy())[0]
        return action
