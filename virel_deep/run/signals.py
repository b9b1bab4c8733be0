"""Signals that ask a training to save and stop, in one process and in a parent with children."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

from virel_common.signals import STOP_CHILD, WARNINGS, heard, signal_when_parent_dies

KILL_TWICE = (signal.SIGINT, signal.SIGTERM)
"""Signals of impatient people: the first one saves and stops, a second one kills."""
STOP = (*KILL_TWICE, *WARNINGS)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a signal requested a stop; a second of `KILL_TWICE` kills.

    In a thread, where Python can set no handler, nothing requests a stop.
    """
    if not in_main_thread():
        yield lambda: False
        return
    seen: list[int] = []

    def note(number: int, _frame: Any) -> None:
        seen.append(number)
        if number in KILL_TWICE:
            signal.signal(number, signal.SIG_DFL)

    with _handled_by(note):
        yield lambda: bool(seen)


@dataclass
class Children:
    """Processes that train, whether they were asked to stop, and whether they were killed."""

    running: list[BaseProcess] = field(default_factory=list)
    stopped: bool = False
    killed: bool = False

    def stop(self, number: int = STOP_CHILD) -> None:
        """Send a signal to every child that still runs: by default the one that asks to save and stop."""
        self.stopped = True
        self.killed |= number == signal.SIGKILL
        for process in list(self.running):
            if process.pid is not None and process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)


@contextmanager
def signals_left_to(children: Children) -> Iterator[None]:
    """Pass stop signals on to the child processes.

    The parent itself survives them, to wait for its children; a second of `KILL_TWICE` kills those.
    """
    if not in_main_thread():
        yield
        return
    with stop_signals_passed_to(lambda again: children.stop(signal.SIGKILL if again else STOP_CHILD)):
        yield


@contextmanager
def stop_signals_passed_to(stop: Callable[[bool], None]) -> Iterator[None]:
    """Call a function at every stop signal; its argument is whether one of `KILL_TWICE` came again."""
    seen: list[int] = []

    def pass_on(number: int, _frame: Any) -> None:
        again = number in KILL_TWICE and number in seen
        seen.append(number)
        stop(again)

    with _handled_by(pass_on):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle every stop signal by a function, and as before after the block."""
    before = {number: signal.signal(number, handler) for number in heard(*STOP)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold stop signals back during the block, and in a process that is started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_stops_of(parent: int) -> bool:
    """Let stop signals reach this child, and have the kernel send one when its parent dies.

    Otherwise a child could still train while a resumed run trains the same seeds. Ctrl-C stays blocked, as it
    was when this process began: the parent passes it on, once.

    Returns:
        Whether the parent is still alive.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP} - {signal.SIGINT})
    signal_when_parent_dies(STOP_CHILD)
    return os.getppid() == parent


def in_main_thread() -> bool:
    """Whether this is the main thread, the only one in which Python can handle signals."""
    return threading.current_thread() is threading.main_thread()
