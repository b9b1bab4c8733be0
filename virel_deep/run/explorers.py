"""Actors that explore as in training, with random numbers of their own, by kind of posterior."""

from collections.abc import Callable
from typing import Any

import numpy as np

from virel_deep.axes import categorical
from virel_deep.axes.posterior import deterministic, tanh_gaussian
from virel_deep.design import discrete, improvement, on_policy, parts
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.perceptron import perceptron
from virel_deep.run.actors import Floats, SeedState, layers_of


class Explorer:
    """Policy of one seed that draws its actions from the distribution that training explores by.

    Args:
        algorithm: algorithm of the policy.
        state: what the seed acts by, as in a checkpoint.
        source: source of the random numbers; it is not advanced.
    """

    def __init__(self, algorithm: Algorithm, state: SeedState, source: np.random.SeedSequence) -> None:
        """Copy the policy network's layers, and start the random numbers."""
        self._layers = layers_of(state["policy"])
        self._settings, self._draw = algorithm.posterior, DRAWS[type(algorithm.posterior)]
        self._generator = np.random.default_rng(source)

    def act(self, observation: Floats) -> Floats:
        """Exploratory actions `[N, A]` at `observation [N, O]`: in [-1, 1], or one-hot."""
        return self._draw(self._settings, perceptron(self._layers, observation), self._generator)


def _gaussian(_: parts.Posterior, head: Floats, generator: np.random.Generator) -> Floats:
    n, a = len(head), head.shape[-1] // 2
    return tanh_gaussian.explore(head, generator.standard_normal((n, a), np.float32))


def _noisy(settings: parts.Deterministic, head: Floats, generator: np.random.Generator) -> Floats:
    noise = generator.standard_normal(head.shape, np.float32)
    return deterministic.explore(head, noise, std=settings.exploration_noise)


def _choice(_: parts.Posterior, head: Floats, generator: np.random.Generator) -> Floats:
    return categorical.explore(head, generator.random((len(head), 1), np.float32))


DRAWS: dict[type[parts.Posterior], Callable[[Any, Floats, np.random.Generator], Floats]] = {
    parts.TanhGaussian: _gaussian,
    parts.Deterministic: _noisy,
    improvement.Weighted: _gaussian,
    on_policy.TopShare: _gaussian,
    on_policy.Score: _gaussian,
    discrete.Categorical: _choice,
    discrete.Enumerated: _choice,
}
"""Exploratory actions from a posterior's settings, its network's outputs and a generator."""
