"""RERPI and V-MPO on finite MDPs: second forms in loops, guarantees, sparse and masked MDPs, bad input."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from virel_common.errors import InputError
from virel_theory import TabularMDP, garnet
from virel_theory.variational.algorithms.rerpi import rerpi
from virel_theory.variational.algorithms.vmpo import vmpo

STEPS = 5


def _mdp(seed, *, masked=True, gamma=0.9):
    """A random MDP with missing actions and an absorbing state of reward 0."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(0.7 * np.ones(4), size=(4, 3))
    r = rng.normal(size=(4, 3))
    p[3], r[3] = np.eye(4)[3], 0.0
    mask = np.ones((4, 3), dtype=bool)
    if masked:
        mask[0, 1] = mask[2, 0] = False
        p = p * mask[:, :, None]
    return TabularMDP(p, r, gamma, initial=rng.dirichlet(np.ones(4)), mask=mask if masked else None)


def _values(mdp, pi):
    """V and Q of a policy by loops and one dense solve."""
    n, a = mdp.shape
    p, r = np.zeros((n, n)), np.zeros(n)
    for s in range(n):
        for b in range(a):
            p[s] += pi[s, b] * mdp.dense_transition[s, b]
            r[s] += pi[s, b] * mdp.reward[s, b]
    v = np.linalg.solve(np.eye(n) - mdp.gamma * p, r)
    return v, [
        [mdp.reward[s, b] + mdp.gamma * mdp.dense_transition[s, b] @ v for b in range(a)] for s in range(n)
    ]


def _kl(p, q):
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def _exp_step(mdp, pi, q, epsilon, d):
    def tilted(eta):
        rows = []
        for s in range(mdp.n_states):
            actions = [b for b in range(mdp.n_actions) if mdp.available[s, b]]
            top = max(q[s][b] for b in actions)
            w = [
                pi[s, b] * math.exp((q[s][b] - top) / eta) if b in actions else 0.0
                for b in range(mdp.n_actions)
            ]
            rows.append([x / sum(w) for x in w])
        return rows

    def excess(log_eta):
        rows = tilted(math.exp(log_eta))
        return sum(d[s] * _kl(rows[s], pi[s]) for s in range(mdp.n_states)) - epsilon

    eta = math.exp(brentq(excess, -6, 12, xtol=1e-15))
    return np.array(tilted(eta)), eta


def _trust_step(q, pi, trust, d):
    def excess(w):
        return sum(d[s] * _kl(pi[s], (1 - w) * pi[s] + w * q[s]) for s in range(len(pi))) - trust

    w = 1.0 if excess(1.0) <= 0 else brentq(excess, 0, 1, xtol=1e-16)
    return (1 - w) * pi + w * q


@pytest.mark.parametrize("seed", range(4))
def test_rerpi_with_exponential_weights_agrees_with_loops(seed):
    mdp = _mdp(seed, masked=seed > 1)
    d = np.full(4, 0.25)
    pi = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    for found in islice(rerpi(mdp, epsilon=0.05, trust=0.01), STEPS):
        q = _values(mdp, pi)[1]
        posterior, eta = _exp_step(mdp, pi, q, 0.05, d)
        np.testing.assert_allclose(found.posterior, posterior, atol=1e-10)
        assert found.temperature == pytest.approx(eta, rel=1e-9)
        assert found.kl == pytest.approx(0.05, rel=1e-11)
        pi = _trust_step(posterior, pi, 0.01, d)
        np.testing.assert_allclose(found.policy, pi, atol=1e-10)
        assert found.value == pytest.approx(mdp.initial @ _values(mdp, pi)[0], abs=1e-9)


def test_rerpi_with_weights_by_rank_agrees_with_loops():
    mdp, d = _mdp(7), np.array([0.1, 0.2, 0.3, 0.4])
    pi = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    for found in islice(rerpi(mdp, weights="rank", trust=0.05, d=d), STEPS):
        q, rows = _values(mdp, pi)[1], np.zeros(mdp.shape)
        for s in range(3):
            actions = sorted((b for b in range(3) if mdp.available[s, b]), key=lambda b, s=s: -q[s][b])
            for rank, b in enumerate(actions, 1):
                rows[s, b] = pi[s, b] * math.log((len(actions) + 0.5) / rank)
        rows[3] = pi[3]  # all actions of the absorbing state are tied
        rows /= rows.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.posterior, rows, atol=1e-12)
        assert math.isnan(found.temperature)
        pi = _trust_step(rows, pi, 0.05, d)
        np.testing.assert_allclose(found.policy, pi, atol=1e-11)


