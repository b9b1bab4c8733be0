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
FAR = 700.0
"""Exponents above this may overflow."""
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
def lucky_means(indptr, indices, data, v, alpha, out):
    """Soft means `out[row] <- alpha log sum_s' p(s'|row) exp(v[s'] / alpha)`; `-inf` if p is empty.

    Centred at the best successor of each row: quotients by alpha may be out of range.
    """
    for row in range(out.shape[0]):
        best = -np.inf
        for k in range(indptr[row], indptr[row + 1]):
            if data[k] > 0.0:
                best = max(best, v[indices[k]])
        out[row] = best
        if best > -np.inf:
            total = 0.0
            for k in range(indptr[row], indptr[row + 1]):
                if data[k] > 0.0:
                    total += data[k] * np.exp((v[indices[k]] - best) / alpha)
            out[row] = best + alpha * np.log(total)


@njit(cache=True, nogil=True)
@no_type_check
def row_variances(indptr, indices, data, v, mean, out):
    """Variances `out[row] <- sum_s' p(s'|row) (v[s'] - mean[row])^2`, about given means; 0 if p is empty."""
    for row in range(out.shape[0]):
        out[row] = 0.0
        for k in range(indptr[row], indptr[row + 1]):
            apart = v[indices[k]] - mean[row]
            out[row] += data[k] * (apart * apart)


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
def kl_term(x, p, mass, log_mass):
    """Term `pi y - pi + p >= 0` of `KL(pi || p)`, with `pi = p e^x / mass = p e^y`."""
    y = x - log_mass
    if abs(y) <= 1.0:
        return p * (y * y - (1.0 - y) * exp_rest(y))
    pi = p * np.exp(x) / mass
    return p + pi * (y - 1.0) if pi > 0.0 else p  # where pi has underflowed y may be infinite


@njit(cache=True, nogil=True)
@no_type_check
def mean_rest(q, p, origin, eta):
    """Means `sum_a p(a) (e^x - 1 - x)` and `sum_a p(a) x (e^x - 1)` of `x = (q - origin) / eta`.

    The second is negative unless all x are in [-1, 1]; the first is infinite where it may overflow.
    """
    mean, first = 0.0, 0.0
    for a in range(len(p)):
        if p[a] > 0.0:
            x = (q[a] - origin[0] - origin[1]) / eta
            if x > FAR:
                return np.inf, -np.inf
            if abs(x) <= 1.0:
                rest = exp_rest(x)
                first += p[a] * x * (x + rest)
            else:
                rest, first = np.expm1(x) - x, -np.inf
            mean += p[a] * rest
    return mean, first


@njit(cache=True, nogil=True)
@no_type_check
def state_kl(q, p, eta):
    """KL divergence of the policy `p e^(q/eta) / Z` from `p` in one state, and `eta log E_p e^(q/eta)`.

    The divergence is a sum of terms that are not negative (`kl_term`), and an error of `log Z` enters it with
    the divergence itself as a factor. Small logarithms keep their digits: with x the values over `eta`, less
    their mean, `E_p[x] = 0`, so that `Z = 1 + E_p[e^x - 1 - x]`. The mean is reckoned from the value of the
    likeliest action, which keeps the digits of small differences. Where Z is above 2, values are centred at
    their maximum, so that nothing overflows.
    """
    top, at, most, total, mean = -np.inf, 0.0, 0.0, 0.0, 0.0
    for a in range(len(p)):
        total += p[a]
        if p[a] > 0.0:
            top = max(top, q[a])
        if p[a] > most:
            at, most = q[a], p[a]
    for a in range(len(p)):
        if p[a] > 0.0:
            mean += p[a] * (q[a] - at) / total
    rest, first = mean_rest(q, p, (at, mean), eta)
    rest, origin = rest / total, (at, mean)
    mass, log_mass = 1.0 + rest, np.log1p(rest)
    if first >= 0.0:  # all x are in [-1, 1]: positive sums, of which none is much larger than the divergence
        return max(first / total / mass - log_mass, 0.0), at + (mean + eta * log_mass)
    if rest > 1.0:
        origin, mass = (top, 0.0), 0.0
        for a in range(len(p)):
            if p[a] > 0.0:
                mass += p[a] * np.exp((q[a] - top) / eta) / total
        log_mass = np.log(mass)
    kl = 0.0
    for a in range(len(p)):
        if p[a] > 0.0:
            kl += kl_term((q[a] - origin[0] - origin[1]) / eta, p[a], mass, log_mass)
    return kl, origin[0] + (origin[1] + eta * log_mass)


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
        top, low, mass, total = -np.inf, np.inf, 0.0, 0.0
        for a in range(q.shape[1]):
            total += p[s, a]
            if p[s, a] > 0.0:
                low = min(low, q[s, a])
                if q[s, a] > top:
                    top, mass = q[s, a], 0.0
                if q[s, a] == top:
                    mass += p[s, a]
        out[s] = min(mass / total, 1.0)  # exactly 1 where all are tied, however the row's sum is rounded
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
    kl, value = 0.0, 0.0
    for s in range(first, last):
        if d[s] > 0.0:
            here, there = state_kl(q[s], p[s], eta)
            kl += d[s] * here
            value += d[s] * there
    return kl, value


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
    """Means over states of `state_kl`: `E_d KL(q_eta || p)` in nats, and `E_d[eta log E_p e^(q/eta)]`."""
    if q.size >= PARALLEL_FROM:  # in chunks even for one thread: sums must not depend on their number
        parts = np.zeros((N_CHUNKS, 2))
        share(_mean_kl_shared, (q, p, d, eta, parts), n_chunks=N_CHUNKS, n_helpers=n_threads() - 1)
        kl, value = parts.sum(axis=0)
    else:
        kl, value = _mean_kl_range(q, p, d, eta, 0, len(d))
    return float(kl), float(value)
