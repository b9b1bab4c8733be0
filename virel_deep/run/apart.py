"""Bundles of seeds in processes of their own: what they report, how they are stopped, and what a death costs.

Each process has a pipe of its own to the parent, which needs no semaphore and no /dev/shm, and can't be left
locked by a process that dies. The last thing that a process says is its status; one that ends without having
said it has died, whatever its exit status is (`os._exit(0)` in an environment, say).
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any, NamedTuple

from virel_common.terminal import DONE, FAILED, INTERRUPTED
from virel_deep.data.presence import NOWHERE, SIZE, Presence
from virel_deep.design.run import RunConfig
from virel_deep.run.signals import STOP, Children, signals_held_back, signals_left_to

POLL = 0.2
"""Seconds between two looks for reports."""


class Work(NamedTuple):
    """Seeds of a run that train together in one process."""

    title: str
    """Name of these seeds in messages and in the progress display."""
    run: Path
    config: RunConfig
    seeds: list[int]
    resume: bool
    """Whether the seeds continue from checkpoints."""


class Death(NamedTuple):
    """Process that ended without a status of its own."""

    work: Work
    how: str
    """Words such as `by SIGSEGV` or `with status 7`."""
    last: Presence
    """Where it was inside of an environment, if it was."""


class Channel(NamedTuple):
    """What a process tells its parent by: reports through a pipe, its presence in shared memory."""

    reports: Connection
    presence: Any

    def tell(self, kind: str, step: int, values: object) -> None:
        """Send a report; a parent that is gone needs none."""
        with suppress(OSError):
            self.reports.send((kind, step, values))


@dataclass
class _Running:
    work: Work
    process: BaseProcess
    channel: Channel
    status: int | None = None
    """What the process said last, its status; None as long as it has not."""


Child = Callable[[Work, Channel, int], object]
"""Function of a module that trains a bundle in its process, for a parent with this id."""
Hear = Callable[[Work, str, int, Any], object]
"""Takes a report: the bundle, its kind `log`, `evaluation` or `failed`, the step and values.

True asks for a stop."""
Bury = Callable[[Death], Sequence[Work]]
"""Says and records a death; returns what is left to train of its bundle."""


def train_apart(work: Sequence[Work], jobs: int, child: Child, *, hear: Hear, bury: Bury) -> int:
    """Train each bundle of seeds in its own process, at most `jobs` at a time; start none after a stop."""
    with signals_held_back():  # or a signal to the whole group kills this helper of all processes
        resource_tracker.ensure_running()
    waiting, statuses, running, children = list(work), [DONE], list[_Running](), Children()
    with signals_left_to(children):
        while running or (waiting and not children.stopped):
            while waiting and len(running) < jobs and not children.stopped:
                with signals_held_back():
                    running.append(_started(waiting.pop(0), child))
                    children.running.append(running[-1].process)
            wait([one.process.sentinel for one in running] + _open_pipes(running), timeout=POLL)
            for one in running:
                if _heard(one, hear) and not children.stopped:
                    children.stop()
            for one in [one for one in running if one.process.exitcode is not None]:
                _heard(one, hear)
                running.remove(one)
                children.running.remove(one.process)
                status, left = _ended(one, children, bury)
                statuses.append(status)
                waiting += left
                one.channel.reports.close()
    return INTERRUPTED if waiting else max(statuses)


def _started(work: Work, child: Child) -> _Running:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    presence = RawArray("q", SIZE)
    process = context.Process(target=child, args=(work, Channel(theirs, presence), os.getpid()))
    process.name = work.title
    process.start()
    theirs.close()  # so that the end of the process is the end of the pipe
    return _Running(work, process, Channel(ours, presence))


def _open_pipes(running: Sequence[_Running]) -> list[Any]:
    return [one.channel.reports for one in running if one.status is None]


def _heard(one: _Running, hear: Hear) -> bool:
    """Take all reports that a process has sent; return whether one of them led to the wish to stop."""
    asked = False
    with suppress(EOFError, OSError):  # it has died, perhaps in the middle of a report
        while one.status is None and one.channel.reports.poll():
            kind, step, values = one.channel.reports.recv()
            if kind == "status":
                one.status = step
            else:
                asked |= hear(one.work, kind, step, values) is True
    return asked


def _ended(one: _Running, children: Children, bury: Bury) -> tuple[int, Sequence[Work]]:
    """Status of a process that has ended, and what is left to train of its bundle if it died."""
    code = one.process.exitcode
    if one.status is not None:
        return one.status, ()
    if children.stopped and code in {-number for number in STOP}:  # it was stopped before it listened
        return INTERRUPTED, ()
    if children.stopped:  # no fault of the environment
        killed = children.killed and code == -signal.SIGKILL
        bury(Death(one.work, "by the second signal" if killed else _in_words(code), NOWHERE))
        return FAILED, ()
    return FAILED, bury(Death(one.work, _in_words(code), Presence.read(one.channel.presence)))


def _in_words(code: int | None) -> str:
    """How a process ended, as words for a message.

    Example:
        >>> _in_words(-11), _in_words(7)
        ('by SIGSEGV', 'with status 7')
    """
    if code is not None and code < 0:
        with suppress(ValueError):
            killed = " (out of memory, or killed from outside)" if -code == signal.SIGKILL else ""
            return f"by {signal.Signals(-code).name}{killed}"
    return f"with status {code}"
