"""Dual variables (Lagrange multipliers): one positive number per seed, learnt by Adam.

`Dual` learns its logarithm: the temperature of an entropy constraint, or the price of a KL budget. `Price`
learns the number itself: the price of a trust region.
"""

import math
from typing import Any

import torch
from torch import Tensor

from virel_deep.networks.network import SIMD
from virel_deep.networks.optimiser import Adam

LEAST = 1e-8
"""Least value that the price of a KL budget or of a trust region is projected to."""


class Dual:
    """Positive dual variables of K seeds, each the exponential of a learnt parameter.

    A step of Adam multiplies one by up to `exp(learning_rate)`, so that it reaches any order of magnitude.

    Args:
        seeds: K.
        initial: value that every seed starts from.
        learning_rate: Adam step size on the logarithm.
    """

    name = "log_alpha"
    """Name of the learnt parameter in checkpoints."""

    def __init__(self, seeds: int, initial: float, learning_rate: float, *, device: torch.device) -> None:
        """Start every seed's dual variable from `initial`."""
        self.seeds = seeds
        self.raw = torch.zeros(-(-seeds // SIMD) * SIMD, device=device)
        """Learnt parameters, then padding that stays 0."""
        self.raw[:seeds] = self._parameter(initial)
        self._adam = Adam(self.raw, learning_rate)
        self._gradient = torch.zeros_like(self.raw)

    @property
    def value(self) -> Tensor:
        """Dual variables of all seeds, `[K]`, as a new tensor."""
        return self.raw.exp()[: self.seeds]  # of whole vectors: the bits do not depend on K

    def descend(self, gradient: Tensor) -> None:
        """Take one Adam step on the learnt parameters, given the gradient `[K]` w.r.t. them."""
        self._gradient[: self.seeds] = gradient
        self._adam.descend(self._gradient)

    def scale_rate(self, factor: float) -> None:
        """Set the step size to this multiple of the first one."""
        self._adam.scale_rate(factor)

    def project(self, least: float) -> None:
        """Raise dual variables below `least` (less than 1) to it, so that no quotient by one overflows."""
        self.raw[: self.seeds].clamp_(min=self._parameter(least))

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's learnt parameter, its Adam moments and step count into a dictionary."""
        state: dict[str, Any] = {name: tensor[k].item() for name, tensor in self._tensors().items()}
        return state | {"step": int(self._adam.state["step"].item())}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's dual variable and Adam state from a `seed_state` dictionary."""
        for name, tensor in self._tensors().items():
            tensor[k] = state[name]
        self._adam.state["step"].fill_(state["step"])

    def _parameter(self, value: float) -> float:
        return math.log(value)

    def _tensors(self) -> dict[str, Tensor]:
        moments = {name: self._adam.state[name] for name in ("exp_avg", "exp_avg_sq")}
        return {self.name: self.raw} | moments


class Price(Dual):
    """Positive dual variables of K seeds, each a learnt multiple of its first value.

    A step of Adam adds at most about `learning_rate` times the first value. So a price can't run away by
    orders of magnitude while a policy is farther from its old self than the bound allows, merely because the
    steps of its network are that large; and it falls as fast as it rose.
    """

    name = "price"

    def __init__(self, seeds: int, initial: float, learning_rate: float, *, device: torch.device) -> None:
        """Start every seed's dual variable from `initial`."""
        self._first = initial
        super().__init__(seeds, initial, learning_rate, device=device)

    @property
    def value(self) -> Tensor:
        """Dual variables of all seeds, `[K]`, as a new tensor."""
        return self._first * self.raw[: self.seeds]

    def _parameter(self, value: float) -> float:
        return value / self._first
