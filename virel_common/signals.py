"""Signals that ask a command to stop: Ctrl-C, and those of schedulers and of terminals that close.

Only the standard library is imported here: the `virel` command listens before it imports anything else.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WARNINGS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals of schedulers and of terminals that close."""
STOP_CHILD = signal.SIGUSR1
"""Signal by which a parent asks its children to save and stop, one of those that may come twice.

A scheduler's signal to the whole group reaches the children directly, and once more through the parent."""
PATIENCE, AGAIN = 10.0, 0.05
"""Seconds that a signal is held back at most during an import, and until it is tried again."""
IMPORTS = "<frozen importlib._bootstrap>"
_held: list[tuple[int, float]] = []
"""The signal that is held back, and until when; empty if there is none."""


def heard(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those of some signals that this process is to hear: all but a SIGHUP that `nohup` has it ignore."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in numbers if not (ignored and one is signal.SIGHUP))


@contextmanager
def stop_signals_interrupt() -> Iterator[None]:
    """Treat SIGTERM and `WARNINGS` like Ctrl-C inside the block: none leaves anything half done.

    While a module is imported, the first signal is held back until it is there, or for `PATIENCE`: an
    exception inside of a library's C++ initialisation would abort the process. A second one is obeyed at
    once. Any error that comes out of the block after a signal is taken for its consequence, because a library
    that is interrupted while it is imported may raise another one in the place of `KeyboardInterrupt`.
    """
    if threading.current_thread() is not threading.main_thread():  # others cannot set a handler
        yield
        return
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if _importing(frame) and not _held:
            _held.append((number, time.monotonic() + PATIENCE))
            signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            _held.clear()
            signal.default_int_handler(number, frame)

    numbers = heard(signal.SIGTERM, *WARNINGS)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers = (signal.SIGINT, *numbers)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _send_what_is_held)
    try:
        yield
    except Exception:
        if came:
            raise KeyboardInterrupt from None
        raise
    finally:
        if before[signal.SIGALRM] is not _send_what_is_held:  # the outermost block: none is left to hear it
            signal.setitimer(signal.ITIMER_REAL, 0)
            _held.clear()
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _send_what_is_held(_number: int, frame: FrameType | None) -> None:
    """Send the signal that was held back to whoever handles it now, once no import goes on or time is up."""
    if _held and _importing(frame) and time.monotonic() < _held[0][1]:
        return
    signal.setitimer(signal.ITIMER_REAL, 0)
    if _held:
        number, _ = _held[0]
        signal.raise_signal(number)  # its handler finds it in `_held`, and obeys
        _held.clear()


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame is inside of an import."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTS:
            return True
        frame = frame.f_back
    return False


def signal_when_parent_dies(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies (Linux only).

    It may come several times: the kernel sends it for every thread of the parent that ends.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)
