"""Builders of values."""

from collections.abc import Callable
from typing import Any

from virel_deep.axes import advantage, multistep, value
from virel_deep.axes.builders.sizes import Sizes
from virel_deep.axes.interfaces import Value
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.model.model_q import ModelQ
from virel_deep.design import model, on_policy, parts


def _target_q(settings: parts.TargetQ, of: Sizes) -> Value:
    critic, target = (of.network(settings.critics, of.n_observation + of.n_action, 1) for _ in range(2))
    gamma, evaluation = of.algorithm.gamma, settings.evaluation
    if settings.steps == 1:
        return value.TargetQ(critic, target, gamma=gamma, evaluation=evaluation)
    if settings.trace is None:
        return multistep.NStep(critic, target, gamma=gamma, evaluation=evaluation)
    n, trace = settings.steps, settings.trace
    return multistep.Retrace(critic, target, steps=n, trace=trace, gamma=gamma, evaluation=evaluation)


def _v_network(settings: parts.VNetwork, of: Sizes) -> Value:
    critic = of.network(settings.critics, of.n_observation + of.n_action, 1)
    v, target = (of.network(1, of.n_observation, 1) for _ in range(2))
    return value.VNetwork(critic, v, target, gamma=of.algorithm.gamma, evaluation=settings.evaluation)


def _advantage(settings: on_policy.Advantage, of: Sizes) -> Value:
    v, soft = of.network(1, of.n_observation, 1), settings.evaluation == "soft"
    return advantage.Advantage(v, steps=settings.steps, gamma=of.algorithm.gamma, soft=soft)


def _model(settings: model.Model, of: Sizes) -> Value:
    history, outputs = of.n_observation + of.n_action, 2 * (of.n_observation + 1) + 1
    critic, target = (of.network(settings.critics, history, 1) for _ in range(2))
    elites = settings.members if settings.elites is None else settings.elites
    world = Ensemble(of.network(settings.members, history, outputs), of.n_observation, elites=elites)
    return ModelQ(settings, critic, target, world, n_action=of.n_action, gamma=of.algorithm.gamma)


VALUES: dict[type, Callable[[Any, Sizes], Value]] = {
    parts.TargetQ: _target_q,
    parts.VNetwork: _v_network,
    on_policy.Advantage: _advantage,
    model.Model: _model,
}
"""Functions that build a part from its settings, by the settings' class."""
