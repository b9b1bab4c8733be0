"""Error bounds of the solvers, against exact rational solutions."""

import numpy as np
import pytest

from tests.support.exact_mdp import (
    exact_backup,
    exact_error,
    exact_optimal_q,
    exact_policy_values,
    instances,
    random_mdp,
    rational,
)
from virel_theory import TabularMDP
from virel_theory.solvers import point
from virel_theory.solvers.linear_program import linear_program
from virel_theory.solvers.problem import Outcome, problem
from virel_theory.solvers.solution import Status
from virel_theory.solvers.solve import METHODS, policy_evaluation, solve


@pytest.mark.parametrize("atol", [1e-2, 1e-8, 0.0])
@pytest.mark.parametrize("method", METHODS)
def test_every_bound_is_true_against_exact_rational_solutions(method, atol):
    for mdp, exact in instances(20, seed=1):
        found = solve(mdp, atol=atol, method=method)
        assert exact_error(found.q, exact) <= found.error_bound
        assert found.error_bound <= atol or found.status is Status.ROUNDING_LIMIT


def test_half_the_bound_would_be_false():
    found = [(solve(mdp, atol=1e-2, method="vi"), exact) for mdp, exact in instances(20, seed=1)]
    assert any(exact_error(x.q, exact) > x.error_bound / 2 for x, exact in found)


@pytest.mark.slow
def test_two_thousand_bounds_are_true_and_not_loose():
    """Loose: above 100 times the true error, counted as half an ulp of max|V| or more."""
    rng = np.random.default_rng(2)
    ratios, methods = [], list(METHODS)
    for i in range(2000):
        mdp = random_mdp(rng, gammas=(0.0, 0.5, 0.9, 0.99, 0.999, 0.9999))
        method = methods[i % len(methods)]
        gamma_limit = 0.9999 if method in {"auto", "pi", "pi-bicgstab", "pi-gmres", "mpi", "ipi"} else 0.99
        if mdp.gamma > gamma_limit:  # thousands of sweeps: a direct method instead
            method = "auto"
        atol = float(rng.choice([1e-3, 1e-6, 1e-9, 0.0]))
        found = solve(mdp, atol=atol, method=method)
        error = exact_error(found.q, exact_optimal_q(mdp, found.policy))
        assert error <= found.error_bound
        ratios.append(found.error_bound / max(error, np.spacing(np.abs(found.value).max()) / 2))
    assert np.median(ratios) <= 100


def test_below_the_limit_of_one_sweep_the_bound_is_about_half_an_ulp():
    for mdp, exact in instances(20, seed=1):
        found = solve(mdp, atol=0.0)
        largest = max(np.abs(found.q[np.isfinite(found.q)]).max(), np.abs(mdp.reward).max())
        assert exact_error(found.q, exact) <= found.error_bound
        # r_max + gamma v_max bounds |Q| in the certificate: at most three times the largest value here.
        assert found.error_bound <= 3 * np.finfo(float).eps * largest


def test_policy_evaluation_is_within_its_bound_of_the_exact_values():
    rng = np.random.default_rng(3)
    for _ in range(60):
        mdp = random_mdp(rng)
        pi = rng.random(mdp.shape) * mdp.available * (rng.random(mdp.shape) < 0.8) + 1e-3 * mdp.available
        pi /= pi.sum(axis=1, keepdims=True)
        found = policy_evaluation(mdp, pi=pi)
        value = exact_policy_values(mdp, pi)
        assert exact_error(found.q, exact_backup(mdp, value)) <= found.error_bound
        assert exact_error(found.value[:, None], [[x] for x in value]) <= found.error_bound


def test_the_linear_program_agrees():
    for mdp, exact in instances(20, seed=1):
        found = linear_program(mdp, atol=1e-4, rtol=1e-6)
        assert exact_error(found.q, exact) <= found.error_bound


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e16, 1e20])
@pytest.mark.parametrize("gamma", [0.9, 1 - 1e-6, 1 - 1e-9])
def test_the_linear_program_has_values_near_gamma_1_and_at_any_scale(gamma, scale):
    """HiGHS takes coefficients below 1e-9 for zero, and bounds above 1e20 for none."""
    mdp = TabularMDP([[[1.0], [1.0]]], [[-3 * scale, scale]], gamma)
    most, least = (linear_program(mdp, atol=1e-3 * scale, sense=sense) for sense in ("max", "min"))
    worth = rational(scale) / (1 - rational(gamma))
    assert exact_error(most.value[:, None], [[worth]]) <= most.error_bound <= 1e-4 * float(worth)
    assert exact_error(least.value[:, None], [[-3 * worth]]) <= least.error_bound <= 1e-4 * float(worth)


def test_a_bound_is_true_when_the_steps_run_out():
    for mdp, exact in instances(20, seed=1):
        for method in METHODS:
            found = solve(mdp, atol=0.0, method=method, max_steps=1)
            assert exact_error(found.q, exact) <= found.error_bound


def test_no_bound_is_claimed_where_nothing_contracts():
    found = solve(TabularMDP([[[1.0]]], [[1.0]], 1 - 2.0**-52), atol=1e-6)
    assert found.error_bound == np.inf
    assert np.isfinite(found.q).all()


@pytest.mark.parametrize("bound", [np.nan, np.inf, 1.0])
def test_the_plain_bound_and_its_table_stay_unless_compensated_sweeps_give_a_smaller_one(monkeypatch, bound):
    mdp, exact = instances(20, seed=1)[3]

    def broken(_, b, v):
        v[:], b.q[:] = np.nan, np.nan
        return Outcome(bound, 0.0, met=False, exhausted=True)

    monkeypatch.setattr(point, "refine", broken)
    found = solve(mdp, atol=0.0)
    assert exact_error(found.q, exact) <= found.error_bound < 1e-9
    assert found.status is Status.ROUNDING_LIMIT


def test_a_point_that_is_not_a_number_has_the_bound_infinity():
    task = problem(TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), atol=0.0, rtol=0.0, sense="max")
    for value in (np.nan, np.inf, -np.inf):
        v = np.array([value])
        assert task.judge(v, v, value, value).bound == np.inf
