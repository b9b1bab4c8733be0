"""Progress of a training run: a live table on a terminal, elsewhere a plain line now and then."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from virel_common.terminal import ignore_broken_stderr

SHOWN = {
    "steps_per_second": "steps/s",
    "return": "return",
    "eps_omega": "eps_omega",
    "temperature": "temp.",
    "entropy": "entropy",
    "q": "Q",
    "td_error": "residual",
}
"""Values of a `train` row that are shown, and their labels."""

PLAIN_SECONDS = 30.0
"""Least time between two plain lines of one group, in seconds."""

FAR = 1e10
"""Time left, in seconds, from which on a dash is shown instead: 300 years."""

WIDE = 96
"""Least width of a terminal, in columns, at which bar, steps and time left are shown as well."""


@dataclass
class _Group:
    step: int = 0
    values: Mapping[str, float | None] = field(default_factory=dict)
    printed: float = -PLAIN_SECONDS


class Progress:
    """Context manager that displays the training progress of groups of seeds, one line per group.

    Args:
        groups: label of each group, such as `seeds 0,1`.
        total: steps that every group is to reach.
        console: console to write to; None means stderr.

    Example:
        >>> import io
        >>> with Progress(["seed 0"], 1000, console=Console(file=io.StringIO(), width=80)) as progress:
        ...     progress.update("seed 0", 500, {"return": 3.25, "steps_per_second": 100.0})
        ...     print(progress.console.file.getvalue(), end="")
        seed 0: 500/1,000 steps, steps/s 100, return 3.25, left 0:00:05
    """

    def __init__(self, groups: Sequence[str], total: int, *, console: Console | None = None) -> None:
        """Prepare the progress display without showing anything yet."""
        self.console = console or Console(stderr=True)
        self._total = total
        self._groups = {name: _Group() for name in groups}
        self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=2)

    def update(self, group: str, step: int, values: Mapping[str, float | None]) -> None:
        """Show a group's step and newest log values; None is shown as a dash."""
        state = self._groups[group]
        state.step, state.values = step, values
        now = time.monotonic()
        due = now - state.printed >= PLAIN_SECONDS or step >= self._total
        if due and not self.console.is_terminal:
            state.printed = now
            with ignore_broken_stderr():
                self.console.print(self._line(group, state), markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        """Start the live progress table, if the display is on a terminal."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the live display, leaving the last progress table on the terminal."""
        if self.console.is_terminal:
            self._live.stop()

    def _line(self, name: str, group: _Group) -> str:
        known = [
            f"{label} {_number(group.values[key])}" for key, label in SHOWN.items() if key in group.values
        ]
        steps = f"{name}: {group.step:,}/{self._total:,} steps"
        return ", ".join([steps, *known, f"left {self._left(group)}"])

    def _table(self) -> Table:
        wide = self.console.width >= WIDE
        first = [Column("", no_wrap=True), *([Column("", ratio=1)] if wide else [])]
        names = ["steps" if wide else "done", *SHOWN.values(), *(["left"] if wide else [])]
        numbers = [Column(name, justify="right", no_wrap=True) for name in names]
        table = Table(*first, *numbers, box=None, expand=wide, pad_edge=False)
        for name, group in self._groups.items():
            values = [_number(group.values.get(key)) for key in SHOWN]
            if wide:
                bar = ProgressBar(total=self._total, completed=group.step)
                table.add_row(Text(name), bar, f"{group.step:,}", *values, self._left(group))
            else:
                table.add_row(Text(name), f"{group.step / self._total:.0%}", *values)
        return table

    def _left(self, group: _Group) -> str:
        speed = group.values.get("steps_per_second")
        seconds = (self._total - group.step) / speed if speed else FAR
        return str(timedelta(seconds=round(seconds))) if seconds < FAR else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
