"""Worker process that runs jobs one after the other for the thread that started it.

A job and its outcome travel as pickled bytes, which only the two ends unpack: nothing on the way, such as the
head of a cluster, needs to know the job's function.
"""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Self

from virel_common.errors import InputError
from virel_common.signals import STOP_CHILD, signal_when_parent_dies

LIVES = 3
"""Processes that a job may use up: a job whose process dies, or that is stopped, this often is given up."""
GRACE = 60.0
"""Seconds between `STOP_CHILD` and SIGKILL for a job that is not wanted: a training saves in this time."""
POLL = 0.2
"""Seconds between two looks whether a running job is still wanted."""
LIBRARIES = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA")
"""Numerical libraries that read `NAME_NUM_THREADS`: a worker gets one thread of each."""
STOPPED = b""
"""Outcome of a job that raised `Stopped`: the thread that waits for it need not unpack any other."""


class Unwanted(Exception):
    """Exception raised when a running job is stopped because its result is no longer wanted."""


class Stopped(Exception):
    """Exception that a job raises if a signal stopped it, after it has saved what it needs to continue.

    The signal may be one that a scheduler sends to all processes of a machine whose time is over. A job that
    is still wanted then starts again, as if its process had died.
    """


def pack(function: Callable[..., Any], args: tuple[Any, ...], folder: str) -> bytes:
    """Pickle a job `function(*args)` together with the working folder that it runs in."""
    return bytes(ForkingPickler.dumps((function, args, folder)))


def unpack(outcome: bytes) -> tuple[Any, BaseException | None]:
    """Unpickle a job's outcome: its value, and the exception that it raised, or None if it raised none."""
    value, error = ForkingPickler.loads(outcome)
    return value, error


class Worker:
    """Context manager around a worker process, which is started when first needed and restarted if it dies.

    The process ends with the thread that started it, even if that is killed (on Linux).
    On leaving the block it gets `STOP_CHILD`, and SIGKILL if it is still there after `GRACE` seconds.

    Args:
        wanted: whether the result of the running job is still wanted; looked at every `POLL` seconds.
    """

    def __init__(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Prepare a worker without starting its process; the first job starts it."""
        self._wanted = wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def run(self, job: bytes) -> bytes:
        """Run a pickled job in the worker process; return its pickled outcome.

        A job whose process dies, or that is stopped, starts again in a new process, up to `LIVES` times.

        Raises:
            Unwanted: the result is not wanted any more; the process may still be at work.
            OSError: no process can be started.
        """
        lost = Exception()
        for _ in range(LIVES):
            connection = self._connection or self._start()
            try:
                outcome = self._exchange(connection, job)
                if outcome != STOPPED:
                    return outcome
                lost = Stopped(f"a signal stopped the job {LIVES} times")
                self.stop()
            except (EOFError, OSError):  # an OSError of no further kind: it died in the middle of a message
                lost = _died(self.stop())
        return pack_failure(lost)

    def _exchange(self, connection: Connection, job: bytes) -> bytes:
        connection.send_bytes(job)
        while not connection.poll(POLL):
            if not self._wanted():
                raise Unwanted
        return connection.recv_bytes()

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        command = f"from virel_common.worker import serve; serve({theirs.fileno()}, {os.getpid()})"
        paths = {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        threads = {f"{name}_NUM_THREADS": "1" for name in LIBRARIES}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", command],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **paths, **threads},
            )
        self._connection = ours
        return ours

    def stop(self) -> int | None:
        """End the worker process, if any, by `STOP_CHILD` or else SIGKILL; return its exit status."""
        if self._process is None or self._connection is None:
            return None
        process, self._process = self._process, None
        self._connection.close()
        self._connection = None
        process.send_signal(STOP_CHILD)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(GRACE)
        process.kill()
        return process.wait()

    def __enter__(self) -> Self:
        """Enter a `with` block around a worker; its process starts with the first job."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker process on leaving the `with` block."""
        self.stop()


def _died(code: int | None) -> BrokenExecutor:
    died = f"a worker process died {LIVES} times over one job (exit status {code})"
    return BrokenExecutor(f"{died}: killed, out of memory, or ended by the job itself")


def serve(handle: int, parent: int) -> None:
    """Main loop of a worker process: run each job that comes through a pipe, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; what it means, the parent says
    _end_with(parent)
    with suppress(EOFError, ConnectionError), Connection(handle) as connection:
        while True:
            connection.send_bytes(_outcome(connection.recv_bytes()))


def _outcome(job: bytes) -> bytes:
    try:
        function, args, folder = ForkingPickler.loads(job)
        _enter(folder)
        return bytes(ForkingPickler.dumps((function(*args), None)))
    except Stopped:
        return STOPPED
    except BaseException as error:  # whatever it is, `unpack` returns it
        return pack_failure(error)


def pack_failure(error: BaseException) -> bytes:
    """Pickle an exception with its traceback as a note, or only its text if it can't be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        packed = bytes(ForkingPickler.dumps((None, error)))
        ForkingPickler.loads(packed)
    except Exception:
        return bytes(ForkingPickler.dumps((None, RuntimeError(f"{type(error).__name__}: {error}"))))
    return packed


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        place = f"{os.uname().nodename} has no folder {folder} ({error.strerror})"
        raise InputError(f"{place}; workers need a file system that they share with this machine") from None


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent thread ends; otherwise a job could run twice."""
    signal_when_parent_dies(signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel knew
        os._exit(1)
