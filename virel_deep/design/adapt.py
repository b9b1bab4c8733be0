"""Which parts an algorithm has where actions are discrete, and whether it suits an environment at all."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from virel_common.errors import require
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.discrete import (
    Categorical,
    Enumerated,
    LearnedCategorical,
    PreviousCategorical,
    ScoreCategorical,
    TopShareCategorical,
)
from virel_deep.design.fields import Part
from virel_deep.design.hierarchy import Latent, LatentCategorical
from virel_deep.design.improvement import Learned, Previous, TrustRegion, Weighted
from virel_deep.design.inference import Iterative, Stein
from virel_deep.design.model import Model
from virel_deep.design.on_policy import Score, TopShare
from virel_deep.design.parts import Deterministic, Posterior, TanhGaussian
from virel_deep.design.priors import Asymmetric, AsymmetricCategorical, Tilted


def _trust(of: TrustRegion) -> dict[str, Any]:
    """Settings of the one bound of a categorical policy, which are those of the bound by mean."""
    return {"trust": of.trust_mean, "price": of.price_mean, "price_rate": of.price_rate}


COUNTERPARTS: dict[type, Callable[[Any], Any]] = {
    TanhGaussian: lambda _: Categorical(),
    Weighted: lambda posterior: Enumerated(weights=posterior.weights),
    TopShare: lambda posterior: TopShareCategorical(keep=posterior.keep),
    Score: lambda _: ScoreCategorical(),
    Stein: lambda _: Tilted(),
    Latent: lambda posterior: LatentCategorical(latents=posterior.latents),
    Learned: lambda prior: LearnedCategorical(**_trust(prior)),
    Previous: lambda prior: PreviousCategorical(**_trust(prior)),
    Asymmetric: lambda prior: AsymmetricCategorical(prior.blind, prior.blind_last, prior.frozen),
}
"""Part for discrete actions that stands for a part for continuous ones, by its kind.

Penalties on a mean and a deviation, numbers of samples, a decoupled likelihood and the bound by spread have
no counterpart: there is no mean, no sampling and no spread.
"""
NONE: dict[type, str] = {
    Model: "its rollouts need a posterior of continuous actions",
    Deterministic: "it is improved by the gradient of Q in the action",
    Iterative: "the best posterior over them, softmax(Q / alpha), is a formula: there is nothing to infer",
}
"""Reason why a value or a posterior for continuous actions has no counterpart, by its kind."""


def discrete_form(algorithm: Algorithm) -> Algorithm:
    """Algorithm with the parts that it has where actions are discrete; the others stay.

    Raises:
        InputError: its value or its posterior has no such part.

    Example:
        >>> from virel_deep.design.presets import PRESETS
        >>> of = discrete_form(PRESETS["mpo"].algorithm)
        >>> of.posterior.kind, of.prior
        ('enumerated', LearnedCategorical(trust=0.1, price=10.0, price_rate=0.01))
    """
    if (found := continuous_alone(algorithm)) is not None:
        part, reason = found
        rule = f"must be one with a counterpart for discrete actions ({reason})"
        require(False, part.axis, part.kind, rule)
    posterior, prior = map(_counterpart, (algorithm.posterior, algorithm.prior))
    return replace(algorithm, posterior=posterior, prior=prior)


def continuous_alone(algorithm: Algorithm) -> tuple[Part, str] | None:
    """Part that has no counterpart for discrete actions, with the reason; None if every part has one."""
    for part in (algorithm.value, algorithm.posterior):
        if type(part) in NONE:
            return part, NONE[type(part)]
    posterior = algorithm.posterior
    return None if _counterpart(posterior).discrete else (posterior, "it has none")


def _counterpart(part: Any) -> Any:
    """Part for discrete actions that stands for another; a part that has none stays."""
    return COUNTERPARTS.get(type(part), lambda same: same)(part)


def require_suited(algorithm: Algorithm, env: str, *, discrete: bool) -> None:
    """Raise `InputError` unless the algorithm's posterior is for the actions that an environment has.

    Args:
        algorithm: what is to act.
        env: id of the environment, for the message.
        discrete: whether its actions are.
    """
    posterior = algorithm.posterior
    known = [name for name, kind in Posterior.kinds.items() if getattr(kind, "discrete", False) == discrete]
    actions = "discrete" if discrete else "continuous"
    rule = f"must be one of {', '.join(known)} for the {actions} actions of {env}"
    require(posterior.discrete == discrete, "posterior", posterior.kind, rule)