def _occupancy(mdp, pi):
    """Discounted visits by summing 4,000 steps."""
    d, out, factor = mdp.initial.copy(), np.zeros(mdp.n_states), 1 - mdp.gamma
    for _ in range(4000):
        out += factor * d
        d = np.einsum("s,sa,sat->t", d, pi, mdp.dense_transition)
        factor *= mdp.gamma
    return out


def _top(pairs, keep):
    """Fractions of pairs {(s, a): (mass, advantage)}: the best until the share is reached; no ties."""
    out, left = {}, keep
    for h, (mass, _) in sorted(pairs.items(), key=lambda item: -item[1][1]):
        out[h] = min(1.0, max(left, 0.0) / mass)
        left -= mass
    return {h: f if f > 1e-12 else 0.0 for h, f in out.items()}


@pytest.mark.parametrize("trust", [None, 0.01])
def test_vmpo_at_a_fixed_temperature_agrees_with_loops(trust):
    rng = np.random.default_rng(0)
    mdp = TabularMDP(rng.dirichlet(np.ones(4), size=(4, 3)), rng.normal(size=(4, 3)), 0.9)
    pi = np.full((4, 3), 1 / 3)
    for found in islice(vmpo(mdp, keep=0.7, eta=0.5, trust=trust), 3):
        v, q = _values(mdp, pi)
        d = _occupancy(mdp, pi)
        pairs = {
            (s, b): (d[s] * pi[s, b], q[s][b] - v[s]) for s in range(4) for b in range(3) if pi[s, b] > 0
        }
        f = _top(pairs, 0.7)
        psi = np.zeros((4, 3))
        for h, (mass, advantage) in pairs.items():
            psi[h] = mass * f[h] * math.exp(advantage / 0.5)
        psi /= psi.sum()
        posterior = np.array([psi[s] / psi[s].sum() if psi[s].sum() > 0 else pi[s] for s in range(4)])
        np.testing.assert_allclose(found.posterior, posterior, atol=1e-11)
        assert found.kl == pytest.approx(sum(d[s] * _kl(posterior[s], pi[s]) for s in range(4)), abs=1e-10)
        if trust is not None:
            posterior = _joint(psi, pi, d, trust)
        pi = posterior
        np.testing.assert_allclose(found.policy, pi, atol=1e-9)


def _joint(psi, pi, d, trust):
    def policy(x):
        weight = psi + math.exp(x) * d[:, None] * pi
        return weight / weight.sum(axis=1, keepdims=True)

    def excess(x):
        return sum(d[s] * _kl(pi[s], policy(x)[s]) for s in range(len(d))) - trust

    return policy(brentq(excess, -30, 30, xtol=1e-14))


def test_vmpo_spends_its_budget_and_its_trust_region():
    mdp = _mdp(3, masked=False)
    first = next(vmpo(mdp, epsilon=0.02, keep=0.9, trust=0.005))
    d = _occupancy(mdp, np.full((4, 3), 1 / 3))
    assert first.temperature > 0
    spent = sum(d[s] * _kl(np.full(3, 1 / 3), first.policy[s]) for s in range(4))
    assert spent == pytest.approx(0.005, rel=1e-9)


@pytest.mark.parametrize(
    "start",
    [
        lambda mdp: rerpi(mdp, epsilon=0.2, trust=0.05),
        lambda mdp: rerpi(mdp, weights="rank", trust=0.05),
        lambda mdp: vmpo(mdp, keep=0.8, epsilon=0.2, trust=0.05),
        lambda mdp: vmpo(mdp, keep=1.0, epsilon=0.2),
    ],
    ids=["exp", "rank", "vmpo", "vmpo-all"],
)
def test_values_never_fall_and_bounds_hold(start):
    for seed in range(3):
        mdp = _mdp(seed)
        best = _optimum(mdp)
        found = list(islice(start(mdp), 60))
        v = [_values(mdp, x.policy)[0] for x in found]
        assert all((b - a).min() > -1e-10 for a, b in pairwise(v))
        for x, value in zip(found, v, strict=True):
            assert abs(x.value - mdp.initial @ value) <= x.error + 1e-12
            assert (best - value).max() <= x.bound + 1e-10
        assert [x.step for x in found[:3]] == [1, 2, 3]
        assert found[-1].bound < found[0].bound


