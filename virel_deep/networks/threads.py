"""Threads of a computation: as many as a run asks for inside a block, and as many as before after it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch
from threadpoolctl import threadpool_limits

_lock, _limits = Lock(), ExitStack()
_before: list[int] = []
"""Torch's number of threads before any block began, once for each that is running."""


@contextmanager
def computing_threads(number: int) -> Iterator[None]:
    """Compute with so many threads of torch, numpy and SciPy inside the block.

    Several blocks may run at a time, each in a thread of its own. The BLAS of numpy and SciPy counts for the
    whole process, so the last of them puts its number back.

    Example:
        >>> before = torch.get_num_threads()
        >>> with computing_threads(before + 1):
        ...     torch.get_num_threads() - before
        1
        >>> torch.get_num_threads() - before
        0
    """
    with _lock:
        _before.append(_before[0] if _before else torch.get_num_threads())
        _limits.enter_context(threadpool_limits(number, user_api="blas"))
        torch.set_num_threads(number)
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if not _before:
                _limits.close()
            torch.set_num_threads(before)  # last, because the limits put OpenMP's number back as well
