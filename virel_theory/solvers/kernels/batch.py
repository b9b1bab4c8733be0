"""Kernels of `solve_batch`: each MDP of a stack is checked, solved and certified while it is in the caches.

The steps are those of `solve`: sweeps of the greedy policy, elimination where these mix slowly, compensated
sweeps where one float64 is too coarse for the tolerance (`refine`), and the bounds of `solvers.bounds`.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.solvers.kernels.certificate import backup_error, beta_interval, enclosure, noise
from virel_theory.solvers.kernels.compensated import move, paired_sweep
from virel_theory.solvers.kernels.dense import evaluate, full_range, shift
from virel_theory.solvers.kernels.lanes import dot
from virel_theory.solvers.kernels.rows import copy, finish, largest, row_max
from virel_theory.threads.turns import FINISHED, NEXT, take

UNIT = 2.0**-53
SMALL = 16  # states up to which elimination costs no more than a few sweeps
FORCING, SLOW = 0.03, 0.5  # sweeps of a policy stop, or give up, at these shares of the span of the residual
MAX_SWEEPS, MAX_STEPS = 1000, 1000
PATIENCE = 5  # steps without progress, at a residual that rounding can explain
USEFUL = 0.5  # share of the tolerance that entries which no compensated sum has computed may take
SURE = 5 * 2.0**-52  # as `row_sums.SURE`


@njit(cache=True, nogil=True)
@no_type_check
def eliminate(matrix, x):
    """Solve a dense linear system in place, `x <- matrix^-1 x`, without pivoting; `matrix` is overwritten.

    It must be strictly diagonally dominant.
    """
    n = len(x)
    for k in range(n):
        pivot = 1.0 / matrix[k, k]
        for i in range(k + 1, n):
            factor = matrix[i, k] * pivot
            if factor != 0.0:
                for j in range(k + 1, n):
                    matrix[i, j] -= factor * matrix[k, j]
                x[i] -= factor * x[k]
    for k in range(n - 1, -1, -1):
        acc = x[k]
        for j in range(k + 1, n):
            acc -= matrix[k, j] * x[j]
        x[k] = acc / matrix[k, k]


@njit(cache=True, nogil=True)
@no_type_check
def survey(rows, bits, reward, ones):
    """Most non-zeros of a row of an MDP, and whether its rows are surely distributions (`row_sums.is_fine`).

    `bits` are the bits of `rows` as integers, `[S*A, S]`: the compiler vectorises a loop that looks for a
    sign bit.
    """
    n_states, n_actions = reward.shape
    longest, signs, worst = 0, 0, 0.0
    for row in range(n_states * n_actions):
        count = 0
        for j in range(n_states):
            signs |= bits[row, j]
            count += bits[row, j] != 0
        longest = max(longest, count)
        target = 1.0 if reward[row // n_actions, row % n_actions] > -np.inf else 0.0
        off = abs(dot(rows, row * n_states, ones) - target)
        if not off <= worst:
            worst = np.inf if np.isnan(off) else off
    return longest, signs >= 0 and worst <= max(SURE, (longest + 4) * 2 * UNIT)


@njit(cache=True, nogil=True)
@no_type_check
def solve_policy(rows, n_actions, policy, gamma, matrix, x):
    """Solve the dense system of a policy in place, `x <- (I - gamma P_pi)^-1 x`, by elimination."""
    n_states = len(x)
    for s in range(n_states):
        first = (s * n_actions + policy[s]) * n_states
        for t in range(n_states):
            matrix[s, t] = -gamma * rows[first + t]
        matrix[s, s] += 1.0
    eliminate(matrix, x)


@njit(cache=True, nogil=True)
@no_type_check
def iterate_policies(rows, reward, gamma, n_terms, r_max, atol, matrix, rhs, v, w, q, policy):
    """Policy iteration on one MDP, until one more backup meets `atol` or rounding allows no more.

    `q, policy <-` the backup of the last values v; returns the extremes of T v - v.
    """
    n_states, n_actions = reward.shape
    row_max(reward, v)
    direct, best, stale = n_states <= SMALL, np.inf, 0
    for _ in range(MAX_STEPS):
        low, high = full_range(rows, reward, gamma, v, q, w, policy, 0, n_states)
        span, eta = high - low, backup_error(n_terms, r_max, largest(v), gamma)
        stale = stale + 1 if span > 0.99 * best else 0
        best = min(best, span)
        if span <= max(atol * (1 - gamma) / 2, 2 * eta):
            break
        if stale >= PATIENCE and span <= 4 * eta / (1 - gamma):
            break
        step = shift(gamma, low, high)
        for s in range(n_states):
            v[s] = w[s] + step
            rhs[s] = reward[s, policy[s]]
        if not direct:
            direct = not evaluate(rows, rhs, n_actions, policy, gamma, v, w, atol, FORCING, SLOW, MAX_SWEEPS)
        if direct:
            copy(rhs, v)
            solve_policy(rows, n_actions, policy, gamma, matrix, v)
    return low, high


@njit(cache=True, nogil=True)
@no_type_check
def refine(rows, reward, gamma, n_terms, r_max, beta, atol, matrix, d, v, w, q, policy):
    """Refine the values v of one MDP, whose plain backup is q, as `solvers.refine.refine` does.

    Leaves the table, shifted, in q; returns its error bound.
    """
    n_states, n_actions = reward.shape
    tail, delta, q_tail = np.zeros(n_states), np.empty(n_states), np.empty(q.shape)
    before, nowhere = np.full(n_states, -1), np.empty(0, dtype=np.int64)
    also, best, change = backup_error(n_terms, r_max, largest(v), beta[1]), np.inf, 0.0
    for _ in range(MAX_STEPS):
        some = also <= USEFUL * atol
        also = also if some else 0.0
        margin = 3 * also if some else np.inf
        low, high = paired_sweep(
            nowhere, nowhere, rows, reward, gamma, v, tail, q, q_tail, policy, d, margin, change
        )
        v_max = largest(v) * (1 + 4 * UNIT)
        eta, last = noise(n_terms, r_max, v_max, beta[1])
        mid, bound = enclosure(low, high, beta, eta, last + also, r_max + beta[1] * v_max)
        improves = max(-low, high) > eta and (policy != before).any()
        stuck = not (bound < best / 2 or improves)
        if bound <= atol or (stuck and not some):
            break
        best = min(best, bound)
        copy(policy, before)
        delta[:] = 0.0
        if (
            n_states <= SMALL
            or stuck
            or not evaluate(rows, d, n_actions, policy, gamma, delta, w, atol, 1e-4, SLOW, MAX_SWEEPS)
        ):
            copy(d, delta)
            solve_policy(rows, n_actions, policy, gamma, matrix, delta)
        change, drift = move(v, tail, delta, gamma, beta[1], n_terms, r_max)
        also = np.inf if stuck else also + drift
    for s in range(n_states):
        for a in range(n_actions):
            q[s, a] += q_tail[s, a] + mid
    return bound


@njit(cache=True, nogil=True)
@no_type_check
def solve_one(rows, reward, gamma, n_terms, atol, matrix, d, v, w, q, plain, policy):
    """Solve and certify one MDP: `q, policy, v <-` its table, greedy policy and values; returns the bound."""
    r_max = 0.0
    for x in reward.flat:
        r_max = max(r_max, abs(x) if x > -np.inf else 0.0)
    low, high = iterate_policies(rows, reward, gamma, n_terms, r_max, atol, matrix, d, v, w, q, policy)
    beta, v_max = beta_interval(gamma, n_terms), largest(v)
    eta = backup_error(n_terms, r_max, v_max, beta[1])
    mid, bound = enclosure(low, high, beta, eta, 0.0, r_max + beta[1] * v_max)
    if atol < bound < np.inf:
        copy(q, plain)
        finer = refine(rows, reward, gamma, n_terms, r_max, beta, atol, matrix, d, v, w, q, policy)
        if finer < bound:
            mid, bound = 0.0, finer
        else:
            copy(plain, q)
    finish(q, mid, v, policy)
    return bound


@njit(cache=True, nogil=True)
@no_type_check
def solve_stack(rows, bits, reward, gamma, atol, trusted, q, policy, value, bound, fine, turns, n_chunks):
    """Solve the MDPs of the chunks that this thread gets (`threads.team`); returns how many chunks that were.

    `fine[i] <-` whether the rows of MDP i are surely distributions. Those that are not are left alone, unless
    `trusted`.
    """
    n, n_states, own, c = reward.shape[0], reward.shape[1], 0, take(turns, NEXT, 1)
    matrix, ones = np.empty((n_states, n_states)), np.ones(n_states)
    d, w, plain = np.empty(n_states), np.empty(n_states), np.empty(reward.shape[1:])
    while c < n_chunks:
        for i in range(c * n // n_chunks, (c + 1) * n // n_chunks):
            n_terms, fine[i] = survey(rows[i], bits[i], reward[i], ones)
            if fine[i] or trusted:
                known = (rows[i], reward[i], gamma[i], n_terms, atol)
                bound[i] = solve_one(*known, matrix, d, value[i], w, q[i], plain, policy[i])
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own
