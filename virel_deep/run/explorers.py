"""Actors that explore as in training, with random numbers of their own, by kind of posterior."""

from collections.abc import Callable
from typing import Any

import numpy as np

from virel_deep.axes.posterior import deterministic, tanh_gaussian
from virel_deep.design import improvement, parts
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
        self._layers, self._n_action = layers_of(state["policy"]), int(state["n_action"])
        self._settings, self._draw = algorithm.posterior, DRAWS[type(algorithm.posterior)]
        self._generator = np.random.default_rng(source)

    def act(self, observation: Floats) -> Floats:
        """Exploratory actions `[N, A]` in [-1, 1] at `observation [N, O]`."""
        shape = (len(observation), self._n_action)
        noise = self._generator.standard_normal(shape).astype(np.float32)
        return self._draw(self._settings, perceptron(self._layers, observation), noise)


def _gaussian(_: parts.Posterior, head: Floats, noise: Floats) -> Floats:
    return tanh_gaussian.explore(head, noise)


def _noisy(settings: parts.Deterministic, head: Floats, noise: Floats) -> Floats:
    return deterministic.explore(head, noise, std=settings.exploration_noise)


DRAWS: dict[type[parts.Posterior], Callable[[Any, Floats, Floats], Floats]] = {
    parts.TanhGaussian: _gaussian,
    parts.Deterministic: _noisy,
    improvement.Weighted: _gaussian,
}
"""Exploratory actions from a posterior's settings, its network's outputs and normal numbers."""
