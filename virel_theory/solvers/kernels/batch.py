"""Kernels of `solve_batch`: policy iteration on every MDP of a stack, in parallel over MDPs."""

from typing import no_type_check

import numpy as np
from numba import njit

from virel_theory.threads.turns import FINISHED, NEXT, take

MARGIN = 1e-12  # relative; an action must be better by more than rounding, so that PI cannot cycle


@njit(cache=True)
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


@njit(cache=True)
@no_type_check
def backup(transition, reward, gamma, v, q):
    """Bellman backup of v, `q <- r + gamma P v`; `reward` is `-inf` where the action does not exist."""
    n_states, n_actions = reward.shape
    for s in range(n_states):
        for a in range(n_actions):
            acc = 0.0
            for t in range(n_states):
                acc += transition[s, a, t] * v[t]
            q[s, a] = reward[s, a] + gamma * acc


@njit(cache=True)
@no_type_check
def improve(q, policy):
    """Switch `policy` to the better actions of the table `q`; return how many states switched."""
    switched = 0
    for s in range(len(policy)):
        best, arg = -np.inf, 0
        for a in range(q.shape[1]):
            if q[s, a] > best:
                best, arg = q[s, a], a
        old = q[s, policy[s]]
        if best > old + MARGIN * (abs(old) + abs(best)):
            policy[s] = arg
            switched += 1
    return switched


@njit(cache=True)
@no_type_check
def policy_iterations_range(transition, reward, gamma, max_steps, q, policy, low, high, v_max, first, last):
    """Run policy iteration on the MDPs `first` to `last - 1` of a stack until no state switches its action.

    `q, policy <-` the backup of the last V^pi and the last policy; `low, high <-` the extremes of T V - V;
    `v_max <- max|V|`.
    """
    n_states = reward.shape[1]
    matrix, v = np.empty((n_states, n_states)), np.empty(n_states)
    for i in range(first, last):
        for s in range(n_states):
            policy[i, s] = 0
            for a in range(reward.shape[2]):
                if reward[i, s, a] > reward[i, s, policy[i, s]]:
                    policy[i, s] = a
        for _ in range(max_steps):
            for s in range(n_states):
                a = policy[i, s]
                v[s] = reward[i, s, a]
                for t in range(n_states):
                    matrix[s, t] = -gamma[i] * transition[i, s, a, t]
                matrix[s, s] += 1.0
            eliminate(matrix, v)
            backup(transition[i], reward[i], gamma[i], v, q[i])
            if improve(q[i], policy[i]) == 0:
                break
        low[i], high[i], v_max[i] = np.inf, -np.inf, 0.0
        for s in range(n_states):
            best = -np.inf
            for a in range(reward.shape[2]):
                best = max(best, q[i, s, a])
            low[i] = min(low[i], best - v[s])
            high[i] = max(high[i], best - v[s])
            v_max[i] = max(v_max[i], abs(v[s]))


@njit(cache=True, nogil=True)
@no_type_check
def policy_iterations(transition, reward, gamma, max_steps, q, policy, low, high, v_max, turns, n_chunks):
    """Run `policy_iterations_range` on the MDPs of the chunks that this thread gets (`threads.team`)."""
    n, own, c = reward.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n // n_chunks, (c + 1) * n // n_chunks
        policy_iterations_range(
            transition, reward, gamma, max_steps, q, policy, low, high, v_max, first, last
        )
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own
