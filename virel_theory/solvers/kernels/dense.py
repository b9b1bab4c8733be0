"""Kernels around dense matrix-vector products: one call for what takes NumPy five passes."""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True)
@no_type_check
def finish_full(q, reward, gamma, v, w, policy):
    """From q = P v: q <- r + gamma q, w <- max q, policy <- argmax; the extremes of w - v."""
    low, high = np.inf, -np.inf
    for s in range(len(v)):
        best, arg = -np.inf, 0
        for a in range(q.shape[1]):
            x = reward[s, a] + gamma * q[s, a]
            q[s, a] = x
            if x > best:
                best, arg = x, a
        w[s] = best
        policy[s] = arg
        d = best - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True)
@no_type_check
def finish_policy(reward, gamma, v, w):
    """From w = P_pi v: w <- r_pi + gamma w; the extremes of w - v."""
    low, high = np.inf, -np.inf
    for s in range(len(v)):
        x = reward[s] + gamma * w[s]
        w[s] = x
        d = x - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True)
@no_type_check
def longest_row(rows):
    """Largest number of non-zeros of a row."""
    out = 0
    for i in range(rows.shape[0]):
        n = 0
        for j in range(rows.shape[1]):
            n += rows[i, j] != 0.0
        out = max(out, n)
    return out


@njit(cache=True)
@no_type_check
def largest(x):
    """max|x| of a vector; NaN counts as infinite."""
    out = 0.0
    for value in x:
        if not abs(value) <= out:
            out = np.inf if np.isnan(value) else abs(value)
    return out
