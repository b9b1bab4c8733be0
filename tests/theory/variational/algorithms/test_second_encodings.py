"""Second encodings, in plain loops, of the exact algorithms with one task and their values from the true MDP.

Each encoding is written from the papers and the algorithms' docstrings and makes one iteration from the
policy before it; by induction, agreement on every iteration is agreement on all iterates. 200 random MDPs
each, with missing actions and absorbing states, exact evaluation and two sweeps in turn.

Tolerance, derived beforehand. Values are below 4/(1 - gamma) = 40 and linear systems have a condition number
below 20, so values of both encodings differ by less than 1e-11. A posterior's log-ratios differ by twice
that over eta, plus their size times the relative error of eta. The plain root stops at 1e-14, relative, or
where the divergence no longer changes, and there the policy does not either. 1e-8 covers both for
temperatures above 0.01; a greedy limit is exact.
"""

import itertools
import math

import numpy as np
import pytest

from tests.support import plain
from virel_theory.variational.table import algorithm_row

N_STEPS, TOL = 4, 1e-8
WORLDS = [40, pytest.param(200, marks=pytest.mark.long)]
"""Numbers of random MDPs: the first 40 always, all 200 by `make test-long`."""


def _evaluate(world, pi, v, sweeps):
    if sweeps is None:
        return plain.values(world, pi)
    for _ in range(sweeps):
        q = plain.backup(world, v)
        v = [sum(pi[s][a] * q[s][a] for a in q[s]) for s in world.states]
    return v


def _mean_kl(d, x, y):
    return sum(w * plain.kl(a, b) for w, a, b in zip(d, x, y, strict=True) if w > 0)


def _budget(q, p, d, epsilon):
    """Temperature at which the tempered rows spend the budget; 0 if the greedy ones do not exceed it."""

    def spent(eta):
        return _mean_kl(d, [plain.tempered(x, y, eta) for x, y in zip(q, p, strict=True)], p)

    return (
        0.0 if spent(0.0) <= epsilon else plain.decreasing_root(lambda eta: spent(eta) - epsilon, 1e-8, 1e8)
    )


def _mixture(q_new, old, d, trust):
    """Rows old + w (q_new - old), w the largest in [0, 1] with E_d KL(old || rows) at most `trust`."""

    def rows(w):
        return [{a: p[a] + w * (x[a] - p[a]) for a in x} for x, p in zip(q_new, old, strict=True)]

    def spent(w):
        new = rows(w)
        lost = any(r[a] <= 0 < p[a] for r, p, u in zip(new, old, d, strict=True) if u > 0 for a in r)
        return math.inf if lost else _mean_kl(d, old, new)

    if trust is None or spent(1.0) <= trust:
        return q_new
    low, high = 0.0, 1.0
    for _ in range(60):
        mid = (low + high) / 2
        low, high = (mid, high) if spent(mid) <= trust else (low, mid)
    return rows(low)


def mpo_step(world, p, v, d, *, epsilon=0.1, eta=None, trust=None):
    q = plain.backup(world, v)
    p = [{a: row[a] for a in x} for row, x in zip(p, q, strict=True)]
    temperature = _budget(q, p, d, epsilon) if eta is None else eta
    posterior = [plain.tempered(x, y, temperature) for x, y in zip(q, p, strict=True)]
    return q, posterior, _mixture(posterior, p, d, trust), temperature, _mean_kl(d, posterior, p)


def mpo_parametric_step(world, p, v, d, *, trust=0.1):
    q = plain.backup(world, v)
    p = [{a: row[a] for a in x} for row, x in zip(p, q, strict=True)]

    def row(x, prior, lam):
        support = [a for a in x if prior[a] > 0]
        top = max(x[a] for a in support)
        low, high = 0.0, lam * 1.0  # nu - top in (0, lambda], as the sum falls in nu
        for _ in range(60):
            mid = (low + high) / 2
            total = sum(lam * prior[a] / (mid + (top - x[a])) for a in support)
            low, high = (mid, high) if total > 1 else (low, mid)
        out = {a: (lam * prior[a] / (high + (top - x[a])) if a in support else 0.0) for a in x}
        return {a: y / sum(out.values()) for a, y in out.items()}

    def spent(lam):
        return _mean_kl(d, p, [row(x, prior, lam) for x, prior in zip(q, p, strict=True)])

    spreads = [
        max(x[a] for a in x if y[a] > 0) - min(x[a] for a in x if y[a] > 0) for x, y in zip(q, p, strict=True)
    ]
    if max(spreads) == 0:
        new, lam = [plain.tempered(x, y, 0.0) for x, y in zip(q, p, strict=True)], 0.0
    else:
        lam = plain.decreasing_root(lambda x: spent(x) - trust, 1e-200, 1e8)
        new = [row(x, prior, lam) for x, prior in zip(q, p, strict=True)]
    return q, new, new, lam, _mean_kl(d, new, p)


