"""The smallest counterexamples about eps_omega, worked by hand or by formulas of their own."""

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from verify.claims.optima import corollary_1, target_set
from verify.claims.optima.theorem_2 import gap_ratio_step
from verify.claims.optima.theorem_2_theta import gap_at_dirac
from verify.claims.theorem_5 import descent
from verify.claims.theorem_5.commute import gap_spikes
from verify.engine.runner import run_check
from virel_theory.continuous.boltzmann import elbo_continuous
from virel_theory.continuous.distributions import Uniform
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solve import solve


def test_at_the_optimum_with_gap_104_two_positive_temperatures_solve_their_definition():
    """S = 1, A = 2, gamma = 1/2, r = (104, 0), Q* = (208, 104): (52 / (1 + e^(104/eps)))^2 / 2 = eps."""

    def excess(eps):
        return (52 / (1 + np.exp(104 / eps))) ** 2 / 2 - eps

    assert excess(130.0) < 0 < excess(140.0)
    assert excess(153.0) < 0 < excess(150.0)


def test_gap_103_is_too_small_for_a_positive_temperature():
    eps = np.linspace(1.0, 500.0, 100_000)
    assert np.all((51.5 / (1 + np.exp(103 / eps))) ** 2 / 2 < eps)


@pytest.mark.parametrize("seed", range(3))
def test_the_search_shrinks_to_gap_104(seed):
    for check in (corollary_1.CLAIMS[2].check, target_set.CLAIMS[2].check):
        found = run_check(check, seed=seed).counterexample
        assert found["q_star"].tolist() == [[208.0, 104.0]]
        assert found["mdp"].reward.tolist() == [[104.0, 0.0]]


def test_the_panels_of_the_map_have_as_many_roots_as_their_titles_say():
    panels = target_set.figures(0)[0].panels
    assert [len(panel.curves[2].x) for panel in panels] == [1, 3, 3, 1]
    assert [panel.curves[2].x.min() > 0 for panel in panels] == [False, False, True, True]


def test_a_negative_value_breaks_the_ratio_step_of_theorem_2():
    """S = A = 1, gamma = 0, r = 1, Omega = {1, -1}: eps = (0, 2), eps/Q = (0, -2)."""
    mdp, one = TabularMDP([[[1.0]]], [[1.0]], 0.0), np.ones((1, 1))
    found = gap_ratio_step(mdp=mdp, q_star=one, others=-one[None], pi=one, d=np.ones(1))
    assert found.error == 2
    assert not found.ok


def test_a_dirac_is_worse_than_the_uniform_policy_and_a_narrow_one_on_its_way_there():
    assert gap_at_dirac(top=2, eps=1.0).error == np.inf
    of_width = [
        elbo_continuous([Polynomial([2.0, -1.0])], pi_theta=[Uniform(0.0, width)], d=[1.0], eps=1.0)
        for width in (1.0, np.exp(-3))
    ]
    np.testing.assert_allclose(of_width, [1.5, 2 - np.exp(-3) / 2 - 3], rtol=1e-12)


def test_a_spike_that_the_soft_policy_does_not_see_has_no_residual():
    np.testing.assert_allclose(gap_spikes(eps_k=1 / 64, nats=200).error, 1 / 8, rtol=1e-12)
    assert gap_spikes(eps_k=1 / 64, nats=20).error < 1e-6  # wide enough: seen


def test_descent_sticks_where_the_closed_form_of_the_limit_says():
    mdp = descent.stay_or_exit(2.0, 0.95)
    tables, values, gradient = descent.descend(mdp, descent.boltzmann)
    np.testing.assert_allclose(values[-1], 1 / (6 * 1.905), rtol=1e-3)
    np.testing.assert_allclose(tables[-1][0] - 20, 18.1 / 1.905, rtol=1e-3)
    np.testing.assert_allclose(tables[-1][1, 0] - 20, 19 / 1.905, rtol=1e-3)
    assert gradient < 1e-6


def test_the_optimum_of_the_counterexample_is_positive():
    """Assumption 1: Q* = (40, 20; 20)."""
    mdp = descent.stay_or_exit(2.0, 0.95)
    np.testing.assert_allclose(solve(mdp, atol=1e-10).q[mdp.available], [40, 20, 20], atol=1e-9)


@pytest.mark.parametrize("gamma", [0.95, 0.99])
def test_descent_sticks_at_every_temperature_where_the_closed_form_says(gamma):
    mdp = descent.stay_or_exit(2.0, gamma)
    tables, _, _ = descent.descend(mdp, descent.boltzmann)
    for q, eps in zip(tables, descent.SCHEDULE, strict=True):
        stuck = descent.stuck_table(gamma, eps)
        _, grad = descent.residual_and_gradient(mdp, stuck, eps, descent.boltzmann)
        assert np.abs(grad).sum() < 1e-11
        np.testing.assert_allclose(q[mdp.available], stuck[mdp.available], atol=1e-3)


@pytest.mark.parametrize("gamma", [0.95, 0.99])
def test_the_hessian_at_the_sticking_point_is_positive_definite(gamma):
    """At eps_k = 1, by central differences: the least eigenvalue is 5.6e-4 at gamma = 0.95, 2e-5 at 0.99."""
    mdp, h = descent.stay_or_exit(2.0, gamma), 1e-5
    q = descent.stuck_table(gamma, 1.0)[mdp.available]

    def gradient(x):
        point = descent.table(mdp, x)
        return descent.residual_and_gradient(mdp, point, 1.0, descent.boltzmann)[1]

    rows = [(gradient(q + h * e) - gradient(q - h * e))[mdp.available] / (2 * h) for e in np.eye(3)]
    assert np.linalg.eigvalsh(rows)[0] > 1e-5  # the differences are off by h^2, and by u max|beta|/h = 1e-11


def test_the_sticking_point_is_a_strict_local_minimum():
    mdp = descent.stay_or_exit(2.0, 0.95)
    tables, values, _ = descent.descend(mdp, descent.boltzmann)
    rng = np.random.default_rng(0)
    for _ in range(200):
        direction = np.where(mdp.available, rng.normal(size=mdp.shape), 0.0)
        nearby = tables[-1] + 1e-4 * direction / np.abs(direction).max()
        beta, _ = descent.residual_and_gradient(mdp, nearby, descent.SCHEDULE[-1], descent.boltzmann)
        assert np.sum(beta**2) / 6 > values[-1]


def test_the_soft_target_descends_to_its_fixed_point():
    mdp = descent.stay_or_exit(2.0, 0.95)
    tables, values, _ = descent.descend(mdp, descent.soft)
    assert values[-1] < 1e-20
    np.testing.assert_allclose(tables[-1][0, 0], 40.0, atol=1e-8)


def test_the_gradient_of_the_incremental_error_agrees_with_central_differences():
    rng = np.random.default_rng(1)
    mdp = TabularMDP(rng.dirichlet(np.ones(3), size=(3, 2)), rng.normal(size=(3, 2)), 0.9)
    q, eps, h = rng.normal(size=(3, 2)), 0.7, 6e-6
    for smooth in (descent.boltzmann, descent.soft):
        _, grad = descent.residual_and_gradient(mdp, q, eps, smooth)
        for index in np.ndindex(q.shape):
            step = np.zeros_like(q)
            step[index] = h
            up, down = (descent.residual_and_gradient(mdp, q + s * step, eps, smooth)[0] for s in (1, -1))
            difference = (np.mean(up**2) - np.mean(down**2)) / (4 * h)
            np.testing.assert_allclose(grad[index], difference, atol=1e-9)  # u/h + h^2, see `helpers`
