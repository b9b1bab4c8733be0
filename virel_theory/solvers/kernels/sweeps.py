"""Kernels of sparse Bellman sweeps: compiled loops that check nothing; the caller owns the out-arguments.

Rows are `s*A + a` of a CSR matrix. `reward` is `-inf` where the action does not exist, so that no loop needs
a mask. Indices are cast to unsigned: numba then emits no test for negative indices, which halves the time of
a sweep. The hot loops keep two accumulators per row, which breaks the chain of additions, and are written
out: numba counts references, atomically, at every call that LLVM does not inline. `shared` gives chunks of
states to threads.

`ahead`: how many entries before its use a value of v is fetched (`prefetch`), where successors are scattered
and v is larger than the inner caches; `NEVER` elsewhere. Without it a sweep waits for v: it takes twice as
long.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.solvers.kernels import prefetch

NEVER = np.uint64(2**62)
_ONE, _TWO, _LINE = np.uint64(1), np.uint64(2), np.uint64(8)


@njit(cache=True, nogil=True)
@no_type_check
def row_dot(data, indices, start, stop, v):
    """Inner product of a CSR row with v: sum of `data[j] * v[indices[j]]`, `start <= j < stop` (unsigned)."""
    acc = 0.0
    for j in range(start, stop):
        acc += data[j] * v[np.uint64(indices[j])]
    return acc


@njit(cache=True, nogil=True)
@no_type_check
def full_range(indptr, indices, data, reward, gamma, v, q, w, policy, first, last, ahead):
    """Sweep of T* over states first..last-1: `q <- r + gamma P v`, `w <- max q`, `policy <- argmax q`.

    Returns the smallest and the largest entry of w - v.
    """
    low, high, n_actions, n_entries = np.inf, -np.inf, reward.shape[1], np.uint64(len(indices))
    for s in range(first, last):
        best, arg = -np.inf, 0
        j = np.uint64(indptr[s * n_actions])
        for a in range(n_actions):
            stop = np.uint64(indptr[s * n_actions + a + 1])
            even, odd = 0.0, 0.0
            if stop + ahead < n_entries:
                prefetch.near(indices, j + ahead + ahead)
                prefetch.near(data, j + ahead)
                prefetch.near(data, j + ahead + _LINE)
                while j + _ONE < stop:
                    prefetch.far(v, np.uint64(indices[j + ahead]))
                    prefetch.far(v, np.uint64(indices[j + ahead + _ONE]))
                    even += data[j] * v[np.uint64(indices[j])]
                    odd += data[j + _ONE] * v[np.uint64(indices[j + _ONE])]
                    j += _TWO
            else:
                while j + _ONE < stop:
                    even += data[j] * v[np.uint64(indices[j])]
                    odd += data[j + _ONE] * v[np.uint64(indices[j + _ONE])]
                    j += _TWO
            if j < stop:
                even += data[j] * v[np.uint64(indices[j])]
                j += _ONE
            x = reward[s, a] + gamma * (even + odd)
            q[s, a] = x
            if x > best:
                best, arg = x, a
        w[s] = best
        policy[s] = arg
        d = best - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True, nogil=True)
@no_type_check
def lazy_range(indptr, indices, data, reward, gamma, v, q, drift, w, policy, first, last):
    """Lazy sweep of T* over states first..last-1, skipping actions ruled out by the upper bounds `q + drift`.

    `w <- T v`, `policy <- argmax`. On entry w is the backup of the old policy. `q` holds each action's value
    when it was last computed, minus the drift at that time; drift bounds how much values have grown. Returns
    the smallest and the largest entry of w - v.
    """
    low, high, n_actions = np.inf, -np.inf, reward.shape[1]
    for s in range(first, last):
        best, arg = w[s], policy[s]
        q[s, arg] = best - drift
        for a in range(n_actions):
            if q[s, a] + drift > best and a != arg:
                j = np.uint64(indptr[s * n_actions + a])
                stop = np.uint64(indptr[s * n_actions + a + 1])
                even, odd = 0.0, 0.0
                while j + _ONE < stop:
                    even += data[j] * v[np.uint64(indices[j])]
                    odd += data[j + _ONE] * v[np.uint64(indices[j + _ONE])]
                    j += _TWO
                if j < stop:
                    even += data[j] * v[np.uint64(indices[j])]
                x = reward[s, a] + gamma * (even + odd)
                q[s, a] = x - drift
                if x > best:
                    best, arg = x, a
        w[s] = best
        policy[s] = arg
        d = best - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True)
@no_type_check
def share_in_doubt(indptr, indices, data, reward, gamma, v, q, drift, policy, step):
    """Share of the action values that a lazy sweep would compute, estimated from every `step`-th state."""
    n_actions, doubts, seen = reward.shape[1], 0, 0
    for s in range(0, len(v), step):
        row = s * n_actions + policy[s]
        total = row_dot(data, indices, np.uint64(indptr[row]), np.uint64(indptr[row + 1]), v)
        best = reward[s, policy[s]] + gamma * total
        for a in range(n_actions):
            doubts += q[s, a] + drift > best and a != policy[s]
        seen += n_actions
    return doubts / seen


@njit(cache=True, nogil=True)
@no_type_check
def policy_range(starts, stops, indices, data, reward, gamma, v, w, first, last, ahead):
    """Sweep of a policy over states first..last-1: `w <- r_pi + gamma P_pi v`, rows from `starts` to `stops`.

    Returns the smallest and the largest entry of w - v.
    """
    low, high, n_entries = np.inf, -np.inf, np.uint64(len(indices))
    for s in range(first, last):
        j, stop = np.uint64(starts[s]), np.uint64(stops[s])
        even, odd = 0.0, 0.0
        if stop + ahead < n_entries:
            prefetch.near(indices, j + ahead + ahead)
            prefetch.near(data, j + ahead)
            prefetch.near(data, j + ahead + _LINE)
            while j + _ONE < stop:
                prefetch.far(v, np.uint64(indices[j + ahead]))
                prefetch.far(v, np.uint64(indices[j + ahead + _ONE]))
                even += data[j] * v[np.uint64(indices[j])]
                odd += data[j + _ONE] * v[np.uint64(indices[j + _ONE])]
                j += _TWO
        else:
            while j + _ONE < stop:
                even += data[j] * v[np.uint64(indices[j])]
                odd += data[j + _ONE] * v[np.uint64(indices[j + _ONE])]
                j += _TWO
        if j < stop:
            even += data[j] * v[np.uint64(indices[j])]
        x = reward[s] + gamma * (even + odd)
        w[s] = x
        d = x - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True, nogil=True)
@no_type_check
def chosen_range(indptr, indices, data, reward, policy, gamma, v, w, first, last):
    """Evaluate a policy by one sweep over states first..last-1, reading the MDP's own rows, not a copy.

    Returns the smallest and the largest entry of w - v.
    """
    low, high, n_actions = np.inf, -np.inf, reward.shape[1]
    for s in range(first, last):
        a = policy[s]
        j, stop = np.uint64(indptr[s * n_actions + a]), np.uint64(indptr[s * n_actions + a + 1])
        even, odd = 0.0, 0.0
        while j + _ONE < stop:
            even += data[j] * v[np.uint64(indices[j])]
            odd += data[j + _ONE] * v[np.uint64(indices[j + _ONE])]
            j += _TWO
        if j < stop:
            even += data[j] * v[np.uint64(indices[j])]
        x = reward[s, a] + gamma * (even + odd)
        w[s] = x
        d = x - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True)
@no_type_check
def gauss_seidel(indptr, indices, data, reward, gamma, v, policy, backward):
    """Gauss-Seidel sweep of T* on `v` in place, states in rising or falling order; `policy <- argmax`."""
    n_states, n_actions = reward.shape
    for i in range(n_states):
        s = n_states - 1 - i if backward else i
        best, arg = -np.inf, 0
        start = np.uint64(indptr[s * n_actions])
        for a in range(n_actions):
            stop = np.uint64(indptr[s * n_actions + a + 1])
            x = reward[s, a] + gamma * row_dot(data, indices, start, stop, v)
            start = stop
            if x > best:
                best, arg = x, a
        v[s] = best
        policy[s] = arg


@njit(cache=True)
@no_type_check
def live_sweep(indptr, indices, data, reward, gamma, v, q, w, alive, counts):
    """Sweep of T* over the actions in `alive[s, :counts[s]]`: `q <- r + gamma P v` on them, `w <- max q`.

    Returns the smallest and the largest entry of w - v.
    """
    low, high, n_actions = np.inf, -np.inf, reward.shape[1]
    for s in range(len(v)):
        best = -np.inf
        for i in range(counts[s]):
            a = alive[s, i]
            row = s * n_actions + a
            start, stop = np.uint64(indptr[row]), np.uint64(indptr[row + 1])
            x = reward[s, a] + gamma * row_dot(data, indices, start, stop, v)
            q[s, a] = x
            best = max(best, x)
        w[s] = best
        d = best - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True)
@no_type_check
def eliminate(q, w, margin, alive, counts):
    """Drop from `alive` the actions over `margin` below the best of their state; return how many stay."""
    total = 0
    for s in range(len(w)):
        kept = 0
        for i in range(counts[s]):
            a = alive[s, i]
            if q[s, a] >= w[s] - margin:
                alive[s, kept] = a
                kept += 1
        counts[s] = kept
        total += kept
    return total
