"""What model-based algorithms share: the critic on the true MDP, and its expansion through a model."""

from collections.abc import Callable

from virel_common.errors import require
from virel_theory.checks import Array, as_probability
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.regularised import back_up, regularised_value
from virel_theory.variational.parts.expansion import (
    expanded_action_value,
    expanded_value,
    perturbed_model,
    require_model,
    require_steps,
)

Expansion = Callable[..., Array]
"""Function `(v, *, pi, prior, alpha)` to action values `[S, A]`."""


def critic(mdp: TabularMDP, v: Array, *, pi: Array, prior: Array, alpha: float, sweeps: int | None) -> Array:
    """Regularised value `[S]` of a policy: exact if `sweeps` is None, else so many backups of `v`."""
    if sweeps is None:
        return regularised_value(mdp, pi=pi, prior=prior, alpha=alpha)
    return expanded_value(mdp, v, pi=pi, prior=prior, alpha=alpha, steps=sweeps)


def model_or_perturbed(mdp: TabularMDP, model: TabularMDP | None, *, noise: float, seed: int) -> TabularMDP:
    """Return the model, checked against the MDP; None stands for the MDP itself, perturbed by `noise`."""
    perturbed = perturbed_model(mdp, noise=noise, seed=seed)
    if model is None:
        return perturbed
    require(perturbed is mdp, "noise", noise, "must be 0 if a `model` is given")
    require_model(mdp, model)
    return model


def expansion(mdp: TabularMDP, model: TabularMDP, horizon: int, trace: float) -> Expansion:
    """Expansion through `horizon` steps of the model; for 0 the model-free backup of the MDP."""
    require_steps(horizon, name="horizon")
    weight = as_probability(trace, name="trace")
    if horizon == 0:
        return lambda v, **_: back_up(mdp, v)

    def through_model(v: Array, *, pi: Array, prior: Array, alpha: float) -> Array:
        return expanded_action_value(model, v, pi=pi, prior=prior, alpha=alpha, steps=horizon, trace=weight)

    return through_model
