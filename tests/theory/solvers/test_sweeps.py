"""Sweeps of sparse MDPs: what SciPy computes, with and without values fetched ahead."""

import numpy as np
import pytest
from scipy import sparse

from virel_theory import TabularMDP
from virel_theory.solvers import backups as _backups
from virel_theory.solvers.backups import look_ahead
from virel_theory.solvers.kernels.sweeps import NEVER
from virel_theory.solvers.problem import problem
from virel_theory.solvers.solve import solve


def ragged(n_states, rng, *, n_actions=4):
    """Rows of 0 (no such action) to 8 successors."""
    counts = rng.integers(0, 9, size=(n_states, n_actions))
    counts[:, 0] = rng.integers(1, 9, size=n_states)
    ends = np.concatenate([[0], counts.ravel().cumsum()])
    indices = rng.integers(0, n_states, size=ends[-1])
    data = rng.random(ends[-1])
    data /= np.repeat(np.add.reduceat(np.append(data, 0.0), ends[:-1]), counts.ravel())
    rows = sparse.csr_array((data, indices, ends), shape=(n_states * n_actions, n_states))
    return TabularMDP(rows, rng.random(counts.shape), 0.9, mask=counts > 0)


@pytest.mark.parametrize("ahead", [1, 3, 10_000])
@pytest.mark.parametrize("n_actions", [2, 12])  # without and with a copy of the policy's rows
def test_fetching_values_ahead_changes_no_bit(monkeypatch, ahead, n_actions):
    mdp = ragged(500, np.random.default_rng(14), n_actions=n_actions)
    plain = solve(mdp, atol=1e-9)
    monkeypatch.setattr(_backups, "AHEAD", ahead)
    monkeypatch.setattr(_backups, "AHEAD_FROM", 1)
    monkeypatch.setattr(_backups, "FAR", 0)
    found = solve(mdp, atol=1e-9)
    np.testing.assert_array_equal(found.q, plain.q)
    assert found.error_bound == plain.error_bound


def test_values_are_fetched_ahead_where_successors_are_scattered_and_many():
    rng = np.random.default_rng(15)
    near, far = np.arange(3000) // 3, rng.integers(0, 200_000, size=3000)
    assert look_ahead(near, 200_000) == look_ahead(far, 1000) == NEVER
    assert look_ahead(far, 200_000) == _backups.AHEAD


@pytest.mark.parametrize("sweep", ["full", "policy"])
@pytest.mark.parametrize("n_actions", [2, 12])
def test_a_sweep_is_the_product_that_scipy_computes(sweep, n_actions):
    rng = np.random.default_rng(16)
    mdp = ragged(300, rng, n_actions=n_actions)
    b, v, w = _backups.backups(problem(mdp, atol=0.0, rtol=0.0, sense="max")), rng.random(300), np.empty(300)
    rhs = rng.random(300)
    q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), -np.inf)
    b.policy[:] = mdp.available.argmax(axis=1)
    b.restrict()
    if sweep == "full":
        low, high = b.full(v, w)
        expected = q.max(axis=1)
        np.testing.assert_allclose(b.q, q, rtol=1e-13)
    else:
        b.sweep(v, w, rhs)
        states = np.arange(300)
        np.testing.assert_allclose(w, rhs + q[states, b.policy] - mdp.reward[states, b.policy], rtol=1e-13)
        low, high = b.sweep(v, w)
        expected = q[states, b.policy]
    np.testing.assert_allclose(w, expected, rtol=1e-13)
    assert (low, high) == ((w - v).min(), (w - v).max())
