"""Exploratory actions of a training step, and what a replay keeps of the distribution that they came from."""

import torch
from torch import Tensor

from virel_deep.agent.interfaces import Agent
from virel_deep.axes import categorical
from virel_deep.axes.interfaces import Draw
from virel_deep.axes.posterior import tanh_gaussian
from virel_deep.networks.perceptron import Floats


def explore(
    agent: Agent, rows: Floats, noise: Floats, *, uniform: bool, observation: Floats | None = None
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