def natural_step(world, p, v, d, *, step=1.0):
    """Natural gradient from its definition: F^+ g, solved on the blocks of the Fisher matrix.

    Steps must be small: where a probability comes near 0 the blocks are close to singular.
    """
    q = plain.backup(world, v)
    new = []
    for s in world.states:
        acts = [a for a in q[s] if p[s][a] > 0]
        pi = [p[s][a] for a in acts]
        mean = sum(x * q[s][a] for x, a in zip(pi, acts, strict=True))
        g = [x * (q[s][a] - mean) for x, a in zip(pi, acts, strict=True)]
        fisher = [[(x if i == j else 0.0) - x * pi[j] for j in range(len(pi))] for i, x in enumerate(pi)]
        # F + 1 1^T is regular, and gives the solution that is orthogonal to the constants
        shifted = [[f + 1.0 for f in row] for row in fisher]
        move = plain.solve_linear(shifted, g)
        score = [math.log(x) + step * m for x, m in zip(pi, move, strict=True)]
        norm = plain.log_sum_exp(score)
        row = dict.fromkeys(q[s], 0.0) | {a: math.exp(x - norm) for a, x in zip(acts, score, strict=True)}
        new.append(row)
    return q, new, new, 1 / step, _mean_kl(d, new, [{a: p[s][a] for a in q[s]} for s in world.states])


def _tie(q):
    """Distance of tied values: 1e-10 of half the largest spread of a state, and 32 ulps of the largest."""
    spread = max(max(x.values()) - min(x.values()) for x in q)
    return 0.5e-10 * spread + 32 * 2.0**-52 * max(abs(y) for x in q for y in x.values())


def rerpi_step(world, p, v, d, *, weights="exp", epsilon=0.1, trust=0.001):
    if weights == "exp":
        return mpo_step(world, p, v, d, epsilon=epsilon, trust=trust)
    q = plain.backup(world, v)
    p = [{a: row[a] for a in x} for row, x in zip(p, q, strict=True)]
    tie = _tie(q)
    posterior = []
    for x, prior in zip(q, p, strict=True):
        order = sorted(x, key=lambda a: -x[a])
        weight = {a: math.log((len(order) + 0.5) / (i + 1)) for i, a in enumerate(order)}
        groups = [[order[0]]]
        for before, a in itertools.pairwise(order):
            if x[before] - x[a] <= tie:
                groups[-1].append(a)
            else:
                groups.append([a])
        for group in groups:
            mean = sum(weight[a] for a in group) / len(group)
            weight |= dict.fromkeys(group, mean)
        total = sum(prior[a] * weight[a] for a in x)
        posterior.append({a: prior[a] * weight[a] / total for a in x})
    return q, posterior, _mixture(posterior, p, d, trust), math.nan, _mean_kl(d, posterior, p)


