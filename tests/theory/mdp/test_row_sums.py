"""Rows that sum to 1 within rounding: every bound covers what is accepted; dense and sparse rows alike."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from virel_theory import InputError, TabularMDP
from virel_theory.solvers.solve import solve

EPS = 2.0**-52


def loops(row_sum, *, n_states, gamma):
    """Every state loops with a row of one non-zero: V = 1/(1 - gamma row_sum)."""
    rows = np.zeros((n_states, 1, n_states))
    rows[np.arange(n_states), 0, np.arange(n_states)] = row_sum
    return TabularMDP(rows, np.ones((n_states, 1)), gamma)


@pytest.mark.parametrize(("n_states", "off", "gamma"), [(200, 390, 0.9999), (1000, 1900, 1 - 3e-13)])
def test_zeros_of_a_dense_row_do_not_let_its_sum_stray(n_states, off, gamma):
    with pytest.raises(InputError, match=r"must sum to 1 in every row; found the sum 1\.0000000000"):
        loops(1 + off * EPS, n_states=n_states, gamma=gamma)


@pytest.mark.parametrize("method", ["auto", "gs", "vi"])
@pytest.mark.parametrize("off", [-6, 6])
def test_the_bound_covers_the_furthest_row_sum_accepted(method, off):
    found = solve(loops(1 + off * EPS, n_states=200, gamma=0.9999), atol=1e-6, method=method)
    exact = 1 / (1 - Fraction(0.9999) * Fraction(1 + off * EPS))
    assert abs(Fraction(float(found.value[0])) - exact) <= Fraction(found.error_bound)


@pytest.mark.parametrize("seed", range(200))
def test_dense_and_sparse_rows_have_the_same_verdict_at_the_limit(seed):
    rng = np.random.default_rng(seed)
    n_states = 40
    rows = rng.random((n_states, 1, n_states)) * (rng.random((n_states, 1, n_states)) < 0.5)
    rows /= rows.sum(axis=2, keepdims=True)
    limit = 2 * np.count_nonzero(rows, axis=2).max() + 4
    rows[7, 0] *= 1 + (limit + rng.integers(-3, 4)) * EPS
    csr = sparse.csr_array(rows.reshape(n_states, n_states))
    assert accepted(rows) == accepted(csr)


def accepted(transition):
    try:
        TabularMDP(transition, np.ones((transition.shape[0], 1)), 0.5)
    except InputError:
        return False
    return True


def test_rows_of_thirteen_decimals_are_refused_or_covered():
    """400 entries rounded to 13 decimals: near 1 by about 6e-13, while rounding explains 1.8e-13."""
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(400), size=(400, 1)).round(13)
    with pytest.raises(InputError, match=r"must sum to 1 in every row; found the sum \S+ for state \d+"):
        TabularMDP(rows, np.ones((400, 1)), 0.9999)
    off = [abs(float(sum(map(Fraction, row[0])) - 1)) for row in rows]
    rows[:] = rows[np.argmax(np.where(np.array(off) <= 804 * EPS, off, 0.0))]  # the worst one accepted
    found = solve(TabularMDP(rows, np.ones((400, 1)), 0.9999), atol=1e-6)
    exact = 1 / (1 - Fraction(0.9999) * sum(map(Fraction, rows[0, 0])))
    assert abs(Fraction(float(found.value[0])) - exact) <= Fraction(found.error_bound)


def test_stored_zeros_do_not_count_as_entries():
    csr = sparse.csr_array((np.array([1 + 9 * EPS, 0.0, 0.0]), [0, 1, 2], [0, 3]), shape=(1, 3))
    csr = sparse.csr_array(sparse.vstack([csr, csr, csr]))
    with pytest.raises(InputError, match="must sum to 1"):
        TabularMDP(csr, np.ones((3, 1)), 0.5)


def test_a_row_with_an_infinite_entry_is_named():
    with pytest.raises(InputError, match="must sum to 1 in every row; found the sum inf"):
        TabularMDP(np.full((2, 1, 2), np.inf), np.ones((2, 1)), 0.5)
