"""Run a study's jobs as processes, a few at a time, in order; a signal makes them save and stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from virel_common.errors import InputError
from virel_common.signals import STOP_CHILD
from virel_common.terminal import DONE, FAILED, INTERRUPTED, say
from virel_deep.run.signals import stop_signals_passed_to
from virel_deep.study.jobs import Job
from virel_deep.study.state import all_done

POLL = 0.2
LOG = "log.txt"
"""File in a job's run folder that receives the output of its process."""
TAIL = 4096
"""Bytes at the end of a log that hold its last line."""
BEFORE_IT_LISTENED = {-signal.SIGTERM, -STOP_CHILD}
"""Exit statuses of a process that was stopped before it could save anything."""


@dataclass
class _Running:
    job: Job
    run: Path
    process: "subprocess.Popen[bytes]"


@dataclass
class Jobs:
    """Scheduler of a study's jobs, each in its own process: those waiting, running and ended.

    Args:
        waiting: jobs with their run folders, in the order in which they start.
        slots: processes at a time.
        may_start: whether a job may start now, which is asked at the beginning and when a job has ended.
    """

    waiting: list[tuple[Job, Path]]
    slots: int
    may_start: Callable[[Job], bool] = lambda _job: True
    running: list[_Running] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    """Exit status of each job that has ended, by its name."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why each job that failed did so, by its name."""
    _signals: int = 0
    _killed: bool = False
    _startable: list[tuple[Job, Path]] = field(default_factory=list)

    def run(self, seen: Callable[["Jobs"], object]) -> int:
        """Run all jobs, calling `seen` at intervals to show progress; return the overall exit status.

        A job that fails does not stop the others; those that wait for it stay waiting. After Ctrl-C,
        SIGTERM, or a scheduler's warning no job starts, and those that run save and end; a second Ctrl-C or
        SIGTERM kills them.
        """
        self._look()
        with stop_signals_passed_to(self._pass_on):
            while self.running or (self._startable and not self._signals):
                while self._startable and len(self.running) < self.slots and not self._signals:
                    self._start(*self._startable.pop(0))
                time.sleep(POLL)
                self._collect()
                seen(self)
        return INTERRUPTED if self._signals and self.waiting else max(self.statuses.values(), default=DONE)

    def _look(self) -> None:
        """Find out which waiting jobs may start, in their order; one whose files are damaged fails."""
        self._startable = []
        for one in tuple(self.waiting):
            try:
                if self.may_start(one[0]):
                    self._startable.append(one)
            except InputError as error:
                self.waiting.remove(one)
                self._fail(one[0], str(error))

    def _fail(self, job: Job, why: str) -> int:
        """Record that a job failed, and why; return its exit status."""
        self.failures[job.name], self.statuses[job.name] = why, FAILED
        return FAILED

    def _start(self, job: Job, run: Path) -> None:
        """Start a job in a session of its own, so that Ctrl-C reaches it once, through this process."""
        self.waiting.remove((job, run))
        command = [sys.executable, "-m", "virel_deep.study.worker", str(run), str(os.getpid())]
        try:
            with (run / LOG).open("ab") as log:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            self._fail(job, f"{error.filename or 'its process'}: {error.strerror or error}")
            return
        self.running.append(_Running(job, run, process))
        if self._signals:  # it came between the look and the start
            process.send_signal(STOP_CHILD)

    def _collect(self) -> None:
        """Record the exit status of every job process that has ended."""
        ended = [one for one in self.running if one.process.poll() is not None]
        for one in ended:
            self.running.remove(one)
            self.statuses[one.job.name] = self._status(one)
        if ended:
            self._look()

    def _status(self, one: _Running) -> int:
        """Exit status of a job whose process has ended; that it is complete, its run folder must say, too."""
        code = int(one.process.returncode)
        try:
            if code == INTERRUPTED or (code == DONE and all_done(one.run)):
                return code
        except InputError as error:
            return self._fail(one.job, str(error))
        if self._signals and code in BEFORE_IT_LISTENED:
            return INTERRUPTED
        if self._killed and code == -signal.SIGKILL:
            say(f"virel study: {one.job.name} was killed; a new run continues from its newest checkpoints")
            return INTERRUPTED
        if code == FAILED and (line := last_line(one.run / LOG)):
            return self._fail(one.job, line)
        return self._fail(one.job, f"its process ended with status {code}; a new run continues it")

    def _pass_on(self, again: bool) -> None:
        """Stop the running jobs at the first signal; kill them if an impatient one came again."""
        first, self._signals = not self._signals, self._signals + 1
        for one in list(self.running):
            if again:
                self._killed = True
                one.process.kill()
            elif first:
                one.process.send_signal(STOP_CHILD)


def last_line(log: Path) -> str:
    """Last line of what a job said; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
