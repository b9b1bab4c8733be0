"""What solvers hand to compiled code has one form, whatever the user's arrays are: it is compiled once."""

import numpy as np
import pytest
from scipy import sparse

from virel_theory import TabularMDP
from virel_theory.mdp.validation import read_only
from virel_theory.solvers.problem import problem

ROWS = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [0.25, 0.75]]])
REWARD = np.array([[1.0, 2.0], [0.0, -1.0]])
MASK = [[True, True], [True, False]]
GONE = np.array(MASK)[:, :, None] * ROWS


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
    assert reward.flags.writeable, "the user's own array stays as it was"


@pytest.mark.parametrize("writeable", ["data", "indices", "indptr"])
def test_a_sparse_matrix_of_which_one_array_can_be_written_is_no_exception(writeable):
    given = read_only(sparse.csr_array(ROWS.reshape(4, 2)))
    setattr(given, writeable, getattr(given, writeable).copy())
    found = read_only(given)
    assert not any(array.flags.writeable for array in (found.data, found.indices, found.indptr))
    assert read_only(found) is found
    assert getattr(given, writeable).flags.writeable
