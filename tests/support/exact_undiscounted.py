"""Exact judges of objectives without a discount: every deterministic policy of a small MDP, in rationals.

Rows are divided by their exact sums. Nothing is shared with the solvers: no end components by decomposition,
no fixed points, no bounds. A policy's chain is a dictionary of successors; what it reaches is a closure.
"""

import itertools
from fractions import Fraction

import numpy as np
from flint import fmpq, fmpq_mat

from tests.support.exact_mdp import rational
from virel_theory.mdp.tabular import TabularMDP

INF = float("inf")
DOUBT = fmpq(1, 10**12)  # gains of fewer units per step have no sign in float64


def exact_rows(mdp):
    """`{state: {action: {successor: probability}}}` and `{(state, action): reward}`, as rationals."""
    rows, rewards, dense = {}, {}, mdp.dense_transition
    for s, a in np.argwhere(mdp.available).tolist():
        entries = {t: rational(x) for t, x in enumerate(dense[s, a]) if x > 0}
        total = sum(entries.values(), fmpq(0))
        rows.setdefault(s, {})[a] = {t: x / total for t, x in entries.items()}
        rewards[s, a] = rational(mdp.reward[s, a])
    return rows, rewards


def policies(rows):
    """All deterministic policies, as dictionaries from states to actions."""
    for actions in itertools.product(*(sorted(rows[s]) for s in sorted(rows))):
        yield dict(zip(sorted(rows), actions, strict=True))


def closure(chain, start):
    """States that a chain `{state: successors}` may visit from `start`, which is included."""
    seen, todo = {start}, [start]
    while todo:
        for t in chain.get(todo.pop(), ()):
            if t not in seen:
                seen.add(t)
                todo.append(t)
    return seen


def solved(states, rows, rhs):
    """Solution of `x = rhs + rows x` on `states`; successors elsewhere count 0."""
    order = sorted(states)
    if not order:
        return {}
    n = len(order)
    matrix = [(fmpq(1) if s == t else fmpq(0)) - rows[s].get(t, fmpq(0)) for s in order for t in order]
    found = fmpq_mat(n, n, matrix).solve(fmpq_mat(n, 1, [rhs[s] for s in order]))
    return {s: found[i, 0] for i, s in enumerate(order)}


def chain_of(rows, policy, goal):
    """Rows of a policy, and its successors `{state: set}`; goals go nowhere."""
    used = {s: ({} if s in goal else rows[s][a]) for s, a in policy.items()}
    return used, {s: set(row) for s, row in used.items()}


def policy_probability(rows, policy, goal):
    """Exact probabilities of reaching the goal under a policy."""
    used, chain = chain_of(rows, policy, goal)
    hopeful = {s for s in chain if closure(chain, s) & goal} - goal
    rhs = {s: sum((x for t, x in used[s].items() if t in goal), fmpq(0)) for s in hopeful}
    found = solved(hopeful, used, rhs)
    return [fmpq(1) if s in goal else found.get(s, fmpq(0)) for s in sorted(chain)]


def optimal_probability(mdp, goal, sense):
    """Exact optimal probabilities `[S]` of reaching the goal, over all deterministic policies."""
    rows, _ = exact_rows(mdp)
    best = max if sense == "max" else min
    columns = zip(*(policy_probability(rows, x, goal) for x in policies(rows)), strict=True)
    return [best(column) for column in columns]


def policy_total(rows, rewards, policy, goal):
    """Exact expected totals until the goal; None from states from which the goal is not reached surely."""
    used, chain = chain_of(rows, policy, goal)
    sure = {s for s in chain if all(closure(chain, t) & goal for t in closure(chain, s))} - goal
    found = solved(sure, used, {s: rewards[s, policy[s]] for s in sure})
    return [fmpq(0) if s in goal else found.get(s) for s in sorted(chain)]


def optimal_total(mdp, goal, sense):
    """Exact optimal totals `[S]` over proper policies; infinite ones as floats.

    Returns None if the problem is to be refused: going round gains nothing, with rewards of both signs.
    """
    rows, rewards = exact_rows(mdp)
    sign = 1 if sense == "max" else -1
    gains = {h: sign * r for h, r in rewards.items()}
    totals = [policy_total(rows, gains, x, goal) for x in policies(rows)]
    value = [max((x for x in column if x is not None), default=-INF) for column in zip(*totals, strict=True)]
    inside = {s for s, x in enumerate(value) if x != -INF}
    allowed = {s: {a: row for a, row in rows[s].items() if s in goal or set(row) <= inside} for s in inside}
    endless = component_gains(allowed, gains, goal)
    if any(len(signs) == 2 and abs(x) < DOUBT for x, signs in endless.values()):
        return None
    chain = {t: set().union(*allowed[t].values()) for t in inside - goal}
    for s in inside - goal:
        if any(x > 0 and states & closure(chain, s) for states, (x, _) in endless.items()):
            value[s] = INF
    return [sign * x for x in value]


def component_gains(rows, gains, goal):
    """Largest gain per step in each maximal end component without goals, and the signs of its rewards.

    Going round at rewards of 0 alone is waiting, which neither gains nor leaves anything open: not counted.
    """
    recurrent = recurrent_pairs(rows, goal)
    homes = components(recurrent)
    signs = {x: {gains[h] > 0 for h in recurrent if h[0] in x and gains[h] != 0} for x in homes}
    found = {x: [] for x in homes}
    for policy in policies({s: row for s, row in rows.items() if any(s in x for x in homes)}):
        chain = {s: set(rows[s][a]) for s, a in policy.items()}
        for s in policy:
            around = closure(chain, s)
            if around <= set(policy) and all(s in closure(chain, t) for t in around):
                used = {t: rows[t][policy[t]] for t in around}
                of_states = {t: gains[t, policy[t]] for t in around}
                if any(of_states.values()):
                    found[next(x for x in homes if s in x)].append(class_gain(around, used, of_states))
    return {x: (max(found[x], default=fmpq(-1)), signs[x]) for x in homes}


