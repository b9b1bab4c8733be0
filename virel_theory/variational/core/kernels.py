"""Kernels of policies tempered by a prior: compiled loops over states that check nothing.

`log_p [S, A]` are logarithms of prior weights, `-inf` where there is none; every row has a finite entry.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from virel_theory.checks import Array
from virel_theory.threads import n_threads

PARALLEL_FROM = 200_000
"""Entries of a table from which two threads pay."""
N_CHUNKS = 32


@njit(cache=True, nogil=True)
@no_type_check
def temper(q, log_p, alpha, out):
    """Tempered policies `out[s] <- softmax(log_p[s] + q[s] / alpha)`."""
    for s in range(q.shape[0]):
        top = -np.inf
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                out[s, a] = log_p[s, a] + q[s, a] / alpha
                top = max(top, out[s, a])
        mass = 0.0
        for a in range(q.shape[1]):
            out[s, a] = np.exp(out[s, a] - top) if log_p[s, a] > -np.inf else 0.0
            mass += out[s, a]
        for a in range(q.shape[1]):
            out[s, a] /= mass


@njit(cache=True, nogil=True)
@no_type_check
def soft_maxima(q, log_p, alpha, out):
    """Soft maxima `out[s] <- alpha log sum_a exp(log_p[s, a] + q[s, a] / alpha)`."""
    for s in range(q.shape[0]):
        top = -np.inf
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                top = max(top, log_p[s, a] + q[s, a] / alpha)
        mass = 0.0
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                mass += np.exp(log_p[s, a] + q[s, a] / alpha - top)
        out[s] = alpha * (top + np.log(mass))


@njit(cache=True, nogil=True)
@no_type_check
def exp_rest(x):
    """Remainder `e^x - 1 - x` for |x| <= 1, by its series: exact to a few ulps of itself."""
    out = 1.0
    for k in range(18, 2, -1):
        out = 1.0 + out * x / k
    return 0.5 * x * x * out


@njit(cache=True, nogil=True)
@no_type_check
def state_kl(q, p, eta):
    """KL divergence of the policy `p e^(q/eta) / Z` from `p` in one state, and `log E_p e^(q/eta)`.

    Values that differ by less than `eta` are centred at their mean under `p`. With x the centred values over
    `eta`, `E_p[x] = 0`, so both numbers follow from `m = E_p[e^x - 1 - x]` and `E_p[x (e^x - 1)]`, which are
    sums of positive terms: the relative error stays at some ulps, however small the divergence is. Else
    values are centred at their maximum, so that nothing overflows.
    """
    top, low, mean = -np.inf, np.inf, 0.0
    for a in range(len(p)):
        if p[a] > 0.0:
            top, low = max(top, q[a]), min(low, q[a])
    for a in range(len(p)):
        if p[a] > 0.0:
            mean += p[a] * (q[a] - top)
    mass, first = 0.0, 0.0
    if top - low < eta:
        for a in range(len(p)):
            x = (q[a] - top - mean) / eta
            if p[a] > 0.0:
                mass += p[a] * exp_rest(x)
                first += p[a] * x * np.expm1(x)
        log_mass = np.log1p(mass)
        return max(first / (1.0 + mass) - log_mass, 0.0), (top + mean) / eta + log_mass
    for a in range(len(p)):
        if p[a] > 0.0:
            x = (q[a] - top) / eta
            mass += p[a] * np.exp(x)
            first += p[a] * x * np.exp(x)
    log_mass = np.log(mass)
    return max(first / mass - log_mass, 0.0), top / eta + log_mass


@njit(cache=True, nogil=True)
@no_type_check
def divergences(pi, p, out):
    """Divergences `out[s] <- KL(pi[s] || p[s])` in nats, of the actions that both policies take.

    The sum of the terms `pi log(pi / p) - pi + p >= 0`; a term is `p` where pi is 0, and 0 where p is 0 but
    pi is not. With `u = (p - pi) / pi` it is `pi (u - log(1 + u))`, which keeps its digits where the policies
    are close.
    """
    for s in range(pi.shape[0]):
        out[s] = 0.0
        for a in range(pi.shape[1]):
            x, y = pi[s, a], p[s, a]
            if x > 0.0 and y > 0.0:
                u, ratio = (y - x) / x, y / x
                if abs(u) < 0.5:
                    out[s] += x * (u - np.log1p(u))
                else:  # x may be so small that the quotient overflows
                    out[s] += (y - x) - x * (np.log(ratio) if ratio < np.inf else np.log(y) - np.log(x))
            elif x <= 0.0:
                out[s] += y


@njit(cache=True, nogil=True)
@no_type_check
def _mean_kl_range(q, p, d, eta, first, last):
    """Sum over the states from `first` to `last` of `d[s]` times both numbers of `state_kl`."""
    kl, log_mean = 0.0, 0.0
    for s in range(first, last):
        if d[s] > 0.0:
            here, there = state_kl(q[s], p[s], eta)
            kl += d[s] * here
            log_mean += d[s] * there
    return kl, log_mean


@njit(cache=True, parallel=True)
@no_type_check
def _mean_kl_parallel(q, p, d, eta):
    """Both sums of `_mean_kl_range` over all states, in chunks, whatever the number of threads."""
    n_states = q.shape[0]
    parts = np.zeros((N_CHUNKS, 2))
    for c in prange(N_CHUNKS):
        first, last = c * n_states // N_CHUNKS, (c + 1) * n_states // N_CHUNKS
        parts[c, 0], parts[c, 1] = _mean_kl_range(q, p, d, eta, first, last)
    return parts[:, 0].sum(), parts[:, 1].sum()


def mean_kl(q: Array, p: Array, d: Array, eta: float) -> tuple[float, float]:
    """Means over states of `state_kl`: `E_d KL(q_eta || p)` in nats, and `E_d log E_p e^(q/eta)`."""
    if q.size >= PARALLEL_FROM and n_threads() > 1:
        kl, log_mean = _mean_kl_parallel(q, p, d, eta)
    else:
        kl, log_mean = _mean_kl_range(q, p, d, eta, 0, len(d))
    return float(kl), float(log_mean)
