"""`solve` at its edges: bad input is named, and values near overflow are solved or refused."""

import numpy as np
import pytest

from tests.support.exact_mdp import (
    exact_error,
    exact_optimal_q,
)
from virel_theory import InputError, TabularMDP
from virel_theory.solvers.iterates import policy_iteration_iterates, value_iteration_iterates
from virel_theory.solvers.solution import Status
from virel_theory.solvers.solve import METHODS, policy_evaluation, solve, value_iteration

MDP = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve(MDP, atol=1e-6, method="magic"), "`method` must be one of"),
        (lambda: solve(MDP, atol=-1.0), "`atol` must be non-negative and finite; found -1.0"),
        (lambda: solve(MDP, atol=np.nan), "`atol` must be non-negative"),
        (lambda: solve(MDP, atol=0.1, rtol=np.inf), "`rtol` must be non-negative"),
        (lambda: solve(MDP, atol=1e-6, sense="up"), "`sense` must be 'max'"),
        (lambda: solve(MDP, atol=1e-6, max_steps=0), "`max_steps` must be a positive integer; found 0"),
        (
            lambda: value_iteration(MDP, atol=1e-6, max_steps=-3),
            "`max_steps` must be a positive integer; found -3",
        ),
        (lambda: policy_evaluation(MDP, pi=[[0.5, 0.6]]), "`pi` must sum to 1"),
        (
            lambda: policy_iteration_iterates(MDP, policy0=[2], n_steps=1),
            "`policy0` must take actions that exist",
        ),
        (lambda: policy_iteration_iterates(MDP, policy0=[0.0], n_steps=1), "`policy0` must be integers"),
        (
            lambda: policy_iteration_iterates(MDP, policy0=[0], n_steps=-1),
            "`n_steps` must be an integer of at least 0; found -1",
        ),
        (lambda: policy_iteration_iterates(MDP, policy0=[0], n_steps=1, tie_tol=-1.0), "`tie_tol` must be"),
        (lambda: value_iteration_iterates(MDP, q0=[[np.nan, 0.0]], n_steps=1), "`q0` must be finite"),
        (
            lambda: value_iteration_iterates(MDP, q0=[[0.0, 0.0]], n_steps=-1),
            "`n_steps` must be an integer of at least 0",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        call()


SELF = ([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [-2.0]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("size", "gamma"), [(1e300, 0.9), (1e308, 0.9), (1e149, 1 - 1e-10), (1e131, 0.9999999999)]
)
def test_rewards_whose_values_may_overflow_are_named(method, size, gamma):
    mdp = TabularMDP(SELF[0], np.multiply(SELF[1], size / 2), gamma)
    with pytest.raises(InputError, match=r"`reward` must keep max\|r\|/\(1 - gamma\) at most 1e\+140"):
        solve(mdp, atol=1e-6, method=method)


@pytest.mark.parametrize("method", ["auto", "pi", "pi-bicgstab", "pi-gmres", "mpi", "ipi"])
@pytest.mark.parametrize(("size", "gamma"), [(4e138, 0.9), (4e129, 1 - 1e-10)])
def test_the_largest_values_allowed_have_a_true_bound(method, size, gamma):
    mdp = TabularMDP(SELF[0], size * np.array(SELF[1]), gamma)
    found = solve(mdp, atol=0.0, method=method, max_steps=200)
    exact = exact_optimal_q(mdp, [0, 0])
    assert exact_error(found.q, exact) <= found.error_bound < 1e140
    assert found.status in {Status.ROUNDING_LIMIT, Status.MAX_STEPS}
