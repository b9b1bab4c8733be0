"""Settings of data: where minibatches come from, and when; the replay of past transitions."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from virel_deep.design.fields import (
    Part,
    check_types,
    demand_at_least,
)


class Data(Part, ABC, axis="data"):
    """Settings of the training data: which transitions are kept, what a minibatch is, when updates are due.

    E copies of the environment step at once; a step counts the transitions of all.
    """

    paced: ClassVar[bool] = True
    """Whether `update_every` says when updates are due."""
    capped: ClassVar[bool] = True
    """Whether the run's `capacity` says how many transitions are kept."""

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Environment steps with uniform actions and no update."""

    @abstractmethod
    def kept(self, *, capacity: int, copies: int) -> int:
        """Number of transitions that are kept, of at most `capacity`."""

    @abstractmethod
    def shape(self, window: int, copies: int) -> tuple[int, ...]:
        """Leading sizes of a minibatch, `(B,)` transitions, or `(B, n)` windows of transitions."""

    @abstractmethod
    def transitions(self, copies: int) -> int:
        """Number of transitions of a minibatch at which targets begin."""

    @abstractmethod
    def updates(self, step: int, *, window: int, copies: int, every: int, ratio: float = 1.0) -> int:
        """Number of updates that are due at `step`, the last `copies` of whose transitions are new."""

    @abstractmethod
    def idle(self, steps: int, *, window: int, copies: int, every: int, ratio: float = 1.0) -> str | None:
        """Reason why a run of so many steps makes no update; None if it makes one."""

    @abstractmethod
    def without_warmup(self) -> "Data":
        """These settings without a warm-up."""


@dataclass(frozen=True)
class Replay(Data, kind="replay"):
    """Minibatches drawn uniformly, with replacement, from the replay buffer of the run's last transitions."""

    batch: int = 256
    """Transitions per minibatch and seed."""
    warmup: int = 5000
    """Environment steps with uniform actions and no update; at least one batch is always collected."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a minibatch without transitions, or a negative warm-up."""
        check_types(self)
        demand_at_least(self, 1, "batch")
        demand_at_least(self, 0, "warmup")

    def kept(self, *, capacity: int, copies: int) -> int:  # noqa: ARG002
        """Number of transitions that are kept: the capacity."""
        return capacity

    def shape(self, window: int, copies: int) -> tuple[int, ...]:  # noqa: ARG002
        """Leading sizes of a minibatch: B transitions, or B windows."""
        return (self.batch,) if window == 1 else (self.batch, window)

    def transitions(self, copies: int) -> int:  # noqa: ARG002
        """Number of transitions of a minibatch at which targets begin, B."""
        return self.batch

    def updates(self, step: int, *, window: int, copies: int, every: int, ratio: float = 1.0) -> int:
        """Number of updates due: `ratio` per `every` transitions, once there are a batch and a window.

        Example:
            >>> data = Replay(batch=1, warmup=0)
            >>> [data.updates(step, window=1, copies=1, every=1, ratio=0.5) for step in range(1, 5)]
            [0, 1, 0, 1]
        """
        if step <= self.warmup or step < max(self.batch, (window - 1) * copies + 1):
            return 0
        return int(step // every * ratio) - int((step - copies) // every * ratio)

    def idle(self, steps: int, *, window: int, copies: int, every: int, ratio: float = 1.0) -> str | None:
        """Reason why a run of so many steps makes no update: what it waits for, or how seldom one is due.

        Example:
            >>> data = Replay(batch=8, warmup=10)
            >>> data.idle(64, window=1, copies=1, every=100), data.idle(64, window=1, copies=1, every=50)
            ('`update_every` is 100', None)
        """
        if steps <= self.warmup:
            return f"`data.warmup` is {self.warmup}"
        if steps < self.batch:
            return f"a minibatch has {self.batch} (`data.batch`)"
        span = (window - 1) * copies + 1
        if steps < span:
            return f"a window of all copies has {span} (`value.steps`)"
        first = -(-max(self.warmup + 1, self.batch, span) // copies) * copies
        if int(steps // every * ratio) > int((first - copies) // every * ratio):
            return None
        pace = {"update_every": every, "updates_per_step": ratio}
        return " and ".join(f"`{name}` is {value}" for name, value in pace.items() if value != 1)

    def without_warmup(self) -> "Replay":
        """These settings with a warm-up of no steps."""
        return replace(self, warmup=0)
