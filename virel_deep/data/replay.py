"""Replay: one ring buffer per seed, one row `[obs | action | next obs | reward | terminated]` per transition.

The first O + A columns are already the critic's input, so a minibatch needs one gather per seed and no
concatenation. Algorithms whose targets read several steps add tails to a row: whether a time limit ended the
episode, for Retrace and rollouts the action before the tanh and the log density that it was drawn with, and
for weights by discounted visits the steps of the episode so far.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float32]

HOLD_OUT = 5
"""Of so many rows the last one is held out from the fit of a model."""


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
    truncated: int | None = None
    """Column of 1.0 where a time limit ended the episode; None if rows have none."""
    pre: slice | None = None
    """Columns of the action before the tanh; None if rows have none."""
    log_density: int | None = None
    """Column of the log density that `pre`, or without it the action, was drawn with; or None."""
    held_out: int | None = None
    """Column of 1.0 in rows that a model is not fitted to; None if rows have none."""
    age: int | None = None
    """Column of the number of steps of the episode before this one; None if rows have none."""

    @classmethod
    def of(cls, n_observation: int, n_action: int, tails: Collection[str] = ()) -> "Columns":
        """Column positions in a replay row, for given sizes of observation and action, and names of tails."""
        h = n_observation + n_action
        end = h + n_observation
        out = cls(
            observation=slice(0, n_observation),
            action=slice(n_observation, h),
            history=slice(0, h),
            next_observation=slice(h, end),
            reward=end,
            terminated=end + 1,
            width=end + 2,
        )
        if "truncated" in tails:
            out = out._replace(truncated=out.width, width=out.width + 1)
        if "pre" in tails:
            pre = slice(out.width, out.width + n_action)
            out = out._replace(pre=pre, width=pre.stop)
        if "log_density" in tails:
            out = out._replace(log_density=out.width, width=out.width + 1)
        if "held_out" in tails:
            out = out._replace(held_out=out.width, width=out.width + 1)
        return out._replace(age=out.width, width=out.width + 1) if "age" in tails else out


def held_out(first: int, n: int) -> Floats:
    """Whether the rows that n environment copies add at a step are held out: 1.0 for every fifth of a copy.

    The numbers of step and copy decide, so that nothing is drawn and a row never changes sides.

    Args:
        first: rows that the run has added before, n at every step.
        n: environment copies.

    Example:
        >>> [held_out(first, 2).tolist() for first in (0, 2, 4, 6, 8)]
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    out: Floats = ((first // n + np.arange(n)) % HOLD_OUT == HOLD_OUT - 1).astype(np.float32)
    return out


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

    def sample_windows(
        self, size: int, generators: Sequence[torch.Generator], *, stride: int, out: Tensor
    ) -> None:
        """Sample windows into `out [K, size, n, width]`: n rows each, `stride` apart, that follow each other.

        With E environment copies, whose rows take turns, the stride E gives the rows of one copy. A window
        never reaches over the newest row into the oldest. Its rows may belong to more than one episode.
        """
        reach = (out.shape[2] - 1) * stride
        oldest = self.added - len(self)
        for mine, generator, drawn in zip(self.rows, generators, out, strict=True):
            start = torch.randint(len(self) - reach, (size,), generator=generator, device=mine.device)
            steps = torch.arange(0, reach + 1, stride, device=mine.device)
            index = (oldest + start[:, None] + steps) % self.capacity
            torch.index_select(mine, 0, index.flatten(), out=drawn.view(-1, drawn.shape[-1]))

    def rollouts(self, *, stride: int, out: Tensor) -> None:
        """Read the newest rows in order into `out [K, E, n, width]`: the last n of E = `stride` copies.

        The rows of the copies take turns.
        """
        n = out.shape[2]
        for mine, into in zip(self.rows, out, strict=True):
            index = torch.arange(self.added - stride * n, self.added, device=mine.device) % self.capacity
            into.copy_(mine[index].view(n, stride, -1).transpose(0, 1))

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

    def mark(self, k: int, numbers: Sequence[int], column: int) -> None:
        """Set a column of seed k's rows to 1, of those with these numbers that are still stored."""
        mine, oldest = self.rows[k], self.added - len(self)
        index = [number % self.capacity for number in numbers if oldest <= number < self.added]
        mine[index, column] = 1.0

    def keep(self, seeds: Sequence[int]) -> None:
        """Keep the buffers of these seeds alone; drop the others."""
        self.rows = [self.rows[k] for k in seeds]
