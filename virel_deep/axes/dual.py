"""Dual variables (Lagrange multipliers): one positive number per seed, learnt by Adam on its logarithm.

One may be the temperature of an entropy constraint, the price of a KL budget or that of a trust region.
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

    Args:
        seeds: K.
        initial: value that every seed starts from.
        learning_rate: Adam step size on the logarithm.
    """

    def __init__(self, seeds: int, initial: float, learning_rate: float, *, device: torch.device) -> None:
        """Start every seed's dual variable from `initial`."""
        self.seeds = seeds
        self.log = torch.zeros(-(-seeds // SIMD) * SIMD, device=device)
        """Logarithms, then padding that stays 0."""
        self.log[:seeds] = math.log(initial)
        self._adam = Adam(self.log, learning_rate)
        self._gradient = torch.zeros_like(self.log)

    @property
    def value(self) -> Tensor:
        """Dual variables of all seeds, `[K]`, as a new tensor."""
        return self.log.exp()[: self.seeds]  # of whole vectors: the bits do not depend on K

    def descend(self, gradient: Tensor) -> None:
        """Take one Adam step on the log dual variables, given the gradient `[K]` w.r.t. them."""
        self._gradient[: self.seeds] = gradient
        self._adam.descend(self._gradient)

    def scale_rate(self, factor: float) -> None:
        """Set the step size to this multiple of the first one."""
        self._adam.scale_rate(factor)

    def project(self, least: float) -> None:
        """Raise dual variables below `least` (less than 1) to it, so that no quotient by one overflows."""
        self.log.clamp_(min=math.log(least))  # the padding stays 0

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's log dual variable, its Adam moments and step count into a dictionary."""
        state: dict[str, Any] = {name: tensor[k].item() for name, tensor in self._tensors().items()}
        return state | {"step": int(self._adam.state["step"].item())}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's dual variable and Adam state from a `seed_state` dictionary."""
        for name, tensor in self._tensors().items():
            tensor[k] = state[name]
        self._adam.state["step"].fill_(state["step"])

    def _tensors(self) -> dict[str, Tensor]:
        moments = {name: self._adam.state[name] for name in ("exp_avg", "exp_avg_sq")}
        return {"log_alpha": self.log} | moments
