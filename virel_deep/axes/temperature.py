"""Temperatures alpha of the policy loss, one a seed: constant, residual (beta), dual-tuned (SAC), none."""

import math
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes import gradients
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.network import SIMD
from virel_deep.networks.optimiser import Adam


class TemperatureState:
    """What each of K seeds remembers of its temperature; `alpha` is what the next policy step uses.

    Args:
        algorithm: Decides the kind, its scale and smoothing.
        seeds: K.
        n_action: Action dimensions, for the default target entropy.
    """

    def __init__(self, algorithm: Algorithm, seeds: int, n_action: int, *, device: torch.device) -> None:
        """Start from `algorithm.alpha`, or from no residual seen."""
        self.algorithm, self.seeds = algorithm, seeds
        self.eps_omega = torch.zeros(seeds, device=device)
        """Residual error, squared scaled reward units; tracked for every algorithm, used by `residual`."""
        target = algorithm.target_entropy
        self.target_entropy = -float(n_action) if target is None else target
        self.log_alpha = torch.zeros(-(-seeds // SIMD) * SIMD, device=device)
        if algorithm.temperature == "dual":
            self.log_alpha[:seeds] = math.log(algorithm.alpha)
            self.adam = Adam(self.log_alpha, algorithm.learning_rate)
            self._gradient = torch.zeros_like(self.log_alpha)
        self._constant = torch.full(
            (seeds, 1), 0.0 if algorithm.temperature == "none" else algorithm.alpha, device=device
        )

    @property
    def alpha(self) -> Tensor:
        """Temperature `[K, 1]`, scaled reward units a nat."""
        if self.algorithm.temperature == "residual":
            return (self.algorithm.residual_scale * self.eps_omega)[:, None]
        if self.algorithm.temperature == "dual":
            return self.log_alpha.exp()[: self.seeds, None]  # of whole vectors: the bits do not depend on K
        return self._constant

    def observe_residual(self, eps_omega: Tensor, *, first: bool) -> None:
        """Take in an estimate `[K]` of eps_omega, smoothed as the algorithm says; the first as it stands."""
        old = 0.0 if first else self.algorithm.residual_smoothing
        self.eps_omega.mul_(old).add_(eps_omega * (1 - old))

    def tune(self, log_pi: Tensor) -> None:
        """One dual step towards the target entropy from `log_pi [K, B]`; nothing unless it is tuned."""
        if self.algorithm.temperature == "dual":
            self._gradient[: self.seeds] = gradients.dual_temperature_loss(
                log_pi, target_entropy=self.target_entropy
            )
            self.adam.descend(self._gradient)

    def seed_state(self, k: int) -> dict[str, Any]:
        """What seed k remembers."""
        state: dict[str, Any] = {"eps_omega": self.eps_omega[k].item()}
        if self.algorithm.temperature == "dual":
            state |= {name: self._dual()[name][k].item() for name in self._dual()}
            state["step"] = int(self.adam.state["step"].item())
        return state

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Make seed k what `seed_state` saved."""
        self.eps_omega[k] = state["eps_omega"]
        if self.algorithm.temperature == "dual":
            for name, tensor in self._dual().items():
                tensor[k] = state[name]
            self.adam.state["step"].fill_(state["step"])

    def _dual(self) -> dict[str, Tensor]:
        moments = {name: self.adam.state[name] for name in ("exp_avg", "exp_avg_sq")}
        return {"log_alpha": self.log_alpha} | moments
