"""Temperatures alpha of the policy loss, one per seed: constant, proportional to eps_omega, or tuned."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.dual import Dual
from virel_deep.axes.losses import d_dual_temperature_loss
from virel_deep.design.temperature import Residual


class ResidualError(ABC):
    """Base class of all temperatures: tracks the residual error eps_omega (mean squared TD error) of K seeds.

    Args:
        seeds: K.
        smoothing: weight of the old value in an exponential average.
    """

    steps = 1
    reports: tuple[str, ...] = ()

    def __init__(self, seeds: int, smoothing: float = 0.0, *, device: torch.device) -> None:
        """Start with a residual error eps_omega of 0 for every seed."""
        self.seeds, self._smoothing = seeds, smoothing
        self.eps_omega = torch.zeros(seeds, device=device)
        """Residual error `[K]`, squared scaled reward units."""

    @property
    @abstractmethod
    def alpha(self) -> Tensor:
        """Temperature alpha `[K, 1]` of the next update's policy loss, in scaled reward units per nat."""

    def observe_residual(self, eps_omega: Tensor, *, first: bool) -> None:
        """Update the tracked residual error eps_omega by an estimate `[K]`, smoothed unless the first."""
        old = 0.0 if first else self._smoothing
        self.eps_omega.mul_(old).add_(eps_omega * (1 - old))

    def observe_reward(self, reward: Tensor, *, first: bool) -> None:  # noqa: B027  (most kinds have no r_avg)
        """Do nothing: among the temperatures, only `RewardTemperature` depends on the rewards."""

    def scale_rate(self, factor: float) -> None:  # noqa: B027  (only `dual` shares the step size)
        """Do nothing: only the dual temperature of an entropy shares the networks' step size."""

    def tune(self, log_ratio: Tensor) -> None:  # noqa: B027  (most kinds are not tuned)
        """Do nothing: most kinds of temperature are not tuned."""

    def report(self, kl: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics: most kinds of temperature have no constraint."""
        return {}

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's residual error eps_omega into a dictionary of plain numbers."""
        return {"eps_omega": self.eps_omega[k].item()}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's residual error eps_omega from a `seed_state` dictionary."""
        self.eps_omega[k] = state["eps_omega"]


class ConstantTemperature(ResidualError):
    """Constant temperature, the same at every step; 0 for a policy that maximises Q alone."""

    def __init__(self, alpha: float, seeds: int, *, device: torch.device) -> None:
        """Set the same constant temperature for every seed."""
        super().__init__(seeds, device=device)
        self._alpha = torch.full((seeds, 1), alpha, device=device)

    @property
    def alpha(self) -> Tensor:
        """Constant temperature of every seed, `[K, 1]`."""
        return self._alpha


class ResidualTemperature(ResidualError):
    """Temperature `alpha = lambda eps_omega` of VIREL Algorithm 2; lambda is the setting `scale`."""

    def __init__(self, settings: Residual, seeds: int, *, device: torch.device) -> None:
        """Start with a temperature of 0, as no residual error has been observed."""
        super().__init__(seeds, settings.smoothing, device=device)
        assert settings.scale != "auto"
        self._scale = settings.scale

    @property
    def alpha(self) -> Tensor:
        """Temperature `lambda eps_omega` of every seed, `[K, 1]`."""
        return (self._scale * self.eps_omega)[:, None]


class RewardTemperature(ResidualError):
    r"""Temperature $\frac{1-\gamma}{r_{avg}} \varepsilon_\omega$ with a running r_avg, from J_beta, App. H.

    The paper prints the factor, fixes it (Table 1) and doesn't define r_avg. Our reading: the average size
    `E_D[|r|]` of a scaled reward. It is an exponential average over minibatches with weight gamma of the old
    one, which looks back as far as a value looks ahead. Rewards may be negative and a temperature may not:
    hence the size. While all rewards are 0, so is the temperature.

    Args:
        settings: smoothing of eps_omega.
        seeds: K.
        gamma: discount factor.
    """

    def __init__(self, settings: Residual, seeds: int, gamma: float, *, device: torch.device) -> None:
        """Start with a temperature of 0, as neither residual error nor reward has been observed."""
        super().__init__(seeds, settings.smoothing, device=device)
        self._gamma = gamma
        self.average_reward = torch.zeros(seeds, device=device)
        """Running average r_avg `[K]` of the size of a reward, scaled reward units."""

    @property
    def alpha(self) -> Tensor:
        """Temperature `(1 - gamma) / r_avg eps_omega` of every seed, `[K, 1]`; 0 where r_avg is 0."""
        r_avg = self.average_reward
        return torch.where(r_avg > 0, (1 - self._gamma) * self.eps_omega / r_avg, 0.0)[:, None]

    def observe_reward(self, reward: Tensor, *, first: bool) -> None:
        """Update r_avg by the scaled rewards `[K, ...]` of a minibatch; the first one replaces it."""
        old = 0.0 if first else self._gamma
        self.average_reward.mul_(old).add_(reward.abs().flatten(1).mean(1) * (1 - old))

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's residual error and average reward into a dictionary of plain numbers."""
        return super().seed_state(k) | {"average_reward": self.average_reward[k].item()}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's residual error and average reward from a `seed_state` dictionary."""
        super().load_seed_state(k, state)
        self.average_reward[k] = state["average_reward"]


class DualTemperature(ResidualError):
    """Temperature tuned by dual descent towards a target entropy, SAC (arXiv 1812.05905).

    Args:
        initial: first temperature, scaled reward units per nat.
        seeds: K.
        target_entropy: in nats; minus the KL budget where the prior's log density is not left out.
        learning_rate: Adam step size on log alpha.
        budget: whether minus the target is a KL budget, so that the divergence is reported.
    """

    def __init__(
        self,
        initial: float,
        seeds: int,
        target_entropy: float,
        learning_rate: float,
        *,
        budget: bool,
        device: torch.device,
    ) -> None:
        """Start every seed from the initial temperature."""
        super().__init__(seeds, device=device)
        self.target_entropy = target_entropy
        self.reports = ("kl", "dual_residual") if budget else ()
        self.dual = Dual(seeds, initial, learning_rate, device=device)

    @property
    def alpha(self) -> Tensor:
        """Temperature of every seed after tuning so far, `[K, 1]`."""
        return self.dual.value[:, None]

    def scale_rate(self, factor: float) -> None:
        """Set the step size on log alpha to this multiple of the first one."""
        self.dual.scale_rate(factor)

    def tune(self, log_ratio: Tensor) -> None:
        """Take one dual step towards the target entropy, given log(posterior / prior) `[K, B]` per state."""
        self.dual.descend(d_dual_temperature_loss(log_ratio, target_entropy=self.target_entropy))

    def report(self, kl: Tensor) -> Mapping[str, Tensor]:
        """Mean divergence `[K]`, and how far it is above a KL budget; nothing if the target is an entropy."""
        return {"kl": kl, "dual_residual": kl + self.target_entropy} if self.reports else {}

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's residual error, log alpha and Adam state into a dictionary of plain numbers."""
        return super().seed_state(k) | self.dual.seed_state(k)

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's residual error, log alpha and Adam state from a `seed_state` dictionary."""
        super().load_seed_state(k, state)
        self.dual.load_seed_state(k, state)
