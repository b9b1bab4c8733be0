"""Fresh processes: each child is forked before any package of ours was ever imported."""

import importlib.abc
import importlib.machinery
import importlib.util
import multiprocessing
import multiprocessing.connection
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.scope import package_of, source_file

Job = Callable[[], Any]
FORK = multiprocessing.get_context("fork")
GRACE_SECONDS = 30
TIMEOUT = "timeout"
VARIABLE = "VIREL_MUTANT"
"""Environment variable with a mutant as JSON, for the plugin `benchmarks.mutation.planted` of pytest."""


class TimeUp(BaseException):
    """Signal that a child's time is up; not an `Exception`, so that no check takes it for its own."""


class _Loader(importlib.machinery.SourceFileLoader):
    """Loader that compiles a given text instead of the file's; it reads and writes no cache."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, _: str) -> CodeType:
        return compile(self.text, self.path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name, self.path, self.text = name, str(path), text

    def find_spec(
        self, name: str, _: Sequence[str] | None, __: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_loader(name, _Loader(name, self.path, self.text))


def install(mutant: Mutant) -> None:
    """Make later imports of the mutant's module get its mutated form.

    Kernels are safe too: the whole run has NUMBA_DISABLE_JIT=1, so there is no compiled code to be stale.
    """
    package, path = package_of(mutant.module), source_file(mutant.module)
    name = f"{package}.{mutant.module}"
    if package in sys.modules:
        raise RuntimeError(f"{package} has been imported before its mutant")
    sys.meta_path.insert(0, _Finder(name, path, mutant.apply(path.read_text())))


def in_children(
    jobs: Sequence[tuple[Any, Job]], *, n_parallel: int, seconds: float
) -> Iterator[tuple[Any, Any, float]]:
    """Run each job in a forked process of its own; yields its label, what it returned, its seconds.

    A job that takes too long, or takes its process down, returns a string that says so.
    """
    waiting = list(reversed(jobs))
    running: dict[Any, tuple[Any, Any, float]] = {}
    while waiting or running:
        while waiting and len(running) < n_parallel:
            label, job = waiting.pop()
            ours, theirs = FORK.Pipe(duplex=False)
            process = FORK.Process(target=_child, args=(theirs, job, seconds))
            process.start()
            theirs.close()
            running[ours] = label, process, time.perf_counter()
        for ready in multiprocessing.connection.wait(list(running), timeout=1) or _overdue(running, seconds):
            label, process, start = running.pop(ready)
            yield label, _received(ready), time.perf_counter() - start
            process.kill()
            process.join()


def _received(end: Any) -> Any:
    try:
        return end.recv() if end.poll() else TIMEOUT
    except EOFError:
        return "the process died"


def _overdue(running: dict[Any, tuple[Any, Any, float]], seconds: float) -> list[Any]:
    now = time.perf_counter()
    return [end for end, (_, _, start) in running.items() if now - start > seconds + GRACE_SECONDS]


def _child(end: Connection, job: Job, seconds: float) -> None:
    def stop(*_: object) -> None:
        raise TimeUp

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 2.0)
    try:
        answer = job()
    except TimeUp:
        answer = TIMEOUT
    except Exception as error:
        answer = f"raises {type(error).__name__}: {error}"[:300]
    signal.setitimer(signal.ITIMER_REAL, 0)
    end.send(answer)
    end.close()
