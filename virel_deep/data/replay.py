"""Replay: K rings side by side, a row `[obs | action | next obs | reward | terminated]` a transition.

The first O + A columns are the critic's input as they stand, so a minibatch needs one gather a seed and no
concatenation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Columns(NamedTuple):
    """Where a row's parts are, for O observation and A action entries."""

    observation: slice
    action: slice
    history: slice
    """Observation and action, h = (s, a)."""
    next_observation: slice
    reward: int
    terminated: int
    width: int

    @classmethod
    def of(cls, n_observation: int, n_action: int) -> "Columns":
        """Columns of a row."""
        h = n_observation + n_action
        end = h + n_observation
        return cls(
            observation=slice(0, n_observation),
            action=slice(n_observation, h),
            history=slice(0, h),
            next_observation=slice(h, end),
            reward=end,
            terminated=end + 1,
            width=end + 2,
        )


class Replay:
    """The last `capacity` transitions of each of K seeds, on one device.

    Args:
        seeds: K.
        capacity: Rows a seed, at least as many as are added at a time.
        width: Columns of a row.
    """

    def __init__(self, seeds: int, capacity: int, width: int, *, device: torch.device) -> None:
        """Allocate; pages are touched only as rows come."""
        self.rows = [torch.empty(capacity, width, device=device) for _ in range(seeds)]
        """Of each seed, apart: to drop one frees its memory and copies nothing."""
        self.added = 0
        """Rows added to each seed so far, overwritten ones included."""

    @property
    def capacity(self) -> int:
        """Rows a seed holds at most."""
        return self.rows[0].shape[0]

    def __len__(self) -> int:
        """Rows a seed holds now."""
        return min(self.added, self.capacity)

    def add(self, rows: Tensor) -> None:
        """Append `rows [K, n, width]`, n <= capacity; the oldest ones make place."""
        start, n = self.added % self.capacity, rows.shape[1]
        head = min(n, self.capacity - start)
        for mine, new in zip(self.rows, rows, strict=True):
            mine[start : start + head] = new[:head]
            if head < n:
                mine[: n - head] = new[head:]
        self.added += n

    def sample(self, size: int, generators: Sequence[torch.Generator], *, out: Tensor) -> None:
        """Fill `out [K, size, width]` with rows drawn uniformly with replacement; a generator a seed."""
        for mine, generator, drawn in zip(self.rows, generators, out, strict=True):
            index = torch.randint(len(self), (size,), generator=generator, device=mine.device)
            torch.index_select(mine, 0, index, out=drawn)

    def since(self, k: int, first: int) -> Tensor:
        """Rows number `first` (counted from 0 over the whole run) and later that seed k still holds."""
        first = max(first, self.added - len(self))
        mine = self.rows[k]
        return mine[torch.arange(first, self.added, device=mine.device) % self.capacity]

    def refill(self, k: int, rows: Tensor, added: int) -> None:
        """Put back the last rows of seed k, of which `added` were ever added; the same for every seed."""
        mine = self.rows[k]
        index = torch.arange(added - len(rows), added, device=mine.device) % self.capacity
        mine[index] = rows.to(mine.device)
        self.added = added

    def keep(self, seeds: Sequence[int]) -> None:
        """Forget all seeds but these."""
        self.rows = [self.rows[k] for k in seeds]
