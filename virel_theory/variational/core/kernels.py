"""Kernels of policies tempered by a prior: compiled loops over states that check nothing.

`log_p [S, A]` are logarithms of prior weights, `-inf` where there is none; every row has a finite entry.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.checks import Array
from virel_theory.solvers.kernels.sweeps import row_dot
from virel_theory.threads.count import n_threads
from virel_theory.threads.team import share
from virel_theory.threads.turns import FINISHED, NEXT, take

PARALLEL_FROM = 200_000
"""Entries of a table from which two threads pay."""
N_CHUNKS = 32
INVERSES = (0.0, *(1.0 / k for k in range(1, 19)))
"""Inverses of the numbers 1 to 18: a product takes a fraction of the time of a quotient."""


@njit(cache=True, nogil=True)
@no_type_check
def temper(q, log_p, alpha, out):
    """Tempered policies `out[s] <- softmax(log_p[s] + q[s] / alpha)`."""
    for s in range(q.shape[0]):
        best, top = -np.inf, -np.inf
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                best = max(best, q[s, a])
        for a in range(q.shape[1]):  # centred first: else quotients may overflow
            if log_p[s, a] > -np.inf:
                out[s, a] = log_p[s, a] + (q[s, a] - best) / alpha
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
        best, top = -np.inf, -np.inf
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                best = max(best, q[s, a])
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                top = max(top, log_p[s, a] + (q[s, a] - best) / alpha)
        mass = 0.0
        for a in range(q.shape[1]):
            if log_p[s, a] > -np.inf:
                mass += np.exp(log_p[s, a] + (q[s, a] - best) / alpha - top)
        out[s] = best + alpha * (top + np.log(mass))


@njit(cache=True, nogil=True)
@no_type_check
def exp_rest(x):
    """Remainder `e^x - 1 - x` for |x| <= 1, by its series: exact to a few ulps of itself."""
    out = 1.0
    for k in range(18, 2, -1):
        out = 1.0 + out * (x * INVERSES[k])
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
                rest = exp_rest(x)
                mass += p[a] * rest
                first += p[a] * x * (x + rest)
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
def policy_backup(indptr, indices, data, reward, gamma, pi, v, out):
    """Backup of a policy on CSR rows: `out[s] <- sum_a pi[s, a] (r[s, a] + gamma P[s, a] v)`.

    Actions that the policy does not take are not read.
    """
    n_actions = pi.shape[1]
    for s in range(pi.shape[0]):
        out[s] = 0.0
        for a in range(n_actions):
            if pi[s, a] > 0.0:
                start, stop = indptr[s * n_actions + a], indptr[s * n_actions + a + 1]
                ahead = row_dot(data, indices, np.uint64(start), np.uint64(stop), v)
                out[s] += pi[s, a] * (reward[s, a] + gamma * ahead)


@njit(cache=True, nogil=True)
@no_type_check
def greedy_masses(q, p, d, out):
    """Masses `out[s] <- p(argmax q | s)`, best among the actions that p takes; ties count together.

    Returns the largest spread of `q` over such actions in a state of positive weight d.
    """
    spread = 0.0
    for s in range(q.shape[0]):
        top, low, mass = -np.inf, np.inf, 0.0
        for a in range(q.shape[1]):
            if p[s, a] > 0.0:
                low = min(low, q[s, a])
                if q[s, a] > top:
                    top, mass = q[s, a], 0.0
                if q[s, a] == top:
                    mass += p[s, a]
        out[s] = min(mass, 1.0)
        if d[s] > 0.0:
            spread = max(spread, top - low)
    return spread


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
                u = (y - x) / x
                if abs(u) < 0.5:
                    out[s] += x * (u - np.log1p(u))
                else:  # x may be so small that the quotient overflows
                    ratio = y / x
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


@njit(cache=True, nogil=True)
@no_type_check
def _mean_kl_shared(q, p, d, eta, parts, turns, n_chunks):
    """Both sums of `_mean_kl_range` on the chunks that this thread gets (`threads.team`)."""
    n_states, own, c = q.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n_states // n_chunks, (c + 1) * n_states // n_chunks
        parts[c, 0], parts[c, 1] = _mean_kl_range(q, p, d, eta, first, last)
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own


def mean_kl(q: Array, p: Array, d: Array, eta: float) -> tuple[float, float]:
    """Means over states of `state_kl`: `E_d KL(q_eta || p)` in nats, and `E_d log E_p e^(q/eta)`."""
    if q.size >= PARALLEL_FROM:  # in chunks even for one thread: sums must not depend on their number
        parts = np.zeros((N_CHUNKS, 2))
        share(_mean_kl_shared, (q, p, d, eta, parts), n_chunks=N_CHUNKS, n_helpers=n_threads() - 1)
        kl, log_mean = parts.sum(axis=0)
    else:
        kl, log_mean = _mean_kl_range(q, p, d, eta, 0, len(d))
    return float(kl), float(log_mean)