def recurrent_pairs(rows, goal):
    """Pairs that some policy takes for ever, `{(s, a): successors}`: of end components without goals."""
    out = {}
    for policy in policies(rows):
        _, chain = chain_of(rows, policy, goal)
        for s in chain:
            around = closure(chain, s)
            if not around & goal and all(s in closure(chain, t) for t in around):
                out[s, policy[s]] = chain[s]
    return out


def components(recurrent):
    """Sets of states that reach each other by recurrent pairs: the maximal end components."""
    chain = {}
    for (s, _), successors in recurrent.items():
        chain[s] = chain.get(s, set()) | successors
    return {frozenset(t for t in closure(chain, s) if s in closure(chain, t)) for s in chain}


def optimal_gains(mdp, sense):
    """Exact optimal average rewards `[S]`: the best over all deterministic policies."""
    rows, rewards = exact_rows(mdp)
    sign = 1 if sense == "max" else -1
    columns = zip(*(policy_gains(rows, rewards, x) for x in policies(rows)), strict=True)
    return [sign * max(sign * x for x in column) for column in columns]


def policy_gains(rows, rewards, policy):
    """Exact average rewards `[S]` of a policy: means over its recurrent classes."""
    used, chain = chain_of(rows, policy, set())
    around = {s: closure(chain, s) for s in chain}
    closed = {frozenset(around[s]) for s in chain if all(s in around[t] for t in around[s])}
    out = dict.fromkeys(chain, fmpq(0))
    for states in closed:
        gain = class_gain(states, used, {s: rewards[s, policy[s]] for s in states})
        reach = policy_probability(rows, policy, set(states))
        out = {s: out[s] + reach[s] * gain for s in out}
    return [out[s] for s in sorted(out)]


def class_gain(states, used, reward):
    """Average reward in a recurrent class, by the mean reward and length of the cycles through one state."""
    root = min(states)
    others = states - {root}
    totals = solved(others, used, reward)
    lengths = solved(others, used, dict.fromkeys(others, fmpq(1)))
    total = reward[root] + sum((x * totals[t] for t, x in used[root].items() if t != root), fmpq(0))
    length = 1 + sum((x * lengths[t] for t, x in used[root].items() if t != root), fmpq(0))
    return total / length


def optimal_horizon(mdp, horizon, *, terminal, rewards, gamma, sense):
    """Exact values `[T + 1][S]` of a finite horizon, by backward induction over rationals."""
    rows, stationary = exact_rows(mdp)
    best, discount = (max if sense == "max" else min), rational(gamma)
    out = [[rational(x) for x in terminal]]
    for t in reversed(range(horizon)):
        reward = {h: rational(rewards[t][h]) for h in stationary} if rewards is not None else stationary
        out.append(
            [
                best(
                    reward[s, a] + discount * sum((x * out[-1][j] for j, x in row.items()), fmpq(0))
                    for a, row in rows[s].items()
                )
                for s in sorted(rows)
            ]
        )
    return out[::-1]


def as_fraction(x):
    """A flint rational as a `Fraction`, or an infinite float as it is."""
    return x if isinstance(x, float) else Fraction(int(x.p), int(x.q))


def encloses(lower, upper, exact):
    """Whether each exact value lies within the float bounds, infinite ones being equal."""
    for low, high, x in zip(lower.tolist(), upper.tolist(), map(as_fraction, exact), strict=True):
        if isinstance(x, float):
            if not low == x == high:
                return False
        elif not (low <= x <= high):  # Python compares floats and fractions exactly
            return False
    return True


def random_instance(rng, *, max_states=5, max_actions=3, signs=(0, 1)):
    """Small random MDP with self-loops, end components and zero rewards, and one or two goals.

    `signs` are the rewards' signs to draw from; if -1 and 1, most rewards are differences of potentials. Rows
    are certain, dyadic, thirds or random floats.
    """
    n_states, n_actions = int(rng.integers(2, max_states + 1)), int(rng.integers(1, max_actions + 1))
    rows = np.zeros((n_states, n_actions, n_states))
    for s, a in itertools.product(range(n_states), range(n_actions)):
        k = int(rng.integers(1, min(3, n_states) + 1))
        targets = rng.choice(n_states, size=k, replace=False)
        if rng.random() < 0.3:
            targets[0] = s if s not in targets else targets[0]
        rows[s, a, targets] = rng.random(k) + 1e-3 if rng.random() < 0.4 else 1.0
    for s in np.flatnonzero(rng.random(n_states) < rng.choice([0.0, 0.3])):
        rows[s] = np.eye(n_states)[s]
    rows /= rows.sum(axis=-1, keepdims=True)
    mask = rng.random((n_states, n_actions)) < 0.8
    mask[np.arange(n_states), rng.integers(0, n_actions, n_states)] = True
    rows *= mask[:, :, None]
    size = rng.choice([1.0, 0.1, 3.0, 1 / 3], size=mask.shape)
    reward = rng.choice(signs, size=mask.shape) * size * (rng.random(mask.shape) < 0.7)
    if {*signs} == {-1, 1} and rng.random() < 0.8:  # every way round sums to 0
        potential = rng.integers(-3, 4, n_states).astype(float)
        reward = rows @ potential - potential[:, None]
    goal = {int(t) for t in rng.choice(n_states, size=int(rng.integers(1, 3)), replace=False)}
    return TabularMDP(rows, reward, 0.0, mask=mask), goal