def _optimum(mdp):
    v = np.zeros(mdp.n_states)
    for _ in range(3000):
        v = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), -np.inf).max(axis=1)
    return v


@pytest.mark.parametrize("start", [rerpi, vmpo])
def test_sparse_and_dense_mdps_give_the_same_iterates(start):
    mdp = _mdp(5)
    pairs = zip(islice(start(mdp), 4), islice(start(mdp.to_sparse()), 4), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a.policy, b.policy, atol=1e-9)
        assert a.value == pytest.approx(b.value, abs=1e-10)


@pytest.mark.parametrize("start", [rerpi, vmpo])
def test_many_sweeps_approach_exact_evaluation(start):
    mdp = garnet(30, 3, 4, gamma=0.8, rng=np.random.default_rng(0))
    exact, swept = next(islice(start(mdp), 2, None)), next(islice(start(mdp, sweeps=200), 2, None))
    np.testing.assert_allclose(exact.policy, swept.policy, atol=1e-9)
    assert swept.error < 1e-6
    few = next(start(mdp, sweeps=1))
    assert few.error > exact.error


@pytest.mark.parametrize(
    "start",
    [rerpi, lambda m: rerpi(m, weights="rank"), vmpo, lambda m: vmpo(m, trust=0.1)],
    ids=["exp", "rank", "vmpo", "trust"],
)
def test_degenerate_mdps_stay_where_they_are(start):
    one = TabularMDP([[[1.0]]], [[2.0]], 0.5)
    tied = TabularMDP(np.ones((1, 3, 1)), np.full((1, 3), 0.1), 0.0)
    for mdp, value in ((one, 4.0), (tied, 0.1)):
        found = next(islice(start(mdp), 2, None))
        assert found.value == pytest.approx(value)
        assert found.bound < 1e-12
    assert next(start(one)).policy.tolist() == [[1.0]]


def test_a_tied_state_keeps_its_policy():
    mdp = TabularMDP(np.full((2, 3, 2), 0.5), [[0.1, 0.1, 0.1], [1.0, 0.0, 0.3]], 0.9)
    found = next(vmpo(mdp, keep=0.9, prior=[[0.2, 0.3, 0.5], [0.3, 0.3, 0.4]]))
    np.testing.assert_allclose(found.policy[0], [0.2, 0.3, 0.5], rtol=1e-9)


def test_a_large_budget_takes_the_greedy_limit():
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    first = next(rerpi(mdp, epsilon=1.0, trust=5.0))
    assert first.temperature == 0.0
    assert first.posterior.tolist() == [[0.0, 1.0]]
    first = next(vmpo(mdp, epsilon=1.0, keep=0.75))
    assert first.temperature == 0.0
    assert first.policy.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: rerpi(m, weights="log"), "`weights` must be one of exp, rank; found 'log'"),
        (lambda m: rerpi(m, epsilon=0.0), "`epsilon` must be positive"),
        (lambda m: rerpi(m, trust=-1.0), "`trust` must be positive"),
        (lambda m: rerpi(m, prior=np.ones((4, 3))), "`prior` must be 0 where"),
        (lambda m: rerpi(m, d=[0.5, 0.5, 0.5, 0.5]), "`d` must sum to 1"),
        (lambda m: rerpi(m, sweeps=0), "`sweeps` must be a positive integer or None; found 0"),
        (lambda m: vmpo(m, keep=0.0), "`keep` must lie in"),
        (lambda m: vmpo(m, epsilon=-1.0), "`epsilon` must be"),
        (lambda m: vmpo(m, eta=-1.0), "`eta` must be non-negative and finite; found -1.0"),
        (lambda m: vmpo(m, trust=0.0), "`trust` must be positive and finite, a"),
        (lambda m: vmpo(m, sweeps=-2), "`sweeps` must be"),
        (lambda m: vmpo(m, prior=[[1.0]]), "`prior` must have shape"),
    ],
)
def test_bad_settings_are_named_when_the_function_is_called(call, message):
    with pytest.raises(InputError, match=message):
        call(_mdp(0))
