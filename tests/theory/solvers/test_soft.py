"""Soft solvers: closed forms, high precision, limits, true bounds, bad input."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from tests.support.exact_mdp import random_mdp
from virel_theory import InputError, TabularMDP
from virel_theory.models import draw
from virel_theory.operators.bellman import bellman_soft
from virel_theory.solvers import soft
from virel_theory.solvers.soft import soft_policy_iteration, soft_value_iteration
from virel_theory.solvers.solution import Status
from virel_theory.solvers.solve import solve

SOFT = [soft_value_iteration, soft_policy_iteration]


def precise_soft_q(mdp, c):
    """Soft Q* to 40 digits: value iteration in mpmath until contraction has done its work."""
    rows, (n_states, n_actions) = mdp.dense_transition, mdp.shape
    pairs = [[a for a in range(n_actions) if mdp.available[s, a]] for s in range(n_states)]
    with mpmath.workdps(50):
        v = [mpmath.mpf(0)] * n_states
        for _ in range(int(np.ceil(110 / -np.log(max(mdp.gamma, 1e-3))))):
            q = [
                {
                    a: mpmath.mpf(mdp.reward[s, a]) + mpmath.mpf(mdp.gamma) * mpmath.fdot(rows[s, a], v)
                    for a in pairs[s]
                }
                for s in range(n_states)
            ]
            v = [
                mpmath.mpf(c) * mpmath.log(mpmath.fsum(mpmath.exp(x / mpmath.mpf(c)) for x in row.values()))
                for row in q
            ]
        return q, v


@pytest.mark.parametrize("solver", SOFT)
def test_soft_bounds_are_true_at_fifty_digits(solver):
    rng = np.random.default_rng(0)
    for _ in range(15):
        mdp = random_mdp(rng, gammas=(0.0, 0.3, 0.7), max_states=3)
        c = float(rng.choice([0.01, 1.0, 30.0]))
        exact_q, exact_v = precise_soft_q(mdp, c)
        for atol in (1e-3, 0.0):
            found = solver(mdp, c=c, atol=atol)
            with mpmath.workdps(50):
                gap_q = max(
                    abs(x - mpmath.mpf(found.q[s, a]))
                    for s, row in enumerate(exact_q)
                    for a, x in row.items()
                )
                gap_v = max(abs(x - mpmath.mpf(found.value[s])) for s, x in enumerate(exact_v))
            assert max(gap_q, gap_v) <= found.error_bound
            assert found.error_bound <= atol or found.status is Status.ROUNDING_LIMIT


@pytest.mark.parametrize("solver", SOFT)
@pytest.mark.parametrize("n_actions", [1, 2, 7])
def test_equal_rewards_add_the_entropy_of_the_uniform_policy(solver, n_actions):
    mdp = TabularMDP(np.ones((1, n_actions, 1)), np.full((1, n_actions), 3.0), 0.9)
    found = solver(mdp, c=0.5, atol=1e-9)
    assert abs(found.value.item() - (3 + 0.5 * np.log(n_actions)) / 0.1) <= found.error_bound + 1e-13


def plain_soft_values(mdp, c, tolerance=1e-9):
    """Soft Q* by repeated backups, until contraction leaves an error below `tolerance`."""
    q, step = np.where(mdp.available, mdp.reward, -np.inf), np.inf
    while not step * mdp.gamma / (1 - mdp.gamma) <= tolerance / 2:
        old, q = q, bellman_soft(mdp, q, c=c)
        step = np.abs(q[mdp.available] - old[mdp.available]).max()
    return q


@pytest.mark.parametrize("solver", SOFT)
def test_soft_solvers_agree_with_plain_soft_value_iteration(solver):
    rng = np.random.default_rng(1)
    for _ in range(20):
        mdp = random_mdp(rng, gammas=(0.5, 0.9, 0.99))
        c = float(rng.choice([0.1, 1.0, 10.0]))
        found, plain = solver(mdp, c=c, atol=1e-7), plain_soft_values(mdp, c)
        gap = np.abs(found.q[mdp.available] - plain[mdp.available]).max()
        assert gap <= found.error_bound + 1e-9


@pytest.mark.parametrize("solver", SOFT)
def test_a_soft_bound_covers_row_sums_that_are_not_quite_one(solver):
    """A row of 1000 entries that sums to 1 + 1900 eps, with 1 - gamma = 1e-11: V = 1/(1 - gamma sum)."""
    row, gamma = np.full(1000, (1 + 1900 * 2.0**-52) / 1000), 1 - 1e-11
    mdp = TabularMDP(np.broadcast_to(row, (1000, 1, 1000)), np.ones((1000, 1)), gamma)
    soft = solver(mdp, c=1.0, atol=1.2e11, max_steps=50)
    exact = 1 / (1 - Fraction(gamma) * sum(map(Fraction, row)))
    assert abs(Fraction(float(soft.q[0, 0])) - exact) <= Fraction(soft.error_bound)
    assert soft.error_bound < np.inf


@pytest.mark.parametrize("solver", SOFT)
def test_no_soft_bound_is_claimed_where_the_row_sums_may_undo_gamma(solver):
    found = solver(TabularMDP([[[1.0]]], [[1.0]], 1 - 2.0**-52), c=1.0, atol=1.0, max_steps=3)
    assert found.status is Status.NOT_CONTRACTING
    assert found.error_bound == np.inf


@pytest.mark.parametrize("solver", SOFT)
def test_the_soft_value_exceeds_the_hard_one_by_at_most_the_entropy(solver):
    mdp = draw.garnet(50, 4, 3, gamma=0.95, rng=np.random.default_rng(2), sparse=True)
    hard = solve(mdp, atol=1e-8)
    for c in (1e-6, 1e-2, 1.0):
        soft = solver(mdp, c=c, atol=1e-7)
        excess = soft.value - hard.value
        slack = soft.error_bound + hard.error_bound
        assert -slack <= excess.min()
        assert excess.max() <= c * np.log(4) / 0.05 + slack


@pytest.mark.parametrize("solver", SOFT)
def test_soft_costs_are_soft_rewards_with_the_sign_turned(solver):
    mdp = random_mdp(np.random.default_rng(3), gammas=(0.9,), masked=True)
    costs = TabularMDP(mdp.transition, -mdp.reward, mdp.gamma, mask=mdp.mask)
    reward, cost = solver(mdp, c=1.0, atol=1e-8), solver(costs, c=1.0, atol=1e-8, sense="min")
    np.testing.assert_array_equal(cost.q, -reward.q)


def test_soft_policy_iteration_takes_few_steps():
    mdp = draw.garnet(50, 4, 3, gamma=0.999, rng=np.random.default_rng(4))
    assert soft_policy_iteration(mdp, c=0.1, atol=1e-6).n_steps <= 12


@pytest.mark.parametrize("solver", SOFT)
@pytest.mark.parametrize("c", [0.0, -1.0, np.nan, np.inf])
def test_a_bad_temperature_is_named(solver, c):
    with pytest.raises(InputError, match="`c` must be positive and finite"):
        solver(TabularMDP([[[1.0]]], [[1.0]], 0.5), c=c, atol=1e-6)


def test_the_step_limit_is_reported():
    mdp = draw.garnet(20, 3, 2, gamma=0.99, rng=np.random.default_rng(5))
    assert soft_value_iteration(mdp, c=1.0, atol=1e-9, max_steps=2).status is Status.MAX_STEPS


@pytest.mark.parametrize("solver", SOFT)
@pytest.mark.parametrize(
    ("reward", "c", "name"), [(1e308, 1.0, "reward"), (0.0, 1e308, "c"), (-1e300, 1.0, "reward")]
)
def test_values_that_may_overflow_are_named(solver, reward, c, name):
    mdp = TabularMDP(np.ones((1, 2, 1)), [[reward, 0.0]], 0.9)
    with pytest.raises(InputError, match=rf"`{name}` must keep .* at most 1e\+140"):
        solver(mdp, c=c, atol=1e-6)


@pytest.mark.parametrize("solver", SOFT)
@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.9])
def test_the_rounding_of_soft_maxima_is_within_the_bound_where_it_is_most_of_it(solver, gamma, monkeypatch):
    """One state, a temperature far above the rewards: V = c log(sum exp(r / c)) / (1 - gamma), to 60 digits.

    Where gamma is small the rounding of a backup is small beside that of a soft maximum, so that a bound
    without the latter is false.
    """
    rng = np.random.default_rng(0)
    cases = [(rng.normal(size=rng.integers(2, 9)), 10.0**k) for k in range(1, 7) for _ in range(4)]

    def false_bounds():
        return sum(wrong(solver, reward, gamma, c) for reward, c in cases)

    def wrong(solver, reward, gamma, c):
        mdp = TabularMDP([[[1.0]] * len(reward)], reward=[reward.tolist()], gamma=gamma)
        found = solver(mdp, c=c, atol=0.0, max_steps=300)
        with mpmath.workdps(60):
            total = mpmath.fsum(mpmath.exp(mpmath.mpf(r) / mpmath.mpf(c)) for r in reward.tolist())
            exact = mpmath.mpf(c) * mpmath.log(total) / (1 - mpmath.mpf(gamma))
            return abs(mpmath.mpf(found.value[0]) - exact) > mpmath.mpf(found.error_bound)

    assert false_bounds() == 0
    monkeypatch.setattr(soft, "soft_error", lambda *_, **__: 0.0)
    assert gamma == 0.9 or false_bounds() > len(cases) / 2
