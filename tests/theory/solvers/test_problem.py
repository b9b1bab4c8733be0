"""What solvers hand to compiled code has one form, whatever the user's arrays are: it is compiled once."""

import numpy as np
import pytest
from scipy import sparse

from virel_theory import Status, TabularMDP, policy_evaluation, soft_value_iteration, solve, solve_batch
from virel_theory.mdp.validation import read_only
from virel_theory.solvers.problem import problem
from virel_theory.solvers.solve import METHODS

ROWS = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [0.25, 0.75]]])
REWARD = np.array([[1.0, 2.0], [0.0, -1.0]])
MASK = [[True, True], [True, False]]
GONE = np.array(MASK)[:, :, None] * ROWS


S = 9  # kernels take eight terms of a row at once
WIDE = np.random.default_rng(0).dirichlet(np.ones(S), size=(S, 2))
GAIN = np.random.default_rng(1).normal(size=(S, 2))
LAYOUTS = {
    "every second number": np.stack([WIDE, 0.0 * WIDE], axis=-1)[..., 0],
    "real parts": WIDE.astype(complex).real,
    "reversed": np.ascontiguousarray(WIDE[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
    "Fortran order": np.asfortranarray(WIDE),
    "axes moved": np.ascontiguousarray(np.moveaxis(WIDE, 1, 0)).transpose(1, 0, 2),
    "repeated rows": np.broadcast_to(WIDE[:1, :1], WIDE.shape),
    "float128": WIDE.astype(np.longdouble),
    "other byte order": WIDE.astype(WIDE.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_no_layout_of_a_transition_changes_a_bit(method, layout):
    transition = LAYOUTS[layout]
    found, expected = (
        solve(TabularMDP(rows, GAIN, 0.9), atol=1e-9, method=method)
        for rows in (transition, np.array(transition, dtype=np.float64, order="C"))
    )
    assert found.status is expected.status is Status.CONVERGED
    np.testing.assert_array_equal(found.q, expected.q)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_changes_a_bit_of_a_policys_values_of_soft_values_or_of_a_batch(layout):
    transition, pi = LAYOUTS[layout], np.full((S, 2), 0.5)
    plain = np.array(transition, dtype=np.float64, order="C")
    one, two = (TabularMDP(rows, GAIN, 0.9) for rows in (transition, plain))
    np.testing.assert_array_equal(
        policy_evaluation(one, pi=pi, atol=1e-9).q, policy_evaluation(two, pi=pi, atol=1e-9).q
    )
    np.testing.assert_array_equal(
        soft_value_iteration(one, c=0.5, atol=1e-9).q, soft_value_iteration(two, c=0.5, atol=1e-9).q
    )
    both = [np.stack([rows, rows])[::-1] for rows in (transition, plain)]
    a, b = (solve_batch(rows, np.stack([GAIN, GAIN]), gamma=0.9, atol=1e-9) for rows in both)
    np.testing.assert_array_equal(a.q, b.q)


@pytest.mark.parametrize("sense", ["max", "min"])
@pytest.mark.parametrize("as_csr", [False, True])
@pytest.mark.parametrize(
    ("transition", "reward", "mask"),
    [
        (ROWS, REWARD, None),
        (np.asfortranarray(ROWS), np.asfortranarray(REWARD), None),
        (sparse.csr_array(ROWS.reshape(4, 2)), REWARD, None),
        (GONE, REWARD, MASK),
        (sparse.csr_array(GONE.reshape(4, 2)), np.asfortranarray(REWARD), MASK),
    ],
    ids=["dense", "Fortran order", "sparse", "mask", "sparse, mask, Fortran order"],
)
def test_arrays_of_a_problem_are_read_only_and_contiguous(transition, reward, mask, as_csr, sense):
    mdp = TabularMDP(transition, reward, 0.9, mask=mask)
    task = problem(mdp, atol=1e-6, rtol=0.0, sense=sense, as_csr=as_csr)
    rows = task.transition
    arrays = [rows] if isinstance(rows, np.ndarray) else [rows.data, rows.indices, rows.indptr]
    for array in (*arrays, task.reward):
        assert not array.flags.writeable
    assert task.reward.flags.c_contiguous
    assert all(array.flags.c_contiguous for array in arrays)
    assert reward.flags.writeable, "the user's own array stays as it was"


@pytest.mark.parametrize("writeable", ["data", "indices", "indptr"])
def test_a_sparse_matrix_of_which_one_array_can_be_written_is_no_exception(writeable):
    given = read_only(sparse.csr_array(ROWS.reshape(4, 2)))
    setattr(given, writeable, getattr(given, writeable).copy())
    found = read_only(given)
    assert not any(array.flags.writeable for array in (found.data, found.indices, found.indptr))
    assert read_only(found) is found
    assert getattr(given, writeable).flags.writeable
