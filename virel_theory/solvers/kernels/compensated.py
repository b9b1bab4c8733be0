"""Compensated sweeps of T* on values that are pairs (`pairs`), dense or CSR; `refine` says what for."""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.solvers.kernels.certificate import UNIT, row_slack
from virel_theory.solvers.kernels.lanes import WIDTH, paired_dot
from virel_theory.solvers.kernels.pairs import paired_backup, paired_mean, sum_error


@njit(cache=True, nogil=True)
@no_type_check
def paired_sweep(
    indptr, indices, data, reward, gamma, v, tail, q, q_tail, policy, d, margin, change
):  # fmt: skip
    """Compensated sweep of T* on values `v + tail`: `(q, q_tail) <- r + gamma P (v + tail)`.

    `d <- max_a (q, q_tail) - (v + tail)`; returns its extremes. Rows are dense if `indices` is empty.

    With a finite `margin`, q holds backups of earlier values on entry. They get `change` added, and only
    actions within `margin` of the best of their state are computed anew.
    """
    n_states, n_actions = reward.shape
    dense, some = len(indices) == 0, margin < np.inf
    heads, rests, low, high = np.empty(WIDTH), np.empty(WIDTH), np.inf, -np.inf
    for s in range(n_states):
        least = -np.inf
        if some:
            for a in range(n_actions):
                q[s, a] += change
                least = max(least, q[s, a] - margin)
        best, best_tail, arg = -np.inf, 0.0, 0
        for a in range(n_actions):
            row = s * n_actions + a
            q_tail[s, a] = 0.0
            if reward[s, a] == -np.inf:
                q[s, a] = -np.inf
                continue
            if some and not q[s, a] >= least:
                continue
            if dense:
                head, rest = paired_dot(data, row * n_states, v, tail, heads, rests)
            else:
                head, rest = paired_mean(indices, data, indptr[row], indptr[row + 1], v, tail)
            x, y = paired_backup(reward[s, a], gamma, head, rest)
            q[s, a], q_tail[s, a] = x, y
            if x > best or (x == best and y > best_tail):
                best, best_tail, arg = x, y, a
        policy[s] = arg
        gap = best - v[s]
        d[s] = gap + (sum_error(best, -v[s], gap) + (best_tail - tail[s]))
        low, high = min(low, d[s]), max(high, d[s])
    return low, high


@njit(cache=True, nogil=True)
@no_type_check
def move(v, tail, delta, gamma, beta_hi, n_terms, r_max):
    """Add `delta` to the values `v + tail`, as pairs.

    Returns what is to be added to their backups, and how far that is off at most (`refine`).
    """
    low, high, v_max = np.inf, -np.inf, 0.0
    for s in range(len(v)):
        low, high = min(low, delta[s]), max(high, delta[s])
        rest = tail[s] + delta[s]
        total = v[s] + rest
        tail[s] = sum_error(v[s], rest, total)
        v[s] = total
        v_max = max(v_max, abs(total))
    slack = row_slack(n_terms) + 8 * UNIT
    rounding = slack * (abs(low) + abs(high)) + 4 * UNIT * (r_max + beta_hi * v_max)
    return gamma * (low + high) / 2, (beta_hi * (high - low) / 2 + rounding) * (1 + 8 * UNIT)
