"""What the machine allows: read bandwidth, random gathers, and one sweep of T* beside both."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange

from benchmarks.theory import _instances
from virel_theory import _backups
from virel_theory.mdp import TabularMDP


@njit(parallel=True)
def _read(x, n_chunks):  # type: ignore[no-untyped-def]
    """Sum of x, eight accumulators a chunk: bound by reading."""
    out = np.zeros(n_chunks)
    for c in prange(n_chunks):
        acc = np.zeros(8)
        for i in range(c * len(x) // n_chunks // 8, (c + 1) * len(x) // n_chunks // 8):
            for k in range(8):
                acc[k] += x[8 * i + k]
        out[c] = acc.sum()
    return out.sum()


@njit(parallel=True)
def _gather(index, v, n_chunks):  # type: ignore[no-untyped-def]
    """Sum of v[index]: bound by gathers."""
    out = np.zeros(n_chunks)
    for c in prange(n_chunks):
        even, odd = 0.0, 0.0
        for i in range(c * len(index) // n_chunks // 2, (c + 1) * len(index) // n_chunks // 2):
            even += v[np.uint64(index[2 * i])]
            odd += v[np.uint64(index[2 * i + 1])]
        out[c] = even + odd
    return out.sum()


def sweep_and_floors(mdp: TabularMDP) -> dict[str, float]:
    """Seconds of one sweep of T*, and what reading its bytes, or only gathering its values, takes."""
    b = _backups.backups(mdp.transition, mdp.reward, mdp.gamma)
    v, w = np.zeros(mdp.n_states), np.empty(mdp.n_states)
    chunks = 8 * get_num_threads()
    out = {"sweep_s": best_of(lambda: b.full(v, w))}
    read = np.ones(2**25)
    out["bandwidth"] = read.nbytes / best_of(lambda: _read(read, chunks))
    out["floor_s"] = _instances.n_bytes(mdp) / out["bandwidth"]
    if not isinstance(mdp.transition, np.ndarray):
        index = mdp.transition.indices[: 2**24]
        out["gather_s"] = (
            best_of(lambda: _gather(index, v, chunks)) * len(mdp.transition.indices) / len(index)
        )
    return out


def best_of(run: Callable[[], Any], repeats: int = 5) -> float:
    """Smallest time of some runs after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
