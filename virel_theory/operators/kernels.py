"""Kernels of means and log-sum-exp over actions: compiled loops that check nothing.

The caller owns `out`; an action that does not exist holds `-inf` in `q`.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit

HUGE = 2.0**1000
"""Numbers above this are scaled before they are subtracted."""


@njit(cache=True)
@no_type_check
def policy_mean(q, pi, out):
    """Policy means `out[s] <- sum_a pi[s, a] q[s, a]`, with `0 * (-inf) = 0`."""
    for s in range(q.shape[0]):
        total = 0.0
        for a in range(q.shape[1]):
            if pi[s, a] > 0.0:
                total += pi[s, a] * q[s, a]
        out[s] = total


@njit(cache=True)
@no_type_check
def unit_of(row):
    """Factor 1, or 1/4 for a row whose differences could overflow: of so large numbers a quarter is exact."""
    for x in row:
        if HUGE < abs(x) < np.inf:
            return 0.25
    return 1.0


@njit(cache=True)
@no_type_check
def boltzmann_mean(q, eps, out):
    """Boltzmann means of the rows of `q`, into `out`: the maximum plus a mean of non-positive differences."""
    for s in range(q.shape[0]):
        unit = unit_of(q[s])
        top = unit * q[s].max()
        mass = 0.0
        drop = 0.0
        for a in range(q.shape[1]):
            below = unit * q[s, a] - top
            weight = np.exp(below / eps / unit)  # exponents <= 0: cannot overflow
            if weight > 0.0:  # leaves out missing actions, and 0 * (-inf)
                mass += weight
                drop += weight * below
        out[s] = (top + drop / mass) / unit


@njit(cache=True)
@no_type_check
def boltzmann_policy_mean(q, eps, out):
    """Boltzmann means `out[s] <- sum_a pi[a] q[s, a]`, by way of the probabilities pi of each row."""
    for s in range(q.shape[0]):
        unit = unit_of(q[s])
        top = unit * q[s].max()
        mass = 0.0
        for a in range(q.shape[1]):
            mass += np.exp((unit * q[s, a] - top) / eps / unit)
        log_mass = np.log(mass)
        total = 0.0
        for a in range(q.shape[1]):
            probability = np.exp((unit * q[s, a] - top) / eps / unit - log_mass)
            if probability > 0.0:
                total += probability * q[s, a]
        out[s] = total


@njit(cache=True)
@no_type_check
def log_sum_exp(q, c, out):
    """Soft maxima `out[s] <- c log sum_a exp(q[s, a] / c)`, by `log1p` of all but the largest term."""
    for s in range(q.shape[0]):
        unit = unit_of(q[s])
        top = q[s].max()
        rest = 0.0
        seen_top = False
        for a in range(q.shape[1]):
            if q[s, a] == top and not seen_top:
                seen_top = True  # its own exp(0) = 1 goes into log1p
            else:
                rest += np.exp((unit * q[s, a] - unit * top) / c / unit)
        out[s] = top + c * np.log1p(rest)


@njit(cache=True)
@no_type_check
def soft_max(q, c, out):
    """Soft maxima `out[s] <- c log sum_a exp(q[s, a] / c)`, by the logarithm of the shifted sum.

    The soft solvers' own: their bounds (`solvers.soft`) are for this rounding, `log_sum_exp` has another.
    """
    for s in range(len(out)):
        top = -np.inf
        for a in range(q.shape[1]):
            top = max(top, q[s, a])
        total = 0.0
        for a in range(q.shape[1]):
            total += np.exp((q[s, a] - top) / c)
        out[s] = top + c * np.log(total)


@njit(cache=True)
@no_type_check
def soft_weights(q, c, pi):
    """Boltzmann policy `pi[s] <- softmax(q[s] / c)` of every state."""
    for s in range(q.shape[0]):
        top = -np.inf
        for a in range(q.shape[1]):
            top = max(top, q[s, a])
        total = 0.0
        for a in range(q.shape[1]):
            pi[s, a] = np.exp((q[s, a] - top) / c)
            total += pi[s, a]
        for a in range(q.shape[1]):
            pi[s, a] /= total


@njit(cache=True)
@no_type_check
def log_expect_rows(indptr, indices, data, log_v, out):
    """Log-means `out[row] <- log sum_s' p(s'|row) exp(log_v[s'])`, shifted per row; `-inf` if p is empty."""
    for row in range(out.shape[0]):
        top = -np.inf
        for k in range(indptr[row], indptr[row + 1]):
            if data[k] > 0.0 and log_v[indices[k]] > top:
                top = log_v[indices[k]]
        out[row] = top
        if top > -np.inf:
            total = 0.0
            for k in range(indptr[row], indptr[row + 1]):
                total += data[k] * np.exp(log_v[indices[k]] - top)
            out[row] = top + np.log(total)
