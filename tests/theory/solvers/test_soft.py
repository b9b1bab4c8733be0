"""Soft solvers and Boltzmann fixed points: closed forms, high precision, limits, multiplicity, bad input."""

import mpmath
import numpy as np
import pytest

from tests.support.exact_mdp import random_mdp
from virel_theory import InputError, TabularMDP
from virel_theory.methods.merl import soft_optimal_values
from virel_theory.models import draw
from virel_theory.operators.bellman import bellman_boltzmann
from virel_theory.solvers.boltzmann import boltzmann_fixed_points
from virel_theory.solvers.soft import soft_policy_iteration, soft_value_iteration
from virel_theory.solvers.solve import Status, solve

SOFT = [soft_value_iteration, soft_policy_iteration]


def precise_soft_q(mdp, c):
    """Soft Q* to 40 digits: value iteration in mpmath until contraction has done its work."""
    rows, (n_states, n_actions) = mdp.to_dense().transition, mdp.shape
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


@pytest.mark.parametrize("solver", SOFT)
def test_soft_solvers_agree_with_plain_soft_value_iteration(solver):
    rng = np.random.default_rng(1)
    for _ in range(20):
        mdp = random_mdp(rng, gammas=(0.5, 0.9, 0.99))
        c = float(rng.choice([0.1, 1.0, 10.0]))
        found, plain = solver(mdp, c=c, atol=1e-7), soft_optimal_values(mdp, c=c, atol=1e-7)
        gap = np.abs(found.q[mdp.available] - plain.q[mdp.available]).max()
        assert gap <= found.error_bound + plain.error_bound


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


# Boltzmann fixed points


def bistable():
    r"""Exit with reward 0 or stay with reward r: with t = Q_stay - Q_exit, eps = 1, the defect is h(t) + r/γ.

    h(t) = tσ(t) - t/γ falls, rises where σ + tσ' (at most 1.0998, near t = 2.4) exceeds 1/γ = 1.02, and
    falls again: a value of -r/γ between its local extremes gives three roots.
    """
    gamma = 0.98
    t = np.linspace(-5, 30, 3_500_001)
    h = t / (1 + np.exp(-t)) - t / gamma
    turns = np.flatnonzero(np.diff(np.sign(np.diff(h)))) + 1
    reward = -gamma * h[turns].mean()
    transition = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    defect = h + reward / gamma
    roots = t[np.flatnonzero(np.diff(np.sign(defect)))]
    return TabularMDP(transition, [[0.0, reward], [0.0, 0.0]], gamma), roots


def test_all_three_fixed_points_of_a_bistable_mdp_are_found():
    mdp, roots = bistable()
    assert len(roots) == 3
    found = boltzmann_fixed_points(mdp, eps=1.0, n_starts=60)
    assert not found.unique
    np.testing.assert_allclose(found.q[:, 0, 1], roots, atol=1e-3)
    assert (found.residual <= 1e-9).all()


def test_fixed_points_are_fixed_under_the_operator_of_the_library():
    rng = np.random.default_rng(6)
    for _ in range(20):
        mdp = random_mdp(rng, gammas=(0.5, 0.9))
        eps = float(rng.choice([0.1, 1.0])) * max(1.0, np.abs(mdp.reward).max())
        found = boltzmann_fixed_points(mdp, eps=eps, n_starts=6)
        assert len(found.q) >= 1
        for q, residual in zip(found.q, found.residual, strict=True):
            gap = np.abs(bellman_boltzmann(mdp, q, eps=eps)[mdp.available] - q[mdp.available]).max()
            assert gap <= residual + 1e-10 * (1 + np.abs(q[mdp.available]).max())


def test_a_hot_operator_is_proved_to_have_one_fixed_point():
    mdp = draw.garnet(10, 3, 3, gamma=0.5, rng=np.random.default_rng(7))
    found = boltzmann_fixed_points(mdp, eps=100.0)
    assert found.unique
    assert len(found.q) == 1
    assert found.n_converged == found.n_starts


@pytest.mark.parametrize("eps", [1e-310, 1e-12, 1e-10, 1e-8])
def test_a_cold_operator_has_the_optimal_values_and_no_invented_fixed_points(eps):
    """Unique maxima, action gaps far above eps: the Boltzmann mean is the maximum to all digits."""
    mdp = TabularMDP([[[0.5, 0.5], [1, 0]], [[0, 1], [1.0, 0]]], [[1.0, 0.3], [0.2, 0.9]], 0.99)
    found, optimal = boltzmann_fixed_points(mdp, eps=eps), solve(mdp, atol=1e-9)
    assert len(found.q) == 1
    assert np.abs(found.q[0] - optimal.q).max() <= optimal.error_bound + 1.3e-10  # residual / (1 - gamma)
    assert found.residual.max() <= 1.3e-12  # 57 u (max|r| + max|v|): (S + 8) (1 + A) + 4 A + 16 = 57


@pytest.mark.parametrize("scale", [2.0**-400, 2.0**-23, 1.0, 2.0**400])
def test_the_unit_of_the_rewards_changes_no_number_of_fixed_points(scale):
    mdp, roots = bistable()
    small = TabularMDP(mdp.transition, scale * mdp.reward, mdp.gamma)
    found = boltzmann_fixed_points(small, eps=scale, n_starts=60)
    assert len(found.q) == 3
    np.testing.assert_allclose(found.q[:, 0, 1] / scale, roots, atol=1e-3)


def test_values_that_cancel_to_rounding_noise_are_one_fixed_point():
    mdp = TabularMDP([[[0.5, 0.5]] * 3] * 2, [[0.1, 0.2, -0.3], [0.3, -0.1, -0.2]], 0.9)
    assert len(boltzmann_fixed_points(mdp, eps=1e17).q) == 1


@pytest.mark.parametrize("keywords", [{"eps": 0.0}, {"eps": 1.0, "n_starts": 0}])
def test_a_bad_search_is_named(keywords):
    with pytest.raises(InputError, match="must be"):
        boltzmann_fixed_points(TabularMDP([[[1.0]]], [[1.0]], 0.5), **keywords)


@pytest.mark.parametrize("solver", SOFT)
@pytest.mark.parametrize(
    ("reward", "c", "name"), [(1e308, 1.0, "reward"), (0.0, 1e308, "c"), (-1e300, 1.0, "reward")]
)
def test_values_that_may_overflow_are_named(solver, reward, c, name):
    mdp = TabularMDP(np.ones((1, 2, 1)), [[reward, 0.0]], 0.9)
    with pytest.raises(InputError, match=rf"`{name}` must keep .* at most 1e\+140"):
        solver(mdp, c=c, atol=1e-6)
