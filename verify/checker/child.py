"""Each file in a process of its own, which is ended when its time is over, whatever it is doing."""

import json
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from . import limits

GRACE = 1.1
"""Times its limit after which a process is ended: it should have noticed before."""
Answer = dict[str, Any]
"""What is known of one file, as plain data."""


class Running(NamedTuple):
    """Process that works on file number `number`, until `end` by `time.monotonic` at the latest."""

    number: int
    process: BaseProcess
    end: float


def answers(work: Callable[[Path], Answer], paths: Sequence[Path]) -> Iterator[Answer]:
    """Answer of `work` for each path, in their order; as many processes at a time as this one has CPUs.

    A process that dies, or takes longer than it may, has the answer `{"status": 1, "why": ...}`.
    """
    waiting, done, running = deque(enumerate(paths)), dict[int, Answer](), dict[Connection, Running]()
    try:
        for index in range(len(paths)):
            while index not in done:
                while waiting and len(running) < n_cpus():
                    running.update([_started(work, *waiting.popleft())])
                done.update(_finished(running))
            yield done.pop(index)
    finally:
        for child in running.values():
            child.process.kill()


def n_cpus() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _started(work: Callable[[Path], Answer], index: int, path: Path) -> tuple[Connection, Running]:
    """Start the process of one path; return the end of a pipe that its answer comes from, and the process."""
    fork = get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=_limited, args=(work, path, theirs), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of numpy, where it is loaded: not used
        process.start()
    theirs.close()
    return ours, Running(index, process, time.monotonic() + GRACE * limits.MAX_SECONDS)


def _limited(work: Callable[[Path], Answer], path: Path, answer_to: Connection) -> None:
    """Work on one path within the limits, and send the answer; messages of libraries go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    limits.limit_process()
    try:
        found = work(path)
    except Exception as error:  # a mistake of the checker: nothing is accepted
        found = _ended(f"{type(error).__name__} in the checker")
    answer_to.send_bytes(json.dumps(found).encode())


def _finished(running: dict[Connection, Running]) -> Iterator[tuple[int, Answer]]:
    """Wait for a process to end or to run out of time; remove all such, and yield their answers."""
    soonest = min(child.end for child in running.values())
    ready = wait(list(running), max(0, soonest - time.monotonic()))
    late = [pipe for pipe, child in running.items() if pipe not in ready and child.end <= time.monotonic()]
    for pipe in [*ready, *late]:
        assert isinstance(pipe, Connection)
        child = running.pop(pipe)
        yield child.number, _received(pipe) if pipe in ready else _ended("out of time")
        child.process.kill()
        child.process.join()
        pipe.close()


def _received(pipe: Connection) -> Answer:
    """Answer that a process has sent; without one, it died, as a library does that finds no memory."""
    try:
        return dict(json.loads(pipe.recv_bytes()))
    except EOFError:
        return _ended("out of memory, or of time")


def _ended(why: str) -> Answer:
    return {"status": 1, "why": f"undecided: {why}; the check was ended"}
