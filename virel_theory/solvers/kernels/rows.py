"""Kernels around Bellman sweeps: copying a policy's rows, maxima.

Rows and indices are laid out as in `sweeps`.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.checks import Array

_ONE = np.uint64(1)


def peak(x: Array) -> float:
    """Largest absolute value of an array; infinite where there is a NaN."""
    return float(largest(x if x.ndim == 1 else x.reshape(-1)))


@njit(cache=True)
@no_type_check
def largest(x):
    """Largest absolute value of a vector; a NaN counts as infinite."""
    out = 0.0
    for value in x:
        if not abs(value) <= out:
            out = np.inf if np.isnan(value) else abs(value)
    return out


@njit(cache=True)
@no_type_check
def copy(x, out):
    """`out <- x`, contiguous and of one shape; `out[:] = x` takes seconds to compile, for its message."""
    x, out = x.reshape(-1), out.reshape(-1)
    for i in range(len(out)):
        out[i] = x[i]


@njit(cache=True)
@no_type_check
def row_max(table, out):
    """Row maxima of a table, `out[s] <- max_a table[s, a]`."""
    for s in range(len(out)):
        best = table[s, 0]
        for a in range(1, table.shape[1]):
            best = max(best, table[s, a])
        out[s] = best


@njit(cache=True)
@no_type_check
def finish(q, shift, value, policy):
    """Add a `shift` to the table q; then `value <- max_a q`, `policy <- argmax_a q` (the first, if tied)."""
    for s in range(len(value)):
        best, arg = -np.inf, 0
        for a in range(q.shape[1]):
            x = q[s, a] + shift
            q[s, a] = x
            if x > best:
                best, arg = x, a
        value[s] = best
        policy[s] = arg


@njit(cache=True)
@no_type_check
def slots(indptr, n_states, n_actions, offsets):
    """Lay out a slot per state for a policy's transition rows: `offsets[s] <-` its start; return the size.

    An empty `offsets` is not written to.
    """
    total = 0
    for s in range(n_states):
        if len(offsets) > 0:
            offsets[s] = total
        longest = 0
        for a in range(n_actions):
            longest = max(longest, indptr[s * n_actions + a + 1] - indptr[s * n_actions + a])
        total += longest
    return total


@njit(cache=True)
@no_type_check
def gather_changed(indptr, indices, data, reward, policy, old, offsets, stops, out_indices, out_data, r_pi):
    """Copy a state's transition row to its slot where `policy` differs from `old` (-1: not copied yet).

    Returns how many rows were copied.
    """
    n_actions, changed = reward.shape[1], 0
    for s in range(len(policy)):
        a = policy[s]
        if a != old[s]:
            changed += 1
            old[s] = a
            r_pi[s] = reward[s, a]
            start, stop = np.uint64(indptr[s * n_actions + a]), np.uint64(indptr[s * n_actions + a + 1])
            k = np.uint64(offsets[s])
            for j in range(start, stop):
                out_indices[k] = indices[j]
                out_data[k] = data[j]
                k += _ONE
            stops[s] = k
    return changed


@njit(cache=True)
@no_type_check
def point_at_rows(indptr, n_actions, policy, starts, stops):
    """Locate a policy's transition rows in the CSR matrix: `starts, stops <-` the ends of each row."""
    for s in range(len(policy)):
        row = s * n_actions + policy[s]
        starts[s], stops[s] = indptr[row], indptr[row + 1]


@njit(cache=True)
@no_type_check
def policy_reward(reward, policy, out):
    """Rewards of a policy, `out[s] <- reward[s, policy[s]]`."""
    for s in range(len(policy)):
        out[s] = reward[s, policy[s]]
