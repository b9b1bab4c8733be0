"""Temperatures alpha of the policy loss, one per seed: constant or zero, residual (beta), dual (SAC)."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.dual import Dual
from virel_deep.axes.losses import d_dual_temperature_loss
from virel_deep.design import parts


class ResidualError(ABC):
    """The residual error eps_omega of K seeds, which every temperature keeps track of.

    Args:
        seeds: K.
        smoothing: weight of the old value in an exponential average.
    """

    def __init__(self, seeds: int, smoothing: float = 0.0, *, device: torch.device) -> None:
        """Start from no residual seen."""
        self.seeds, self._smoothing = seeds, smoothing
        self.eps_omega = torch.zeros(seeds, device=device)
        """Residual error `[K]`, squared scaled reward units."""

    @property
    @abstractmethod
    def alpha(self) -> Tensor:
        """Temperature `[K, 1]` of the next step, in scaled reward units per nat."""

    def observe_residual(self, eps_omega: Tensor, *, first: bool) -> None:
        """Take in an estimate `[K]` of eps_omega, smoothed unless it is the first."""
        old = 0.0 if first else self._smoothing
        self.eps_omega.mul_(old).add_(eps_omega * (1 - old))

    def tune(self, log_ratio: Tensor) -> None:  # noqa: B027  (most kinds are not tuned)
        """Leave the temperature alone: only a dual one is tuned, to log(posterior / prior) `[K, B]`."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """What seed k remembers, as plain numbers."""
        return {"eps_omega": self.eps_omega[k].item()}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Make seed k what `seed_state` saved."""
        self.eps_omega[k] = state["eps_omega"]


class ConstantTemperature(ResidualError):
    """The same temperature at every step; 0 for a posterior that climbs Q alone."""

    def __init__(self, alpha: float, seeds: int, *, device: torch.device) -> None:
        """Fill in the temperature."""
        super().__init__(seeds, device=device)
        self._alpha = torch.full((seeds, 1), alpha, device=device)

    @property
    def alpha(self) -> Tensor:
        """The constant, `[K, 1]`."""
        return self._alpha


class ResidualTemperature(ResidualError):
    """Temperature `lambda eps_omega` of J_beta, VIREL Algorithm 2."""

    def __init__(self, settings: parts.Residual, seeds: int, *, device: torch.device) -> None:
        """Start from a temperature of 0: no residual was seen."""
        super().__init__(seeds, settings.smoothing, device=device)
        self._scale = settings.scale

    @property
    def alpha(self) -> Tensor:
        """`lambda eps_omega`, `[K, 1]`."""
        return (self._scale * self.eps_omega)[:, None]


class DualTemperature(ResidualError):
    """Temperature tuned by dual descent towards a target entropy, SAC (arXiv 1812.05905).

    Args:
        settings: first temperature and target entropy.
        seeds: K.
        n_action: action dimensions A; minus A is the target entropy where the settings give none.
        learning_rate: Adam step size on log alpha.
    """

    def __init__(
        self,
        settings: parts.Dual,
        seeds: int,
        n_action: int,
        learning_rate: float,
        *,
        device: torch.device,
    ) -> None:
        """Start from the first temperature."""
        super().__init__(seeds, device=device)
        given = settings.target_entropy
        self.target_entropy = -float(n_action) if given is None else given
        self.dual = Dual(seeds, settings.initial, learning_rate, device=device)

    @property
    def alpha(self) -> Tensor:
        """The tuned temperature, `[K, 1]`."""
        return self.dual.value[:, None]

    def tune(self, log_ratio: Tensor) -> None:
        """One dual step towards the target entropy, from log(posterior / prior) `[K, B]`."""
        self.dual.descend(d_dual_temperature_loss(log_ratio, target_entropy=self.target_entropy))

    def seed_state(self, k: int) -> dict[str, Any]:
        """What seed k remembers, with log alpha and its optimiser's state."""
        return super().seed_state(k) | self.dual.seed_state(k)

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Make seed k what `seed_state` saved."""
        super().load_seed_state(k, state)
        self.dual.load_seed_state(k, state)
