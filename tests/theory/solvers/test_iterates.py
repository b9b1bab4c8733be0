"""Iterates of textbook value and policy iteration."""

import numpy as np

from tests.support.exact_mdp import (
    exact_error,
    instances,
    random_mdp,
)
from virel_theory import TabularMDP
from virel_theory.solvers.iterates import policy_iteration_iterates, value_iteration_iterates


def test_policy_iteration_takes_the_lowest_action_among_ties():
    mdp = TabularMDP([[[1.0], [1.0], [1.0]]], [[0.0, 1.0, 1.0]], 0.5)
    policies = [p.tolist() for p, _ in policy_iteration_iterates(mdp, policy0=[2], n_steps=2)]
    assert policies == [[2], [1], [1]]
    near = [p.tolist() for p, _ in policy_iteration_iterates(mdp, policy0=[2], n_steps=1, tie_tol=1.5)]
    assert near == [[2], [0]]


def test_policy_iteration_by_hand():
    # gamma = 1/2; state 0: stay or go, reward 0; state 1 absorbs with reward 1: V = (1, 2) or (0, 2).
    mdp = TabularMDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[0.0, 0.0], [1.0, 1.0]], 0.5)
    (p0, q0), (p1, q1) = policy_iteration_iterates(mdp, policy0=[0, 0], n_steps=1)
    assert (p0.tolist(), p1.tolist()) == ([0, 0], [1, 0])
    np.testing.assert_allclose(q0, [[0.0, 1.0], [2.0, 2.0]])
    np.testing.assert_allclose(q1, [[0.5, 1.0], [2.0, 2.0]])


def test_policy_iteration_iterates_end_at_the_optimum():
    for mdp, exact in instances(10, seed=1):
        start = mdp.available.argmax(axis=1)
        _, q = policy_iteration_iterates(mdp, policy0=start, n_steps=12, tie_tol=1e-9)[-1]
        assert exact_error(q, exact) <= 1e-6 * max(1.0, np.abs(q[np.isfinite(q)]).max())


def test_value_iteration_iterates_are_repeated_backups():
    mdp = random_mdp(np.random.default_rng(13), gammas=(0.9,), masked=True)
    tables = value_iteration_iterates(mdp, q0=np.zeros(mdp.shape), n_steps=3)
    q = np.where(mdp.available, 0.0, -np.inf)
    for table in tables:
        np.testing.assert_allclose(table, q, rtol=1e-13)
        q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(q.max(axis=1)), -np.inf)