def vmpo_step(world, p, v, _, *, keep=0.5, epsilon=0.02, eta=None, trust=None):
    q = plain.backup(world, v)
    p = [{a: row[a] for a in x} for row, x in zip(p, q, strict=True)]
    tie = _tie(q)
    adv = {}
    for s in world.states:
        mean = sum(p[s][a] * q[s][a] for a in q[s])
        adv |= {(s, a): (q[s][a] - mean if abs(q[s][a] - mean) > tie else 0.0) for a in q[s]}
    d = plain.occupancy(world, p)
    d = [max(x, 0.0) / sum(d) for x in d]
    mass = {(s, a): d[s] * p[s][a] for s, a in adv}
    kept = _top_share(adv, mass, keep, tie)
    total = sum(kept.values())
    base = {h: x / total for h, x in kept.items() if x > 0}
    values = {h: adv[h] for h in base}

    def spent(x):
        return plain.kl(plain.tempered(values, base, x), base)

    if eta is None:
        free = spent(0.0) <= epsilon
        eta = 0.0 if free else plain.decreasing_root(lambda x: spent(x) - epsilon, 1e-8, 1e8)
    psi = plain.tempered(values, base, eta)
    state = [sum(psi.get((s, a), 0.0) for a in q[s]) for s in world.states]
    posterior = [
        {a: psi.get((s, a), 0.0) / state[s] for a in q[s]} if state[s] > 0 else dict(p[s])
        for s in world.states
    ]

    def new(lam):
        return [
            {a: (psi.get((s, a), 0.0) + lam * d[s] * p[s][a]) / (state[s] + lam * d[s]) for a in q[s]}
            if state[s] + lam * d[s] > 0
            else dict(p[s])
            for s in world.states
        ]

    def distance(lam):
        rows = new(lam)
        lost = any(rows[s][a] <= 0 < p[s][a] for s in world.states if d[s] > 0 for a in rows[s])
        return math.inf if lost else _mean_kl(d, p, rows)

    lam = 0.0
    if trust is not None and distance(0.0) > trust:
        lam = plain.decreasing_root(lambda x: distance(x) - trust, 1e-12, 1e12)
    return q, posterior, new(lam), eta, _mean_kl(d, posterior, p)


def _top_share(adv, mass, keep, tie):
    """Mass of each pair in the top share: whole above the threshold, one fraction of it at the threshold."""
    for x in sorted({adv[h] for h in mass if mass[h] > 0}, reverse=True):
        if sum(m for h, m in mass.items() if adv[h] >= x - tie) >= keep - 1e-12:
            break
    above = sum(m for h, m in mass.items() if adv[h] > x + tie)
    level = sum(m for h, m in mass.items() if abs(adv[h] - x) <= tie)
    fraction = min(1.0, (keep - above) / level)
    share = {h: (1.0 if adv[h] > x + tie else fraction if adv[h] >= x - tie else 0.0) for h in mass}
    return {h: share[h] * m for h, m in mass.items()}


def policy_iteration_step(world, p, v, d):
    """Uniform over the best actions; its KL is infinite where the old policy lacks one of them."""
    q = plain.backup(world, v)
    new = []
    for x in q:
        best = [a for a in x if x[a] == max(x.values())]
        new.append({a: (1 / len(best) if a in best else 0.0) for a in x})
    lost = any(d[s] > 0 and p[s][a] == 0 < x[a] for s, x in enumerate(new) for a in x)
    kl = math.inf if lost else _mean_kl(d, new, [{a: p[s][a] for a in x} for s, x in enumerate(q)])
    return q, new, new, 0.0, kl


def mb_mpo_step(world, p, v, d, *, epsilon=0.1, horizon=2):
    """Plans of h steps by the sum over all trajectories, at the temperature of the one-step budget."""
    one_step = plain.backup(world, v)
    p = [{a: row[a] for a in x} for row, x in zip(p, one_step, strict=True)]
    eta = _budget(one_step, p, d, epsilon)
    tables = [_plan_values(world, s, v, p, eta, horizon) for s in world.states]
    posterior = [plain.tempered(x, y, eta) for x, y in zip(tables, p, strict=True)]
    return tables, posterior, posterior, eta, _mean_kl(d, posterior, p)


def _plan_values(world, start, v, p, eta, horizon):
    """Log-messages of first actions times eta; at eta 0 the best trajectory that has positive probability."""
    found = {a: [] for a in world.actions[start]}
    paths = [(a, start, a, 0.0, 0.0) for a in world.actions[start]]
    for t in range(horizon):
        ahead = []
        for first, s, a, gained, chance in paths:
            now = gained + world.gamma**t * world.reward[s][a]
            for s_next, w in world.rows[s][a]:
                if t + 1 == horizon:
                    found[first].append((now + world.gamma**horizon * v[s_next], chance + math.log(w)))
                else:
                    ahead += [
                        (first, s_next, b, now, chance + math.log(w) + math.log(p[s_next][b]))
                        for b in world.actions[s_next]
                        if p[s_next][b] > 0
                    ]
        paths = ahead
    if eta == 0:
        return {a: max(gain for gain, _ in x) for a, x in found.items()}
    return {a: eta * plain.log_sum_exp([gain / eta + chance for gain, chance in x]) for a, x in found.items()}


