"""Exploratory actions of a training step, and what a replay keeps of the distribution that they came from."""

from virel_deep.agent.interfaces import Agent
from virel_deep.axes.posterior.tanh_gaussian import behave_uniformly
from virel_deep.networks.perceptron import Floats


def explore(
    agent: Agent, rows: Floats, noise: Floats, *, uniform: bool, observation: Floats | None = None
) -> Floats:
    """Actions `[K, E, A]` in [-1, 1] for the observations in `rows`, whose tails are filled in.

    Args:
        agent: agent of all seeds.
        rows: rows of the replay `[K, E, width]`, of which the observations are known.
        noise: the actions themselves `[K, E, A]` if `uniform`, else what the agent's `acting` declares.
        observation: observations `[K, E, O]` as the networks see them; None: as they are in the rows.
        uniform: whether actions are uniform, as during warm-up.
    """
    columns = agent.columns
    observation = rows[..., columns.observation] if observation is None else observation
    if columns.pre is None:
        return noise if uniform else agent.act(observation, noise)
    behaviour = behave_uniformly(noise) if uniform else agent.behave(observation, noise)
    rows[..., columns.pre] = behaviour.pre
    rows[..., columns.log_density] = behaviour.log_density
    return behaviour.action
