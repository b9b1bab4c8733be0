"""Jobs that need several lives, for tests of engines; workers import this module, so it must be quick."""

import os
import signal
import stat
import struct
import time
from pathlib import Path

from virel_common.errors import InputError
from virel_common.worker import Stopped


def call(path):
    """How many calls with this path there were, this one included."""
    with Path(path).open("a") as file:
        file.write("x")
    return Path(path).stat().st_size


def half_an_answer(path):
    """At the first call, send the beginning of a long answer and die; then return the number of calls."""
    calls = call(path)
    if calls == 1:
        pipe = next(fd for fd in range(3, 100) if is_socket(fd))
        os.write(pipe, struct.pack("!i", 1000) + b"the beginning")
        os._exit(1)
    return calls


def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def stopped_until(path, n):
    """Save and stop at the first `n` calls, as a training does at a signal; then return their number."""
    calls = call(path)
    if calls <= n:
        raise Stopped("by a signal")
    return calls


def saves_at_a_signal(path):
    """At the first call, wait for SIGTERM, save and stop; then return the number of calls."""
    if (calls := call(path)) == 1:
        came = []
        signal.signal(signal.SIGTERM, lambda *_: came.append(1))
        Path(f"{path}.pid").write_text(str(os.getpid()))
        while not came:
            time.sleep(0.02)
        raise Stopped("by a signal")
    return calls


def refuses():
    raise InputError("`folder` must be there; found none")


def trains(run):
    """A training by the name of its folder: some die, some raise, some are stopped."""
    if "killed" in run.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "raises" in run.name:
        raise RuntimeError("not enough memory\nfor all of this")
    if "stops" in run.name:
        raise Stopped("by a signal")
    if "fails" in run.name:
        (run / "log.txt").write_text("this is why\n")
    return 1 if "fails" in run.name else 0
