"""Kernels around sweeps: the rows of a policy, where they lie or side by side; maxima of tables.

Rows and indices as in `sweeps`.
"""

from typing import no_type_check

import numpy as np
from numba import njit

_ONE = np.uint64(1)


@njit(cache=True)
@no_type_check
def row_max(table, out):
    """out[s] <- max of row s."""
    for s in range(len(out)):
        best = table[s, 0]
        for a in range(1, table.shape[1]):
            best = max(best, table[s, a])
        out[s] = best


@njit(cache=True)
@no_type_check
def finish(q, shift, value, policy):
    """Add `shift` to q; value <- its row maxima, policy <- the lowest maximisers."""
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
def longest_row(indptr):
    """Largest number of entries of a row."""
    out = 0
    for i in range(len(indptr) - 1):
        out = max(out, indptr[i + 1] - indptr[i])
    return out


@njit(cache=True)
@no_type_check
def slots(indptr, n_states, n_actions, offsets):
    """offsets[s] <- start of a slot as long as the longest row of s (none if empty); the total length."""
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
    """Copy the rows of `policy` that differ from `old` (-1: none copied yet) into their slots; how many."""
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
    """starts, stops <- the rows of `policy` where they are, without a copy."""
    for s in range(len(policy)):
        row = s * n_actions + policy[s]
        starts[s], stops[s] = indptr[row], indptr[row + 1]


@njit(cache=True)
@no_type_check
def policy_reward(reward, policy, out):
    """out[s] <- reward of the policy's action."""
    for s in range(len(policy)):
        out[s] = reward[s, policy[s]]
