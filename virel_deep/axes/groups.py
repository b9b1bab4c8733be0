"""Rollouts in groups of equal size, a group for each network that they follow."""

from typing import NamedTuple

import torch
from torch import Tensor


class Groups(NamedTuple):
    """B rollouts of each seed in E groups of ceil(B / E) places, one group after the other.

    Groups differ by one rollout at most. Where B is no multiple of E, a place that is left holds a rollout of
    another group once more, and what comes of it is dropped.
    """

    order: Tensor
    """Rollout at each place, `[K, P]`."""
    place: Tensor
    """Place of each rollout, `[K, B]`."""

    def arranged(self, x: Tensor) -> Tensor:
        """Rows `[K, B, ...]` of rollouts by their places, `[K, P, ...]`."""
        return _rows(x, self.order)

    def restored(self, x: Tensor) -> Tensor:
        """Rows `[K, P, ...]` of places by their rollouts, `[K, B, ...]`."""
        return _rows(x, self.place)


def grouped(uniform: Tensor, n_groups: int) -> Groups:
    """Divide rollouts at random: those with the smallest of their numbers `[K, B]` are the first group.

    Example:
        >>> import torch
        >>> of = grouped(torch.tensor([[0.9, 0.1, 0.5]]), 2)
        >>> of.order.tolist(), of.place.tolist()
        ([[1, 2, 2, 0]], [[3, 0, 2]])
        >>> of.restored(of.arranged(torch.tensor([[7.0, 8.0, 9.0]]))).tolist()
        [[7.0, 8.0, 9.0]]
    """
    n, device = uniform.shape[1], uniform.device
    size = -(-n // n_groups)
    first = torch.arange(n_groups, device=device) * n // n_groups  # rank that each group begins with
    ranks = (first[:, None] + torch.arange(size, device=device)).clamp(max=n - 1).flatten()
    rank = torch.arange(n, device=device)
    group = ((rank + 1) * n_groups - 1) // n
    place = group * size + rank - first[group]
    order = uniform.argsort(dim=1, stable=True)
    return Groups(order[:, ranks], place[order.argsort(dim=1)])


def _rows(x: Tensor, index: Tensor) -> Tensor:
    place = index.view(*index.shape, *[1] * (x.dim() - 2)).expand(*index.shape, *x.shape[2:])
    return x.gather(1, place)
