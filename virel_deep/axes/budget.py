"""Temperature as the price of a KL budget: the dual of MPO's E-step, for weights and for parameters alike."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.dual import LEAST, Dual
from virel_deep.axes.temperature import ResidualError
from virel_deep.axes.tensors import seed_mean
from virel_deep.axes.weights import d_budget
from virel_deep.design import improvement


class BudgetTemperature(ResidualError):
    """Temperature tuned until the posterior's mean divergence from the prior is the budget, MPO, Eq. (9).

    Args:
        settings: budget, first temperature, step size and number of dual steps per update.
        seeds: K.
    """

    reports = ("kl", "dual_residual")

    def __init__(self, settings: improvement.Budget, seeds: int, *, device: torch.device) -> None:
        """Start every seed from the initial temperature in the settings."""
        super().__init__(seeds, device=device)
        self._epsilon, self.steps = settings.epsilon, settings.steps
        self.dual = Dual(seeds, settings.initial, settings.rate, device=device)

    @property
    def alpha(self) -> Tensor:
        """Temperature of every seed after tuning so far, `[K, 1]`."""
        return self.dual.value[:, None]

    def tune(self, log_ratio: Tensor) -> None:
        """Take one dual step, given the divergence `[K, B]` per state at the present temperature."""
        self.dual.descend(d_budget(seed_mean(log_ratio), epsilon=self._epsilon))
        self.dual.project(LEAST)

    def report(self, kl: Tensor) -> Mapping[str, Tensor]:
        """Mean divergence `[K]`, and how far it is above the budget."""
        return {"kl": kl, "dual_residual": kl - self._epsilon}

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's residual error, log temperature and Adam state into a dictionary of plain numbers."""
        return super().seed_state(k) | self.dual.seed_state(k)

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's residual error, log temperature and Adam state from a `seed_state` dictionary."""
        super().load_seed_state(k, state)
        self.dual.load_seed_state(k, state)
