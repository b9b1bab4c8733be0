"""Policy systems: rows of a policy, both roads of the dense solution, CSR, the largest row length."""

import numpy as np
import pytest
from scipy import sparse

from tests.support.exact_mdp import exact_policy_values, random_mdp
from virel_theory import TabularMDP
from virel_theory.mdp.policy_system import direct_solve, lu_solve, mix, mixed_rows, transposed


def random_policy(rng, mdp):
    pi = rng.random(mdp.shape) * mdp.available
    return pi / pi.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("solver", [direct_solve, lu_solve])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_solution_is_the_exact_value_of_the_policy(solver, is_sparse):
    rng = np.random.default_rng(0)
    for _ in range(20):
        mdp = random_mdp(rng, gammas=(0.0, 0.5, 0.9))
        pi = random_policy(rng, mdp)
        given = mdp.to_sparse() if is_sparse else mdp
        found = solver(mixed_rows(given.transition, pi), mdp.gamma, mix(pi, mdp.reward))
        exact = [int(v.p) / int(v.q) for v in exact_policy_values(mdp, pi)]
        # S^2 roundings of a system of condition number (1 + gamma)/(1 - gamma) <= 19, values below 10 max|r|
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-11 * (1 + np.abs(mdp.reward).max()))


def test_the_rows_of_a_policy_by_hand():
    transition = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.0, 1.0]]])
    pi, expected = np.array([[0.25, 0.75], [1.0, 0.0]]), [[0.25, 0.75], [0.5, 0.5]]
    assert mixed_rows(transition, pi).tolist() == expected
    rows = mixed_rows(sparse.csr_array(transition.reshape(4, 2)), pi)
    assert rows.toarray().tolist() == expected
    assert transposed(rows).toarray().tolist() == transposed(np.array(expected)).tolist()
    assert isinstance(transposed(rows), sparse.csr_array)


def test_a_mean_over_actions_ignores_values_where_the_policy_is_zero():
    assert mix(np.array([[0.5, 0.5, 0.0]]), np.array([[1.0, 3.0, -np.inf]])).tolist() == [2.0]


def test_the_row_length_counts_non_zeros_if_dense_and_stored_entries_if_csr():
    dense = TabularMDP([[[0.5, 0.5, 0.0]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]], np.zeros((3, 1)), 0.5)
    assert dense.row_length == dense.to_sparse().row_length == 2
    stored = sparse.csr_array(
        (np.array([0.5, 0.5, 0.0, 1.0, 1.0]), np.array([0, 1, 2, 1, 2]), np.array([0, 3, 4, 5])), shape=(3, 3)
    )
    assert TabularMDP(stored, np.zeros((3, 1)), 0.5).row_length == 3