CASES = [
    ("policy-iteration", policy_iteration_step, {}),
    ("mb-mpo", mb_mpo_step, {"epsilon": 0.1, "horizon": 2}),
    ("mpo", mpo_step, {"epsilon": 0.1}),
    ("mpo", mpo_step, {"epsilon": 0.3, "trust": 0.02}),
    ("mpo", mpo_step, {"eta": 0.7}),
    ("mpo-parametric", mpo_parametric_step, {"trust": 0.05}),
    ("natural-policy-gradient", natural_step, {"step": 0.05}),
    ("rerpi", rerpi_step, {"weights": "exp", "epsilon": 0.2, "trust": 0.01}),
    ("rerpi", rerpi_step, {"weights": "rank", "trust": 0.05}),
    ("vmpo", vmpo_step, {"keep": 0.5, "epsilon": 0.1}),
    ("vmpo", vmpo_step, {"keep": 0.8, "eta": 0.5, "trust": 0.02}),
    ("vmpo", vmpo_step, {"keep": 1.0, "eta": 0.5}),
]


@pytest.mark.parametrize("n_worlds", WORLDS)
@pytest.mark.parametrize(
    ("name", "step", "settings"), CASES, ids=[f"{n}-{i}" for i, (n, _, _) in enumerate(CASES)]
)
def test_every_iterate_is_that_of_the_second_encoding(n_worlds, name, step, settings):
    algorithm = algorithm_row(name).load()
    for k, (mdp, rng) in enumerate(plain.worlds(n_worlds, seed=len(name) + len(settings))):
        sweeps = 2 if k % 4 == 1 and name != "vmpo" else None
        d = rng.dirichlet(np.ones(mdp.n_states))
        known = {} if name == "vmpo" else {"d": d}
        found = list(itertools.islice(algorithm(mdp, sweeps=sweeps, **known, **settings), N_STEPS))
        world = plain.plain(mdp)
        policy = [
            {a: 1 / len(acts) for a in acts} | dict.fromkeys(set(range(mdp.n_actions)) - set(acts), 0.0)
            for acts in world.actions
        ]
        v = _evaluate(world, policy, [0.0] * mdp.n_states, sweeps)
        for number, iterate in enumerate(found, start=1):
            q, posterior, new, temperature, kl = step(world, policy, v, d.tolist(), **settings)
            where = f"{name} {settings}, MDP {k}, iteration {number}"
            assert iterate.step == number
            _compare(where, mdp, iterate, q, posterior, new)
            np.testing.assert_allclose(iterate.kl, kl, rtol=TOL, atol=TOL, err_msg=where)
            if temperature < 1e-190:  # the end of the plain bracket: a multiplier may underflow to 0
                assert iterate.temperature <= temperature * (1 + 1e-6), where
            else:
                np.testing.assert_allclose(iterate.temperature, temperature, rtol=1e-6, err_msg=where)
            policy = plain.rows_of(iterate.policy)
            v = _evaluate(world, policy, v, sweeps)
            exact = sum(p * x for p, x in zip(world.start, plain.values(world, policy), strict=True))
            assert abs(iterate.value - exact) <= iterate.error + 1e-11, where
            assert _loss(world, policy) <= iterate.bound + 1e-9, where


def _compare(where, mdp, iterate, q, posterior, policy):
    wanted = np.where(mdp.available, plain.table_of(q, mdp.n_actions), -np.inf)
    np.testing.assert_allclose(iterate.q, wanted, rtol=TOL, atol=1e-10, err_msg=where)
    for found, rows in ((iterate.posterior, posterior), (iterate.policy, policy), (iterate.prior, policy)):
        np.testing.assert_allclose(
            found, plain.table_of(rows, mdp.n_actions), rtol=0, atol=TOL, err_msg=where
        )


def _loss(world, policy):
    """Largest loss of a policy against the optimum, by plain policy iteration."""
    best = [{a: float(a == acts[0]) for a in acts} for acts in world.actions]
    while True:
        q = plain.backup(world, plain.values(world, best))
        new = []
        for s, acts in enumerate(world.actions):
            now = next(a for a in acts if best[s][a] == 1)
            top = max(acts, key=q[s].__getitem__)
            chosen = top if q[s][top] > q[s][now] + 1e-11 else now
            new.append({a: float(a == chosen) for a in acts})
        if new == best:
            break
        best = new
    star, own = plain.values(world, best), plain.values(world, policy)
    return max(x - y for x, y in zip(star, own, strict=True))
