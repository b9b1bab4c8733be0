"""Builders of priors."""

from collections.abc import Callable
from typing import Any

from virel_deep.axes.builders.sizes import Sizes
from virel_deep.axes.interfaces import Prior
from virel_deep.axes.posterior import levels as densities
from virel_deep.axes.prior import blind, categorical, latent, policy
from virel_deep.axes.prior.constant import Fixed, Uniform
from virel_deep.axes.prior.previous import Previous
from virel_deep.design import discrete, improvement, inference, parts, priors
from virel_deep.design import hierarchy as levels


def _uniform(_: parts.Uniform, __: Sizes) -> Prior:
    return Uniform()


def _fixed(settings: inference.Fixed, _: Sizes) -> Prior:
    return Fixed(settings)


def _learned(settings: improvement.Learned, of: Sizes) -> Prior:
    network, target = (of.network(1, of.n_observation, 2 * of.n_action) for _ in range(2))
    return policy.Learned(settings, network, target)


def _previous(settings: improvement.Previous, of: Sizes) -> Prior:
    return Previous(settings, policy.PolicyPrior(of.network(1, of.n_observation, 2 * of.n_action)))


def _learned_categorical(settings: discrete.LearnedCategorical, of: Sizes) -> Prior:
    policy, target = (of.network(1, of.n_observation, of.n_action) for _ in range(2))
    return categorical.Learned(settings, policy, target)


def _previous_categorical(settings: discrete.PreviousCategorical, of: Sizes) -> Prior:
    return Previous(settings, categorical.Lagging(of.network(1, of.n_observation, of.n_action)))


def _distilled(settings: priors.Distilled, of: Sizes) -> Prior:
    sight = blind.Sight(settings, of.n_observation, device=of.device)
    network = of.network(1, len(sight.entries), of.n_action)
    return blind.Categorical(settings, network, None, sight, exponent=settings.exponent)


def _asymmetric(settings: priors.Asymmetric, of: Sizes) -> Prior:
    sight = blind.Sight(settings, of.n_observation, device=of.device)
    network, target = (of.network(1, len(sight.entries), 2 * of.n_action) for _ in range(2))
    return blind.TanhGaussian(settings, network, target, sight)


def _asymmetric_categorical(settings: priors.AsymmetricCategorical, of: Sizes) -> Prior:
    sight = blind.Sight(settings, of.n_observation, device=of.device)
    network, target = (of.network(1, len(sight.entries), of.n_action) for _ in range(2))
    return blind.Categorical(settings, network, target, sight)


def _latent_prior(settings: levels.LatentPrior, of: Sizes) -> Prior:
    sight, posterior = blind.Sight(settings, of.n_observation, device=of.device), of.algorithm.posterior
    assert isinstance(posterior, levels.Hierarchy)
    n_low = of.n_action if posterior.discrete else 2 * of.n_action
    network, target = (of.network(1, len(sight.entries), posterior.latents) for _ in range(2))
    low = of.network(1, len(sight.entries), posterior.latents * n_low)
    form = densities.CHOICES if posterior.discrete else densities.SQUASHED
    first = form.first(posterior.latents, of.n_action).to(of.device)
    return latent.Latent(settings, network, target, low, sight, form=form, first=first)


PRIORS: dict[type, Callable[[Any, Sizes], Prior]] = {
    parts.Uniform: _uniform,
    improvement.Learned: _learned,
    improvement.Previous: _previous,
    inference.Fixed: _fixed,
    discrete.LearnedCategorical: _learned_categorical,
    discrete.PreviousCategorical: _previous_categorical,
    priors.Distilled: _distilled,
    priors.Asymmetric: _asymmetric,
    priors.AsymmetricCategorical: _asymmetric_categorical,
    levels.LatentPrior: _latent_prior,
}
"""Functions that build a part from its settings, by the settings' class."""
