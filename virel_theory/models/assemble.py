"""Assembly of an MDP from lists of transitions, for generators and readers."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from virel_theory.checks import Array, Mask
from virel_theory.mdp.tabular import TabularMDP

Ints = NDArray[np.integer]


def csr_rows(prob: Array, rows: Ints, columns: Ints, *, shape: tuple[int, int]) -> sparse.csr_array:
    """CSR matrix from `(row, column, probability)` triples; repeated entries add up, zeros are dropped."""
    out = sparse.csr_array((prob, (rows, columns)), shape=shape)
    out.eliminate_zeros()
    return out


def outcome_rows(target: Ints, prob: Array, *, n_states: int) -> sparse.csr_array:
    """CSR matrix `[N, S]` whose row i reaches state `target[i, j]` with probability `prob[i, j]`."""
    n_rows, n_outcomes = target.shape
    rows = np.repeat(np.arange(n_rows), n_outcomes)
    return csr_rows(prob.ravel(), rows, target.ravel(), shape=(n_rows, n_states))


def point_mass(n_states: int, state: int) -> Array:
    """Distribution `[S]` with all its probability on one state."""
    out = np.zeros(n_states)
    out[state] = 1.0
    return out


def build(
    transition: sparse.csr_array,
    reward: Array,
    *,
    gamma: float,
    initial: Array | None = None,
    mask: Mask | None = None,
    is_sparse: bool = False,
) -> TabularMDP:
    """Build a validated MDP, dense unless `is_sparse`; `initial=None` is the uniform distribution."""
    mdp = TabularMDP(transition, reward, gamma, initial, mask)
    return mdp if is_sparse else mdp.to_dense()
