"""Builders of posteriors, which may draw on the prior."""

from collections.abc import Callable
from typing import Any

from virel_deep.axes.builders.sizes import Sizes
from virel_deep.axes.interfaces import Posterior, Prior
from virel_deep.axes.posterior import taken
from virel_deep.axes.posterior.categorical import Categorical, Enumerated
from virel_deep.axes.posterior.deterministic import Deterministic
from virel_deep.axes.posterior.iterative import Iterative
from virel_deep.axes.posterior.latent import LatentCategorical, LatentGaussian
from virel_deep.axes.posterior.reweighted import Reweighted
from virel_deep.axes.posterior.smc import Smc
from virel_deep.axes.posterior.stein import Stein
from virel_deep.axes.posterior.taken import Score, TopShare
from virel_deep.axes.posterior.tanh_gaussian import TanhGaussian
from virel_deep.axes.posterior.tilted import Tilted
from virel_deep.axes.prior import categorical, latent, policy
from virel_deep.design import discrete, improvement, inference, model, on_policy, parts, priors
from virel_deep.design import hierarchy as levels


def _tanh_gaussian(settings: parts.TanhGaussian, of: Sizes, _: Prior) -> Posterior:
    return TanhGaussian(settings, of.network(1, of.n_observation, 2 * of.n_action))


def _deterministic(settings: parts.Deterministic, of: Sizes, _: Prior) -> Posterior:
    policy, target = (of.network(1, of.n_observation, of.n_action) for _ in range(2))
    return Deterministic(settings, policy, target)


def _weighted(settings: improvement.Weighted, of: Sizes, prior: Prior) -> Posterior:
    assert isinstance(prior, policy.Learned)
    return Reweighted(settings, prior, of.n_action)


def _iterative(settings: inference.Iterative, of: Sizes, _: Prior) -> Posterior:
    policy = of.network(1, of.n_observation + 4 * of.n_action, 4 * of.n_action)
    prior = of.algorithm.prior
    return Iterative(settings, policy, first_std=prior.std if isinstance(prior, inference.Fixed) else 1.0)


def _stein(settings: inference.Stein, of: Sizes, _: Prior) -> Posterior:
    return Stein(settings, of.network(1, of.n_observation + of.n_action, of.n_action))


def _smc(settings: model.Smc, of: Sizes, _: Prior) -> Posterior:
    soft, policy = of.algorithm.value.evaluation == "soft", of.network(1, of.n_observation, 2 * of.n_action)
    return Smc(settings, policy, gamma=of.algorithm.gamma, soft=soft)


def _categorical(_: discrete.Categorical, of: Sizes, __: Prior) -> Posterior:
    return Categorical(of.network(1, of.n_observation, of.n_action))


def _enumerated(settings: discrete.Enumerated, _: Sizes, prior: Prior) -> Posterior:
    assert isinstance(prior, categorical.Learned)
    return Enumerated(prior, weights=settings.weights)


def _tilted(_: priors.Tilted, of: Sizes, prior: Prior) -> Posterior:
    return Tilted(of.n_action, at_next=not prior.networks)


def _latent(settings: levels.Latent, of: Sizes, prior: Prior) -> Posterior:
    assert isinstance(prior, latent.Latent)
    return LatentGaussian(of.network(1, of.n_observation, settings.latents), prior, of.n_action)


def _latent_categorical(settings: levels.LatentCategorical, of: Sizes, prior: Prior) -> Posterior:
    assert isinstance(prior, latent.Latent)
    return LatentCategorical(of.network(1, of.n_observation, settings.latents), prior)


def _top_share(settings: on_policy.TopShare, of: Sizes, _: Prior) -> Posterior:
    return TopShare(settings.keep, taken.gaussian(of.n_action))


def _score(_: on_policy.Score, of: Sizes, __: Prior) -> Posterior:
    return Score(of.network(1, of.n_observation, 2 * of.n_action), taken.gaussian(of.n_action))


def _score_categorical(_: discrete.ScoreCategorical, of: Sizes, __: Prior) -> Posterior:
    return Score(of.network(1, of.n_observation, of.n_action), taken.CHOICE)


POSTERIORS: dict[type, Callable[[Any, Sizes, Prior], Posterior]] = {
    parts.TanhGaussian: _tanh_gaussian,
    parts.Deterministic: _deterministic,
    improvement.Weighted: _weighted,
    inference.Iterative: _iterative,
    inference.Stein: _stein,
    model.Smc: _smc,
    discrete.Categorical: _categorical,
    discrete.Enumerated: _enumerated,
    discrete.TopShareCategorical: lambda settings, _, __: TopShare(settings.keep, taken.CHOICE),
    discrete.ScoreCategorical: _score_categorical,
    priors.Tilted: _tilted,
    levels.Latent: _latent,
    levels.LatentCategorical: _latent_categorical,
    on_policy.TopShare: _top_share,
    on_policy.Score: _score,
}
"""Functions that build a part from its settings, by the settings' class."""
