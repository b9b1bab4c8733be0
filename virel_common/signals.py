"""Signals that ask a command to stop: Ctrl-C, and those of schedulers and of terminals that close.

Only the standard library is imported here: the `virel` command listens before it imports anything else.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

WARNINGS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals of schedulers and of terminals that close."""


def heard(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those of some signals that this process is to hear: all but a SIGHUP that `nohup` has it ignore."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in numbers if not (ignored and one is signal.SIGHUP))


@contextmanager
def stop_signals_interrupt() -> Iterator[None]:
    """Treat SIGTERM and `WARNINGS` like Ctrl-C inside the block: none leaves anything half done."""
    if threading.current_thread() is not threading.main_thread():  # others cannot set a handler
        yield
        return
    numbers = heard(signal.SIGTERM, *WARNINGS)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
