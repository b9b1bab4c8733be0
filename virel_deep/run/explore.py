"""Exploratory actions of a training step, and what a replay keeps of the distribution that they came from."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.agent.build import make_agent
from virel_deep.agent.interfaces import Agent
from virel_deep.axes.interfaces import Draw
from virel_deep.axes.posterior.tanh_gaussian import behave_uniformly
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.perceptron import Floats
from virel_deep.streams import generator


def explore(agent: Agent, rows: Floats, noise: Floats, *, uniform: bool) -> Floats:
    """Actions `[K, E, A]` in [-1, 1] for the observations in `rows`, whose tails are filled in.

    Args:
        agent: agent of all seeds.
        rows: rows of the replay `[K, E, width]`, of which the observations are known.
        noise: the actions themselves `[K, E, A]` if `uniform`, else what the agent's `acting` declares.
        uniform: whether actions are uniform, as during warm-up.
    """
    columns = agent.columns
    observation = rows[..., columns.observation]
    if columns.pre is None:
        return noise if uniform else agent.act(observation, noise)
    behaviour = behave_uniformly(noise) if uniform else agent.behave(observation, noise)
    rows[..., columns.pre] = behaviour.pre
    rows[..., columns.log_density] = behaviour.log_density
    return behaviour.action


class Explorer:
    """Exploratory policy of one seed, which acts as in training after the warm-up.

    Args:
        algorithm: settings of the run.
        state: the seed's agent, as a checkpoint has it.
        n_observation: O.
        seed: seed of the random numbers; the same calls in the same order give the same actions.
    """

    def __init__(self, algorithm: Algorithm, state: Mapping[str, Any], n_observation: int, seed: int) -> None:
        """Build an agent of one seed, and restore it."""
        weights = [generator(seed, "weights")]  # overwritten at once
        n_action, device = state["n_action"], torch.device("cpu")
        self._agent = make_agent(algorithm, n_observation, n_action, weights, device=device)
        self._agent.load_seed_state(0, dict(state))
        self._source = generator(seed, "exploring")

    def act(self, observation: Floats) -> Floats:
        """Exploratory actions `[N, A]` in [-1, 1] at `observation [N, O]`."""
        noise = torch.empty(1, len(observation), self._agent.acting.width)
        fill(noise, self._agent.acting, self._source)
        action: Floats = self._agent.act(observation[None], noise.numpy())[0]
        return action


def fill(out: Tensor, draw: Draw, source: torch.Generator) -> None:
    """Fill a tensor with random numbers of a law."""
    if draw.law == "normal":
        out.normal_(generator=source)
    else:
        out.uniform_(generator=source)
