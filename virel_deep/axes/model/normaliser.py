r"""Scales of what a model reads and predicts: moments and ranges of minibatches, per seed, in float64.

Columns are those of a state, of the difference to the next state, and the reward: `[O | O | 1]`.
"""

from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.tensors import seedwise

LEAST = 1e-8
"""Added to a variance, so that a column which never changed has a scale."""


class Normaliser:
    r"""Running moments of columns of K seeds, and the ranges that rollouts are kept in.

    $$\mu \leftarrow \mu + \delta\,\frac{m}{n + m}, \quad M \leftarrow M + M_m + \delta^2\,\frac{n m}{n + m},
    \quad \delta = \mu_m - \mu,$$ for m new rows with mean $\mu_m$ and sum of squared deviations $M_m$.

    Source: Chan, Golub and LeVeque 1979; of one new row it is Welford's update.

    Args:
        seeds: K.
        columns: W.
    """

    def __init__(self, seeds: int, columns: int, *, device: torch.device) -> None:
        """Start without a row: then columns are as they are, and no range is known."""
        zeros = torch.zeros(seeds, columns, dtype=torch.float64, device=device)
        self.count = zeros[:, :1].clone()
        self.mean, self.squares = zeros.clone(), zeros.clone()
        self.low, self.high = zeros + torch.inf, zeros - torch.inf
        shape = (seeds, 1, columns)
        self.shift, self.size = torch.zeros(shape, device=device), torch.ones(shape, device=device)
        """Mean and standard deviation so far, `[K, 1, W]`, in the networks' precision."""
        self.least, self.most = (torch.full(shape, sign * torch.inf, device=device) for sign in (-1, 1))
        """Range of each column so far, `[K, 1, W]`; without limits before the first row."""

    def observe(self, rows: Tensor) -> None:
        """Take in rows `[K, m, W]`; every seed has as many."""
        found = seedwise(_summed, rows.detach().double())
        m = rows.shape[1]
        mean, squares, low, high = found
        delta, total = mean - self.mean, self.count + m
        self.mean += delta * (m / total)
        self.squares += squares + delta * delta * (self.count * (m / total))
        self.count.copy_(total)
        self.low.copy_(torch.minimum(self.low, low))
        self.high.copy_(torch.maximum(self.high, high))
        self._derive()

    def _derive(self) -> None:
        """Compute scales and ranges in the networks' precision, in place."""
        seen = self.count > 0
        variance = torch.where(seen, self.squares / self.count.clamp(min=1), 1.0)
        self.shift.copy_(self.mean[:, None])
        self.size.copy_(torch.where(seen, (variance + LEAST).sqrt(), 1.0)[:, None])
        self.least.copy_(torch.where(seen, self.low, -torch.inf)[:, None])
        self.most.copy_(torch.where(seen, self.high, torch.inf)[:, None])

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy seed k's moments and ranges into a dictionary of tensors."""
        return {name: x[k].clone() for name, x in self._kept().items()}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's moments and ranges from a `seed_state` dictionary."""
        for name, x in self._kept().items():
            x[k].copy_(torch.as_tensor(state[name]))
        self._derive()

    def _kept(self) -> dict[str, Tensor]:
        names = ("count", "mean", "squares", "low", "high")
        return {name: getattr(self, name) for name in names}


def _summed(rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, sum of squared deviations, least and most of the rows of one seed, `[W]` each."""
    mean = rows.mean(-2)
    return mean, (rows - mean[..., None, :]).square().sum(-2), rows.amin(-2), rows.amax(-2)
