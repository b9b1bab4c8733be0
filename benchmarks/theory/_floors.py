"""Limits of the machine: read bandwidth and random gathers, compared with one sweep of T*."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange

from benchmarks.theory import _instances
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers import backups as _backups
from virel_theory.solvers.kernels import prefetch
from virel_theory.solvers.problem import problem


@njit(parallel=True)
def _read(x, n_chunks):  # type: ignore[no-untyped-def]
    """Sum of x with eight accumulators per chunk; reading memory limits its speed."""
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
    """Sum of v[index], fetched ahead; gathering limits its speed."""
    out = np.zeros(n_chunks)
    last = len(index) - 2
    for c in prange(n_chunks):
        even, odd = 0.0, 0.0
        for i in range(c * len(index) // n_chunks // 2, (c + 1) * len(index) // n_chunks // 2):
            k = min(2 * i + 400, last)
            prefetch.far(v, np.uint64(index[k]))
            prefetch.far(v, np.uint64(index[k + 1]))
            even += v[np.uint64(index[2 * i])]
            odd += v[np.uint64(index[2 * i + 1])]
        out[c] = even + odd
    return out.sum()


def sweep_and_floors(mdp: TabularMDP) -> dict[str, float]:
    """Seconds of one sweep of T*, of reading its bytes, and of gathering its values only."""
    b = _backups.backups(problem(mdp, atol=0.0, rtol=0.0, sense="max"))
    v, w, read = np.zeros(mdp.n_states), np.empty(mdp.n_states), np.ones(2**27)
    chunks = 8 * get_num_threads()
    runs = {"sweep_s": lambda: b.full(v, w), "read_s": lambda: _read(read, chunks)}
    if not isinstance(mdp.transition, np.ndarray):
        runs["gather_s"] = lambda: _gather(mdp.transition.indices, v, chunks)
    out = best_of(runs)
    out["bandwidth"] = read.nbytes / out.pop("read_s")
    return out | {"floor_s": _instances.n_bytes(mdp) / out["bandwidth"]}


def best_of(runs: dict[str, Callable[[], Any]], repeats: int = 9) -> dict[str, float]:
    """Smallest time of each job, in turns: neighbours on a shared socket change bandwidth by the second."""
    out = dict.fromkeys(runs, np.inf)
    for k in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if k > 0:  # the first turn compiles
                out[name] = min(out[name], time.perf_counter() - start)
    return out
