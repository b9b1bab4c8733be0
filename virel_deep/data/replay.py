"""Replay: one ring buffer per seed, one row `[obs | action | next obs | reward | terminated]` per transition.

The first O + A columns are already the critic's input, so a minibatch needs one gather per seed and no
concatenation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Columns(NamedTuple):
    """Column positions of state, action, next state, reward and termination in a row of the replay buffer."""

    observation: slice
    action: slice
    history: slice
    """Columns of observation and action, h = (s, a)."""
    next_observation: slice
    reward: int
    terminated: int
    width: int

    @classmethod
    def of(cls, n_observation: int, n_action: int) -> "Columns":
        """Column positions in a replay row, for given sizes of observation and action."""
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
    """Replay buffer: the last `capacity` transitions of each of K seeds, on one device.

    Args:
        seeds: number of seeds, K.
        capacity: rows per seed, at least as many as are added at a time.
        width: columns per row.
        device: device that holds the rows.
    """

    def __init__(self, seeds: int, capacity: int, width: int, *, device: torch.device) -> None:
        """Allocate the replay rows; memory pages are touched only as rows are added."""
        self.rows = [torch.empty(capacity, width, device=device) for _ in range(seeds)]
        """One tensor per seed, so that dropping a seed frees its memory without a copy."""
        self.added = 0
        """Number of rows added to each seed so far, overwritten ones included."""

    @property
    def capacity(self) -> int:
        """Largest number of transitions that a seed's buffer holds."""
        return self.rows[0].shape[0]

    def __len__(self) -> int:
        """Number of transitions that each seed's buffer holds now."""
        return min(self.added, self.capacity)

    def add(self, rows: Tensor) -> None:
        """Append `rows [K, n, width]` to the replay buffers, overwriting the oldest; n <= capacity."""
        start, n = self.added % self.capacity, rows.shape[1]
        head = min(n, self.capacity - start)
        for mine, new in zip(self.rows, rows, strict=True):
            mine[start : start + head] = new[:head]
            if head < n:
                mine[: n - head] = new[head:]
        self.added += n

    def sample(self, size: int, generators: Sequence[torch.Generator], *, out: Tensor) -> None:
        """Sample minibatches into `out [K, size, width]`, with replacement, one generator per seed."""
        for mine, generator, drawn in zip(self.rows, generators, out, strict=True):
            index = torch.randint(len(self), (size,), generator=generator, device=mine.device)
            torch.index_select(mine, 0, index, out=drawn)

    def since(self, k: int, first: int) -> Tensor:
        """Seed k's rows from index `first` on (counted over the whole run), as far as still stored."""
        first = max(first, self.added - len(self))
        mine = self.rows[k]
        return mine[torch.arange(first, self.added, device=mine.device) % self.capacity]

    def refill(self, k: int, rows: Tensor, added: int) -> None:
        """Restore seed k's replay buffer from the rows of a checkpoint.

        `added` is the number of rows ever added, the same for every seed.
        """
        mine = self.rows[k]
        index = torch.arange(added - len(rows), added, device=mine.device) % self.capacity
        mine[index] = rows.to(mine.device)
        self.added = added

    def keep(self, seeds: Sequence[int]) -> None:
        """Keep the buffers of these seeds alone; drop the others."""
        self.rows = [self.rows[k] for k in seeds]
