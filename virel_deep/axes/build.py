"""Build an algorithm's torch parts from its settings; only this module maps settings to classes.

Each table has a builder per kind of part. A new part is a class in `design/parts.py`, its tensor code in a
file of this folder, and a line here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from virel_deep.axes import (
    advantage,
    budget,
    multistep,
    temperature,
    value,
)
from virel_deep.axes.interfaces import (
    Expanding,
    Objective,
    Posterior,
    Prior,
    Remembering,
    Temperature,
    Value,
)
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.model.model_q import ModelQ
from virel_deep.axes.posterior import levels as densities
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
from virel_deep.axes.prior import blind, categorical, latent, policy
from virel_deep.axes.prior.constant import Fixed, Uniform
from virel_deep.design import discrete, improvement, inference, model, on_policy, parts, priors
from virel_deep.design import hierarchy as levels
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.network import Network


@dataclass(frozen=True)
class Sizes:
    """Input of every builder of a part: the algorithm's settings, the tensor sizes and the device."""

    algorithm: Algorithm
    seeds: int
    """Number of seeds, K."""
    n_observation: int
    """Number of entries of an observation, O."""
    n_action: int
    """Number of entries of an action, A."""
    device: torch.device

    def network(self, heads: int, n_in: int, n_out: int) -> Network:
        """Make a network with the algorithm's hidden sizes, all weights zero."""
        return Network(self.seeds, heads, (n_in, *self.algorithm.hidden, n_out), device=self.device)


class Parts(NamedTuple):
    """Bundle of the four torch parts of an algorithm: value, posterior, prior and temperature."""

    value: Value
    posterior: Posterior
    prior: Prior
    temperature: Temperature

    @property
    def objective(self) -> Objective:
        """Objective of the posterior at any state, with the critics and temperature as they are now."""
        value, alpha = self.value, self.temperature.alpha
        if not isinstance(value, Expanding):
            return Objective(value.q_of, self.prior, alpha)
        return Objective(value.q_of, self.prior, alpha, value.world, value.networks["critic"])

    @property
    def remembering(self) -> dict[str, Remembering]:
        """Value and posterior under the names that their memory has in a checkpoint, if they have one."""
        parts = {"value_memory": self.value, "posterior_memory": self.posterior}
        return {name: part for name, part in parts.items() if isinstance(part, Remembering)}


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


def _uniform(_: parts.Uniform, __: Sizes) -> Prior:
    return Uniform()


def _fixed(settings: inference.Fixed, _: Sizes) -> Prior:
    return Fixed(settings)


def _learned(settings: improvement.Learned, of: Sizes) -> Prior:
    network, target = (of.network(1, of.n_observation, 2 * of.n_action) for _ in range(2))
    return policy.Learned(settings, network, target)


def _previous(settings: improvement.Previous, of: Sizes) -> Prior:
    return policy.Previous(settings, of.network(1, of.n_observation, 2 * of.n_action))


def _learned_categorical(settings: discrete.LearnedCategorical, of: Sizes) -> Prior:
    policy, target = (of.network(1, of.n_observation, of.n_action) for _ in range(2))
    return categorical.Learned(settings, policy, target)


def _previous_categorical(settings: discrete.PreviousCategorical, of: Sizes) -> Prior:
    return categorical.Previous(settings, of.network(1, of.n_observation, of.n_action))


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


def _constant(settings: parts.Constant, of: Sizes) -> Temperature:
    return temperature.ConstantTemperature(settings.alpha, of.seeds, device=of.device)


def _zero(_: parts.Zero, of: Sizes) -> Temperature:
    return temperature.ConstantTemperature(0.0, of.seeds, device=of.device)


def _residual(settings: parts.Residual, of: Sizes) -> Temperature:
    if settings.scale == "auto":
        return temperature.RewardTemperature(settings, of.seeds, of.algorithm.gamma, device=of.device)
    return temperature.ResidualTemperature(settings, of.seeds, device=of.device)


def _dual(settings: parts.Dual, of: Sizes) -> Temperature:
    return temperature.DualTemperature(
        settings.initial,
        of.seeds,
        _target_entropy(settings, of),
        of.algorithm.learning_rate,
        budget=not of.algorithm.prior.means_entropy,
        device=of.device,
    )


def _target_entropy(settings: parts.Dual, of: Sizes) -> float:
    """Entropy that a dual temperature is tuned to; of a normalised prior, minus the KL budget."""
    if of.algorithm.prior.means_entropy:
        given = settings.target_entropy
        return of.algorithm.posterior.entropy_target(of.n_action) if given is None else given
    return -(of.n_action * (1 + math.log(2)) if settings.epsilon is None else settings.epsilon)


def _budget(settings: improvement.Budget, of: Sizes) -> Temperature:
    return budget.BudgetTemperature(settings, of.seeds, device=of.device)


VALUES: dict[type, Callable[[Any, Sizes], Value]] = {
    parts.TargetQ: _target_q,
    parts.VNetwork: _v_network,
    on_policy.Advantage: _advantage,
    model.Model: _model,
}
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
"""Builders of posteriors, which may draw on the prior."""
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
TEMPERATURES: dict[type, Callable[[Any, Sizes], Temperature]] = {
    parts.Constant: _constant,
    parts.Residual: _residual,
    parts.Dual: _dual,
    improvement.Budget: _budget,
    parts.Zero: _zero,
}


def build(
    algorithm: Algorithm, n_observation: int, n_action: int, *, seeds: int, device: torch.device
) -> Parts:
    """Build the torch value, posterior, prior and temperature of an algorithm, all network weights zero."""
    of = Sizes(algorithm, seeds, n_observation, n_action, device)
    prior = PRIORS[type(algorithm.prior)](algorithm.prior, of)
    return Parts(
        VALUES[type(algorithm.value)](algorithm.value, of),
        POSTERIORS[type(algorithm.posterior)](algorithm.posterior, of, prior),
        prior,
        TEMPERATURES[type(algorithm.temperature)](algorithm.temperature, of),
    )
