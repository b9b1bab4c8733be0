"""Build an algorithm's torch parts from its settings.

The tables that map settings to classes are in `builders/`, one file per axis. A new part is a class in
`design/`, its tensor code in a file of this folder, and a line of a table.
"""

from typing import NamedTuple

import torch

from virel_deep.axes.abilities import Expanding, Remembering
from virel_deep.axes.builders.posteriors import POSTERIORS
from virel_deep.axes.builders.priors import PRIORS
from virel_deep.axes.builders.sizes import Sizes
from virel_deep.axes.builders.temperatures import TEMPERATURES
from virel_deep.axes.builders.values import VALUES
from virel_deep.axes.interfaces import Objective, Posterior, Prior, Temperature, Value
from virel_deep.design.algorithm import Algorithm


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
