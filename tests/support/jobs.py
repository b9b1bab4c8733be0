"""Jobs for tests of engines: workers import them by name."""

import os
import signal
import time
from pathlib import Path

from virel_common.signals import STOP_CHILD


def place(x, seconds=0.0):
    """What the job got; its process, folder and number of numerical threads; the parent of its process."""
    time.sleep(seconds)
    return x, os.getpid(), str(Path.cwd()), os.environ["OPENBLAS_NUM_THREADS"], os.getppid()


def dies_until(path, n):
    """Kill the process at the first `n` calls with this path; then return how many calls there were."""
    with open(path, "a") as file:  # noqa: PTH123
        file.write("x")
    calls = Path(path).stat().st_size
    if calls <= n:
        os.kill(os.getpid(), signal.SIGKILL)
    return calls


def fails(text):
    raise ValueError(text)


def returns_a_function():
    return lambda: None


def saves_when_asked(path):
    """Run until `STOP_CHILD` comes, as a training does, then save."""
    stopped = []
    signal.signal(STOP_CHILD, lambda *_: stopped.append(1))
    Path(f"{path}.started").write_text(str(os.getpid()))
    while not stopped:
        time.sleep(0.05)
    time.sleep(0.5)
    Path(f"{path}.saved").write_text("")


def never_stops(path):
    """Run until SIGKILL comes."""
    signal.signal(STOP_CHILD, signal.SIG_IGN)
    Path(f"{path}.started").write_text(str(os.getpid()))
    while True:
        time.sleep(1)


def wait_for(condition, *, seconds=60):
    """Wait until a condition holds; fail after some time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def alive(pid):
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
