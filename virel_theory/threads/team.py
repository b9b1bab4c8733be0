"""Threads that share a piece of work: chunks are handed out one by one, and nobody is waited for in vain.

A *kernel* is a compiled function without the GIL, called as `kernel(*args, turns, n_chunks)` by every thread:
it takes chunks from the counter `turns` until none is left, reports each one as finished (`turns.take`) and
returns how many it did. What a chunk computes must depend on its number alone: then the results have the same
bits whoever computes it.

- A helper that is held up before its first chunk is not waited for: the caller does all the work, and the
  helper finds nothing left. One that is held up in a chunk is waited for until that chunk is done.
- Nobody spins: helpers, and a caller who waits, sleep on a queue.
- `Pace` compares: where sharing took longer than doing it alone would have, the next pieces of work are done
  alone, for twice as many pieces each time, up to `LONGEST_REST`.
- Helpers do not survive a fork; the child makes its own.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from virel_theory.threads.turns import FINISHED, NEXT, add, new_turns

LONGEST_REST = 64
TRIED_ALONE = 4
"""Which run of a kernel is done alone even if sharing seems to pay, to know how long that takes."""

Kernel = Callable[..., int]
Job = tuple[Kernel, tuple[Any, ...], SimpleQueue[BaseException | None]]

_helpers: list[SimpleQueue[Job]] = []
_lock = threading.Lock()


def _forget_helpers() -> None:
    """Start without helpers in a forked child, which has none of its parent's threads."""
    global _lock  # noqa: PLW0603  # a thread that no longer exists may hold it
    _helpers.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_helpers)


class Shared(NamedTuple):
    """How a piece of work was shared: chunks done by the caller, seconds of its work, and of the whole."""

    own: int
    own_s: float
    whole_s: float


def share(kernel: Kernel, args: tuple[Any, ...], *, n_chunks: int, n_helpers: int) -> Shared:
    """Run a kernel on all chunks, by the caller and up to `n_helpers` threads besides.

    It returns, or raises, only when no thread works on the arrays any more, also after Ctrl-C.
    """
    turns, done = new_turns(), SimpleQueue[BaseException | None]()
    everything, n_failed = (*args, turns, n_chunks), 0
    start = time.perf_counter()
    try:
        for jobs in _crew(n_helpers):
            jobs.put((kernel, everything, done))
        own = int(kernel(*everything))
        stop = time.perf_counter()
        while turns[FINISHED] < n_chunks:
            error = done.get()
            if error is not None:
                n_failed += 1
                raise error
    except BaseException:
        _call_off(turns, n_chunks, done, n_failed)
        raise
    return Shared(own, stop - start, time.perf_counter() - start)


def _call_off(turns: Any, n_chunks: int, done: "SimpleQueue[BaseException | None]", n_failed: int) -> None:
    """Let nobody begin another chunk, and wait for those begun; a second Ctrl-C does not end the wait.

    A kernel that raised leaves one chunk unfinished for ever: `n_failed` of them so far.
    """
    begun = min(int(add(turns, NEXT, n_chunks)), n_chunks)
    while turns[FINISHED] + n_failed < begun:
        try:
            n_failed += done.get(timeout=0.1) is not None
        except (Empty, KeyboardInterrupt):
            continue


def _crew(n: int) -> list["SimpleQueue[Job]"]:
    """Queues of n helpers; those that do not exist yet are started."""
    with _lock:
        while len(_helpers) < n:
            jobs = SimpleQueue[Job]()
            threading.Thread(target=_help, args=(jobs,), name="virel-helper", daemon=True).start()
            _helpers.append(jobs)
        return _helpers[:n]


def _help(jobs: "SimpleQueue[Job]") -> None:
    """Work on jobs as they come, for ever; keeps no array of a job that is done."""
    while True:
        kernel, args, done = jobs.get()
        error: BaseException | None = None
        try:
            kernel(*args)
        except BaseException as found:  # the caller raises it
            error = found
        done.put(error)
        del kernel, args, done, error


@dataclass
class Pace:
    """Who does the pieces of work of one solve: shared while that pays, alone for a while where it did not.

    Attributes:
        n_threads: threads that may share a piece.
        most: most threads asked to share a piece so far.
        n_shared: pieces that were shared.
        n_alone: pieces large enough to be shared that were done alone.
    """

    n_threads: int
    most: int = 1
    n_shared: int = 0
    n_alone: int = 0
    _rest: int = 0
    _backoff: int = 1
    _alone_s: dict[Any, float] = field(default_factory=dict)
    _runs: dict[Any, int] = field(default_factory=dict)

    def run(self, kernel: Kernel, args: tuple[Any, ...], *, n_chunks: int, n_threads: int) -> None:
        """Run a kernel on all chunks, with up to `n_threads` threads if sharing pays at present."""
        n_threads = min(n_threads, self.n_threads, n_chunks)
        if n_threads < 2:
            kernel(*args, new_turns(), n_chunks)
            return
        key = (kernel, n_chunks)
        self._runs[key] = self._runs.get(key, 0) + 1
        if self._rest > 0 or self._runs[key] == TRIED_ALONE:
            self._rest = max(self._rest - 1, 0)
            self.n_alone += 1
            self._alone_s[key] = share(kernel, args, n_chunks=n_chunks, n_helpers=0).whole_s
            return
        self.n_shared += 1
        self.most = max(self.most, n_threads)
        found = share(kernel, args, n_chunks=n_chunks, n_helpers=n_threads - 1)
        self._learn(found, n_chunks, self._alone_s.get(key, float("inf")))

    def _learn(self, found: Shared, n_chunks: int, alone_s: float) -> None:
        """Rest from sharing if it took longer than the caller alone would have: as known, or at its rate."""
        at_this_rate = found.own_s * n_chunks / found.own if found.own else float("inf")
        if found.whole_s > min(alone_s, at_this_rate):
            self._rest = self._backoff
            self._backoff = min(2 * self._backoff, LONGEST_REST)
        else:
            self._backoff = max(self._backoff // 2, 1)
