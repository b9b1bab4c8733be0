"""Progress display of `virel study run`: a live table on a terminal, one line per minute elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from virel_common.errors import InputError
from virel_common.terminal import say
from virel_deep.study.jobs import Job
from virel_deep.study.runner import Jobs
from virel_deep.study.state import JobState

PLAIN_SECONDS = 60.0
"""Seconds between two plain progress lines."""
LOOK_SECONDS = 1.0
"""Seconds between two looks into the folders of the running jobs."""


class Display:
    """Context manager that displays the progress of a study's jobs; call it with the running jobs.

    Args:
        total: number of jobs of the study.
        finished: how many of them were finished before.
        state: reads how far a job has come.
        console: where to write; None means stderr.
    """

    def __init__(
        self,
        total: int,
        finished: int,
        state: Callable[[Job], JobState],
        console: Console | None = None,
    ) -> None:
        """Store what the progress display shows; nothing appears before the first call."""
        self.console = console or Console(stderr=True)
        self._total, self._finished, self._state = total, finished, state
        self._looked = 0.0
        self._live = Live("", console=self.console, auto_refresh=False)

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

    def __call__(self, jobs: Jobs) -> None:
        """Show the progress of the running jobs, unless it was shown a moment ago."""
        now = time.monotonic()
        if now - self._looked < (LOOK_SECONDS if self.console.is_terminal else PLAIN_SECONDS):
            return
        self._looked = now
        states = list(self._readable(jobs))
        if self.console.is_terminal:
            self._live.update(self._table(jobs, states), refresh=True)
        else:
            say(f"{self._summary(jobs)}: {', '.join(map(self._line, states)) or 'none runs'}")

    def _readable(self, jobs: Jobs) -> Iterator[JobState]:
        """States of the running jobs; of one whose files are damaged, its end tells."""
        for one in jobs.running:
            with suppress(InputError):
                yield self._state(one.job)

    def _summary(self, jobs: Jobs) -> str:
        done = self._finished + len(jobs.statuses)
        return f"{done} of {self._total} jobs ended, {len(jobs.running)} running, {len(jobs.waiting)} waiting"

    def _line(self, state: JobState) -> str:
        return f"{state.job.name} at step {state.step:,} of {state.job.env.length.steps:,}"

    def _table(self, jobs: Jobs, states: list[JobState]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, caption=self._summary(jobs), caption_justify="left")
        for name in ("job", "steps", "done", "steps/s", "left"):
            table.add_column(name, justify="left" if name == "job" else "right")
        for state in states:
            steps, speed, goal = state.step, state.steps_per_second, state.job.env.length.steps
            left = str(timedelta(seconds=round((goal - steps) / speed))) if speed else "-"
            rate = f"{speed:.0f}" if speed else "-"
            share = f"{steps / goal:.0%}"
            table.add_row(Text(state.job.name), f"{steps:,}/{goal:,}", share, rate, left)
        return table
