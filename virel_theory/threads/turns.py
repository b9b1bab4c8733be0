"""Counter from which threads take turns: each `take` is one atomic addition, whatever the other threads do.

The counter is an int64 array of two cache lines: `turns[NEXT]` is the next chunk that nobody has begun,
`turns[FINISHED]` how many chunks are finished.
"""

import os
import threading
from typing import no_type_check

import numpy as np
from numba.core import cgutils, types
from numpy.typing import NDArray

from virel_common.compiled import njit
from virel_theory.lowered import lowered

NEXT, FINISHED, SIZE = 0, 8, 16
_lock = threading.Lock()


def new_turns() -> NDArray[np.int64]:
    """Counter of a piece of work of which nothing is begun."""
    return np.zeros(SIZE, dtype=np.int64)


def _new_lock() -> None:
    """In a forked child: the lock may be held by a thread of the parent, which does not exist here."""
    global _lock  # noqa: PLW0603  # threads share it
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


def take_interpreted(turns: NDArray[np.int64], place: int, amount: int) -> int:
    """Plain form of `take`."""
    with _lock:
        before = int(turns[place])
        turns[place] = before + amount
    return before


@lowered(take_interpreted)
@no_type_check
def take(typingctx, turns, place, amount):  # noqa: ARG001  # numba's protocol
    """Add `amount` to `turns[place]`, atomically; returns what was there before."""

    def codegen(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        where = cgutils.gep_inbounds(builder, array.data, args[1])
        return builder.atomic_rmw("add", where, args[2], "seq_cst")

    return types.int64(turns, types.int64, types.int64), codegen


@njit(cache=True)
@no_type_check
def add(turns, place, amount):
    """Add `amount` to `turns[place]` from Python, atomically; returns what was there before."""
    return take(turns, place, amount)
