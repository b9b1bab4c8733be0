"""Number of threads that kernels may use: numba's, but one in a forked child.

GNU OpenMP, which numba's parallel kernels use, does not survive a fork: a child that enters a parallel kernel
after its parent did hangs, or is killed. So a child runs the serial kernels.
"""

import os

_FORKED = [False]


def _forget_threads() -> None:
    _FORKED[0] = True


os.register_at_fork(after_in_child=_forget_threads)


def n_threads() -> int:
    """Number of threads for kernels: what numba would use, or 1 in a process that was forked."""
    from numba import get_num_threads  # noqa: PLC0415  (slow to import)

    return 1 if _FORKED[0] else int(get_num_threads())
