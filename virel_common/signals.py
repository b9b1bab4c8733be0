"""Signals that ask a command to stop: Ctrl-C, and those of schedulers and of terminals that close.

Only the standard library is imported here: the `virel` command listens before it imports anything else.
"""

import ctypes
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

WARNINGS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals of schedulers and of terminals that close."""


def heard(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those of some signals that this process is to hear: all but a SIGHUP that `nohup` has it ignore."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in numbers if not (ignored and one is signal.SIGHUP))


@contextmanager
def stop_signals_interrupt() -> Iterator[None]:
    """Treat SIGTERM and `WARNINGS` like Ctrl-C inside the block: none leaves anything half done.

    Any error that comes out of the block after a signal is taken for its consequence, because a library that
    is interrupted while it is imported may raise another one in the place of `KeyboardInterrupt`.
    """
    if threading.current_thread() is not threading.main_thread():  # others cannot set a handler
        yield
        return
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    numbers = heard(signal.SIGTERM, *WARNINGS)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers = (signal.SIGINT, *numbers)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except Exception:
        if came:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def signal_when_parent_dies(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent dies (Linux only).

    It may come several times: the kernel sends it for every thread of the parent that ends.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)
