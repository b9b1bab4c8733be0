"""Trust region of a policy: a Lagrange multiplier for each divergence that is bounded."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.dual import LEAST, Price
from virel_deep.axes.tensors import PriorLoss, seedwise
from virel_deep.axes.weights import d_budget
from virel_deep.design import discrete, improvement


class TrustRegion:
    r"""Bounds on a policy's step: $C_\mu \le \epsilon_\mu$ and $C_\Sigma \le \epsilon_\Sigma$, MPO, Eq. (12).

    A Gaussian policy has these T = 2 bounds, by mean and by spread; a categorical one has a single one.
    Each bound has a multiplier, its price, which one Adam step per update raises while the bound is broken.
    A bound of None has the price 0.

    Args:
        settings: bounds, first multipliers and their step size.
        seeds: K.
    """

    def __init__(
        self,
        settings: improvement.TrustRegion | discrete.CategoricalTrustRegion,
        seeds: int,
        *,
        device: torch.device,
    ) -> None:
        """Start the multipliers of all bounds from their first values."""
        self._zero = torch.zeros(seeds, device=device)
        self.names = tuple(settings.bounds)
        self.reports = tuple(f"{what}_{name}" for what in ("kl", "price") for name in self.names)
        self.bounds = tuple(bound for bound, _ in settings.bounds.values())
        self.duals = [
            None if bound is None else Price(seeds, first, settings.price_rate, device=device)
            for bound, first in settings.bounds.values()
        ]

    @property
    def prices(self) -> Tensor:
        """Multipliers `[K, T]` of the bounds, without gradient."""
        return torch.stack([self._zero if dual is None else dual.value for dual in self.duals], dim=-1)

    def loss(self, kl: Tensor) -> PriorLoss:
        """Sum of the divergences, each times its multiplier, from their values `kl [K, B, T]` per state."""
        mean = seedwise(lambda one: one.mean(-2), kl)
        return PriorLoss((self.prices * mean).sum(-1), mean.detach())

    def tune(self, kl: Tensor) -> Mapping[str, Tensor]:
        """Move the multipliers by the divergences `[K, T]`; return these with the multipliers before."""
        prices = self.prices
        for i, (dual, bound) in enumerate(zip(self.duals, self.bounds, strict=True)):
            if dual is not None and bound is not None:
                dual.descend(d_budget(kl[:, i], epsilon=bound))
                dual.project(LEAST)
        return dict(zip(self.reports, (*kl.unbind(-1), *prices.unbind(-1)), strict=True))

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's multipliers with their Adam states into a dictionary of plain numbers."""
        return {name: dual.seed_state(k) for name, dual in zip(self.names, self.duals, strict=True) if dual}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's multipliers from a `seed_state` dictionary."""
        for name, dual in zip(self.names, self.duals, strict=True):
            if dual:
                dual.load_seed_state(k, state[name])
