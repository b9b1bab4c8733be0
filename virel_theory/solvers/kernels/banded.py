r"""Kernels of banded elimination for $(I - \gamma P_\pi)x = b$, without pivoting.

The method is that of Golub & Van Loan 2013, Section 4.3.1. Row sums of P_pi are 1, so the matrix is strictly
diagonally dominant by rows: elimination without pivoting exists and its growth factor is at most 2 (Higham
2002, Theorem 9.9). Rows are formed one at a time, reduced by the rows above and divided by their pivot, so
that only the k entries right of the diagonal are kept.

The place of a state in the elimination order is s itself (NATURAL), `min(2s, 2(S - s) - 1)` (FOLDED: both
ways round a ring at once), or in a table (LISTED); the first two need no memory.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit

NATURAL, FOLDED, LISTED = 0, 1, 2


@njit(cache=True)
@no_type_check
def place_of(kind, table, s, n):
    """Place of state s in the elimination order; a listed order has the places in `table[:n]`."""
    if kind == NATURAL:
        return s
    if kind == FOLDED:
        return min(2 * s, 2 * (n - s) - 1)
    return np.int64(table[s])


@njit(cache=True)
@no_type_check
def state_at(kind, table, i, n):
    """State at place i of the elimination order; a listed order has the states in `table[n:]`."""
    if kind == NATURAL:
        return i
    if kind == FOLDED:
        return n - (i + 1) // 2 if i % 2 else i // 2
    return np.int64(table[n + i])


@njit(cache=True)
@no_type_check
def bandwidth(starts, stops, indices, kind, table, limit):
    """Half bandwidth of a sparse matrix in an elimination order: the largest distance from its diagonal.

    Above `limit` it stops counting and returns some number above `limit`.
    """
    out, n = 0, len(starts)
    for s in range(n):
        i = place_of(kind, table, s, n)
        for j in range(np.uint64(starts[s]), np.uint64(stops[s])):
            out = max(out, abs(i - place_of(kind, table, np.int64(indices[j]), n)))
        if out > limit:
            return out
    return out


@njit(cache=True)
@no_type_check
def policy_bandwidth(indptr, indices, policy, n_actions, kind, table):
    """Half bandwidth of a policy's transition matrix in an elimination order."""
    out, n = 0, len(policy)
    for s in range(n):
        i, row = place_of(kind, table, s, n), s * n_actions + policy[s]
        for j in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            out = max(out, abs(i - place_of(kind, table, np.int64(indices[j]), n)))
    return out


@njit(cache=True, error_model="numpy")
@no_type_check
def solve_band(indptr, indices, data, gamma, policy, n_actions, kind, table, rhs, upper, x):
    """Solve `(I - gamma P_pi) x = rhs` by banded elimination; `x` is returned in the elimination order.

    `upper [S, k] <-` the rows of the unit upper factor, k the half bandwidth.
    """
    n, k = upper.shape
    active = np.empty(2 * k + 1)
    for i in range(n):
        s = state_at(kind, table, i, n)
        row = s * n_actions + policy[s]
        active[:] = 0.0
        active[k] = 1.0
        for j in range(np.uint64(indptr[row]), np.uint64(indptr[row + 1])):
            active[k + place_of(kind, table, np.int64(indices[j]), n) - i] -= gamma * data[j]
        acc = rhs[s]
        for t in range(max(0, k - i), k):
            factor, above = active[t], i - k + t
            if factor != 0.0:
                for m in range(k):
                    active[t + 1 + m] -= factor * upper[above, m]
                acc -= factor * x[above]
        pivot = 1.0 / active[k]
        for m in range(k):
            upper[i, m] = active[k + 1 + m] * pivot
        x[i] = acc * pivot
    for i in range(n - 1, -1, -1):
        acc = x[i]
        for m in range(min(k, n - 1 - i)):
            acc -= upper[i, m] * x[i + 1 + m]
        x[i] = acc


@njit(cache=True)
@no_type_check
def by_state(kind, table, x, out):
    """Reorder a vector from the elimination order back to states, `out[s] <- x[place of s]`."""
    for s in range(len(x)):
        out[s] = x[place_of(kind, table, s, len(x))]
