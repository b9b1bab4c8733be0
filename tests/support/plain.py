"""Finite MDPs in plain Python: lists, loops and floats, nothing of ours and no numpy.

Second encodings of the exact algorithms (`tests/theory/variational/algorithms/`) are written with these, from
the papers and from the algorithms' docstrings, and compared iterate by iterate.
"""

import math
from dataclasses import dataclass

import numpy as np

from tests.support.exact_mdp import random_mdp
from virel_theory import TabularMDP


@dataclass
class Plain:
    """An MDP as lists: `actions[s]`, `rows[s][a] = [(t, p), ...]`, `reward[s][a]`, `gamma`, `start[s]`."""

    actions: list
    rows: list
    reward: list
    gamma: float
    start: list

    @property
    def states(self):
        """Numbers of the states."""
        return range(len(self.actions))


def plain(mdp):
    """The lists of a `TabularMDP`."""
    p, exists = mdp.dense_transition, mdp.available
    n_states, n_actions = mdp.shape
    return Plain(
        [[a for a in range(n_actions) if exists[s, a]] for s in range(n_states)],
        [
            [[(t, float(p[s, a, t])) for t in range(n_states) if p[s, a, t] > 0] for a in range(n_actions)]
            for s in range(n_states)
        ],
        mdp.reward.tolist(),
        mdp.gamma,
        mdp.initial.tolist(),
    )


def worlds(n, seed, *, max_states=4, max_actions=3, gammas=(0.0, 0.5, 0.9)):
    """`n` random MDPs: every second with actions missing, every third with an absorbing state of reward 0."""
    rng = np.random.default_rng(seed)
    for k in range(n):
        mdp = random_mdp(
            rng, gammas=gammas, max_states=max_states, max_actions=max_actions, masked=bool(k % 2)
        )
        unit = max(1.0, float(np.abs(mdp.reward).max()))
        mdp = TabularMDP(mdp.transition, 4 * mdp.reward / unit, mdp.gamma, mdp.initial, mdp.mask)
        yield (_with_absorbing_state(mdp) if k % 3 == 0 else mdp), rng


def _with_absorbing_state(mdp):
    transition, reward = mdp.transition.copy(), mdp.reward.copy()
    transition[0] = np.where(mdp.available[0][:, None], np.eye(mdp.n_states)[0], 0.0)
    reward[0] = 0.0
    return TabularMDP(transition, reward, mdp.gamma, mdp.initial, mdp.mask)


def solve_linear(matrix, rhs):
    """Solution of a linear system by Gaussian elimination with partial pivoting."""
    rows = [[*row, b] for row, b in zip(matrix, rhs, strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    x = [0.0] * n
    for k in reversed(range(n)):
        x[k] = (rows[k][n] - sum(rows[k][j] * x[j] for j in range(k + 1, n))) / rows[k][k]
    return x


def values(world, pi, gain=None):
    """Values of a policy `pi[s][a]`; `gain[s]` is its gain per step, by default the reward."""
    n = len(world.actions)
    step = [[0.0] * n for _ in world.states]
    for s in world.states:
        for a in world.actions[s]:
            for t, p in world.rows[s][a]:
                step[s][t] += pi[s][a] * p
    if gain is None:
        gain = [sum(pi[s][a] * world.reward[s][a] for a in world.actions[s]) for s in world.states]
    matrix = [[float(s == t) - world.gamma * step[s][t] for t in world.states] for s in world.states]
    return solve_linear(matrix, gain)


def occupancy(world, pi):
    """Normalised discounted state distribution `(1 - gamma) sum_t gamma^t Pr(s_t = s)`."""
    n = len(world.actions)
    matrix = [[float(s == t) for t in range(n)] for s in range(n)]
    for s in world.states:
        for a in world.actions[s]:
            for t, p in world.rows[s][a]:
                matrix[t][s] -= world.gamma * pi[s][a] * p
    return [(1 - world.gamma) * x for x in solve_linear(matrix, world.start)]


def backup(world, v):
    """Action values `r + gamma E[v]` as dictionaries, `q[s] = {a: value}`."""
    return [
        {
            a: world.reward[s][a] + world.gamma * sum(p * v[t] for t, p in world.rows[s][a])
            for a in world.actions[s]
        }
        for s in world.states
    ]


def log_sum_exp(xs):
    """`log sum exp(x)`."""
    top = max(xs)
    return top + math.log(sum(math.exp(x - top) for x in xs))


def tempered(q, p, eta, rho=1.0):
    """Row `p^rho e^(q/eta) / Z` as a dictionary; at `eta` 0 the prior's share among the best actions."""
    support = [a for a in q if p[a] > 0 or rho == 0]
    if eta == 0:
        best = max(q[a] for a in support)
        mass = sum(p[a] for a in support if q[a] == best)
        return {a: (p[a] / mass if a in support and q[a] == best else 0.0) for a in q}
    score = {a: (rho * math.log(p[a]) if rho else 0.0) + q[a] / eta for a in support}
    norm = log_sum_exp(list(score.values()))
    return {a: math.exp(score[a] - norm) if a in score else 0.0 for a in q}


def kl(x, y):
    """KL divergence of two rows (dictionaries)."""
    return sum(x[a] * math.log(x[a] / y[a]) for a in x if x[a] > 0)


def decreasing_root(f, low, high, steps=70):
    """Where a decreasing function crosses 0 between `low` and `high` > 0, by bisection of the logarithm."""
    low, high = math.log(low), math.log(high)
    for _ in range(steps):
        mid = (low + high) / 2
        low, high = (mid, high) if f(math.exp(mid)) > 0 else (low, mid)
    return math.exp((low + high) / 2)


def rows_of(table):
    """A policy `[S, A]` array as dictionaries over all actions."""
    return [dict(enumerate(row)) for row in np.asarray(table).tolist()]


def table_of(rows, n_actions):
    """Dictionaries per state as an array `[S, A]`, 0 where there is none."""
    return np.array([[row.get(a, 0.0) for a in range(n_actions)] for row in rows])
