"""Exact rational solutions of small float MDPs: every float is a rational number, taken as given."""

import functools
from fractions import Fraction

import numpy as np
from flint import fmpq, fmpq_mat

from virel_theory.mdp.tabular import TabularMDP


def rational(x):
    """Rational number that a float is."""
    return fmpq(*float(x).as_integer_ratio())


def exact_policy_values(mdp, pi):
    """Exact values `V^pi [S]` of any policy `[S, A]`, as rationals; rows are taken as given."""
    transition, (n_states, n_actions) = mdp.dense_transition, mdp.shape
    gamma = rational(mdp.gamma)
    used = [[(a, rational(pi[s, a])) for a in range(n_actions) if pi[s, a] > 0] for s in range(n_states)]
    rows = [
        (fmpq(1) if s == t else fmpq(0))
        - gamma * sum((p * rational(transition[s, a, t]) for a, p in used[s]), fmpq(0))
        for s in range(n_states)
        for t in range(n_states)
    ]
    rewards = [sum((p * rational(mdp.reward[s, a]) for a, p in used[s]), fmpq(0)) for s in range(n_states)]
    solved = fmpq_mat(n_states, n_states, rows).solve(fmpq_mat(n_states, 1, rewards))
    return [solved[s, 0] for s in range(n_states)]


def exact_backup(mdp, v):
    """Exact backup `r + gamma P v [S][A]`, as rationals; None where the action does not exist."""
    transition, (n_states, n_actions) = mdp.dense_transition, mdp.shape
    gamma = rational(mdp.gamma)

    def value(s, a):
        mean = sum((rational(p) * v[t] for t, p in enumerate(transition[s, a]) if p), fmpq(0))
        return rational(mdp.reward[s, a]) + gamma * mean

    return [[value(s, a) if mdp.available[s, a] else None for a in range(n_actions)] for s in range(n_states)]


def exact_optimal_q(mdp, start):
    """Exact optimal values Q*, as rationals, by exact policy iteration from the policy `start [S]`."""
    policy = [int(a) for a in start]
    while True:
        q = exact_backup(mdp, exact_policy_values(mdp, np.eye(mdp.n_actions)[policy]))
        better = [max((a for a in range(len(row)) if row[a] is not None), key=row.__getitem__) for row in q]
        switch = [a if q[s][a] > q[s][policy[s]] else policy[s] for s, a in enumerate(better)]
        if switch == policy:
            return q
        policy = switch


def exact_error(q, exact):
    """Largest error `max|q - exact|` over the pairs that exist, as a float rounded up."""
    gaps = [
        abs(rational(q[s, a]) - x) for s, row in enumerate(exact) for a, x in enumerate(row) if x is not None
    ]
    worst = max(gaps)
    return float(np.nextafter(float(Fraction(int(worst.p), int(worst.q))), np.inf)) if worst else 0.0


def random_mdp(rng, *, gammas=(0.0, 0.5, 0.9, 0.99, 0.999), max_states=7, max_actions=3, masked=None):
    """Small random MDP: rows spread or nearly deterministic, rewards of any scale, often a mask."""
    n_states, n_actions = int(rng.integers(1, max_states + 1)), int(rng.integers(1, max_actions + 1))
    shape = (n_states, n_actions, n_states)
    rows = rng.random(shape) * (rng.random(shape) < 0.6) + 1e-3 * rng.random(shape)
    if rng.random() < 0.3:
        rows = np.eye(n_states)[rng.integers(0, n_states, shape[:2])] + 0.01 * rows
    rows /= rows.sum(axis=-1, keepdims=True)
    mask = None
    if masked or (masked is None and rng.random() < 0.5):
        mask = rng.random(shape[:2]) < 0.7
        mask[np.arange(n_states), rng.integers(0, n_actions, n_states)] = True
        rows *= mask[:, :, None]
    reward = rng.normal(size=shape[:2]) * 10.0 ** rng.integers(-2, 4)
    return TabularMDP(rows, reward, float(rng.choice(gammas)), mask=mask)


@functools.cache
def instances(n, seed):
    """`n` random MDPs, dense and sparse in turn, each with its exact Q*."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        mdp = random_mdp(rng)
        exact = exact_optimal_q(mdp, mdp.available.argmax(axis=1))
        out.append((mdp.to_sparse() if i % 2 else mdp, exact))
    return out
