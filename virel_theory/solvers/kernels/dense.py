"""Kernels of dense Bellman sweeps: one flat vector of rows, that of (s, a) begins at `(s*A+a)*S`.

`reward` is `-inf` where the action does not exist, and its row is not read. What a state gets depends on its
own rows and on v alone, so that threads change no bit; `shared` gives them chunks of states.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.solvers.kernels.lanes import dot
from virel_theory.solvers.kernels.rows import largest

UNIT = 2.0**-53
NEAR = 8.0  # times the goal: such a span is small, and rounding may be what is left of it
FEW = 4  # sweeps before their speed is judged: the first ones may rearrange the values


@njit(cache=True, nogil=True)
@no_type_check
def full_range(flat, reward, gamma, v, q, w, policy, first, last):
    """Sweep of T* over states first..last-1: `q <- r + gamma P v`, `w <- max q`, `policy <- argmax q`.

    Returns the smallest and the largest entry of w - v.
    """
    n_states, n_actions = reward.shape
    low, high = np.inf, -np.inf
    for s in range(first, last):
        best, arg = -np.inf, 0
        for a in range(n_actions):
            x = reward[s, a]
            if x > -np.inf:
                x += gamma * dot(flat, (s * n_actions + a) * n_states, v)
            q[s, a] = x
            if x > best:
                best, arg = x, a
        w[s] = best
        policy[s] = arg
        d = best - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True, nogil=True)
@no_type_check
def chosen_range(flat, rhs, n_actions, policy, gamma, v, w, first, last):
    """Sweep of a policy over states first..last-1, `w <- rhs + gamma P_pi v`.

    Returns the smallest and the largest entry of w - v.
    """
    low, high, n_states = np.inf, -np.inf, len(v)
    for s in range(first, last):
        x = rhs[s] + gamma * dot(flat, (s * n_actions + policy[s]) * n_states, v)
        w[s] = x
        d = x - v[s]
        low, high = min(low, d), max(high, d)
    return low, high


@njit(cache=True, nogil=True)
@no_type_check
def shift(gamma, low, high):
    """MacQueen's shift for a residual in `[low, high]` if most of it is a constant, else 0."""
    if high - low < 0.5 * max(abs(low), abs(high)):
        return gamma / (1 - gamma) * (low + high) / 2
    return 0.0


@njit(cache=True, nogil=True)
@no_type_check
def evaluate(flat, rhs, n_actions, policy, gamma, v, w, atol, forcing, slow, max_sweeps):
    """Improve `v` towards the values of a policy by sweeps with MacQueen's shift; `w` is scratch.

    They stop where the residual's span is what `atol` asks of the values, or rounding; or where it has fallen
    to the share `forcing`, unless the rest takes fewer sweeps than one sweep of all actions costs. A sweep
    that leaves more than a share `slow` of the span ends them too: returns False if the span is large then.
    """
    first, before, fast = np.inf, np.inf, True
    goal = max(atol * (1 - gamma) / 2, 6 * UNIT * largest(v))
    for k in range(max_sweeps):
        low, high = chosen_range(flat, rhs, n_actions, policy, gamma, v, w, 0, len(v))
        v, w = w, v
        span = high - low
        first = span if k == 0 else first
        if span <= goal:
            break
        if span <= forcing * first and span * (span / before) ** n_actions > goal:
            break
        if k >= FEW and span > slow * before:
            fast = span <= NEAR * goal
            break
        before = span
    step = shift(gamma, low, high)
    swapped = k % 2 == 0
    for s in range(len(v)):
        x = v[s] + step
        v[s] = x
        if swapped:
            w[s] = x
    return fast
