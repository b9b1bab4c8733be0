r"""Linear systems $(I - \gamma P_\pi)x = b$ of a policy: the matrix $P_\pi$, and direct solvers.

Dense systems have two roads, which may differ in the last bits. `direct_solve` lets SciPy look at the
matrix first (triangular, symmetric, ...), which pays in the loops of the solvers. `lu_solve` is always
LU with partial pivoting; the objects of the papers are computed by it. CSR systems have one road, sparse LU.
A matrix that float64 can't tell from a singular one, as for gamma = 1 - 1e-16, is a `SingularError`.
"""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse import linalg as sparse_linalg

from virel_common.errors import InputError
from virel_theory.checks import Array
from virel_theory.mdp.row_sums import Rows
from virel_theory.mdp.validation import Transition


class SingularError(InputError):
    """A policy's linear system that float64 has for singular, or whose solution is out of its range."""


def mix(pi: Array, table: Array) -> Array:
    r"""Policy means $\sum_a\pi(a|s)f(s, a)$, `[S]`, of a table f, which may be `-inf` where `pi` is 0."""
    out: Array = (pi * np.where(pi > 0, table, 0.0)).sum(axis=1)
    return out


def mixed_rows(transition: Transition, pi: Array) -> Rows:
    r"""Matrix $P_\pi$ `[S, S]` of a policy, or of any weights `[S, A]`, in the format of the transition."""
    n_states, n_actions = pi.shape
    if isinstance(transition, np.ndarray):
        out: Array = np.einsum("sa,sat->st", pi, transition)
        return out
    parts = (pi.reshape(-1), np.arange(n_states * n_actions), np.arange(n_states + 1) * n_actions)
    mixer = sparse.csr_array(parts, shape=(n_states, n_states * n_actions))
    return sparse.csr_array(mixer @ transition)


def transposed(rows: Rows) -> Rows:
    """Transpose of a dense or CSR matrix, in the same format."""
    return rows.T if isinstance(rows, np.ndarray) else sparse.csr_array(rows.T)


def direct_solve(rows: Rows, gamma: float, rhs: Array) -> Array:
    r"""Solution x of $(I - \gamma P)x = b$, P = `rows [S, S]`: a LAPACK routine that fits, or sparse LU."""
    if not isinstance(rows, np.ndarray):
        return _sparse_solve(rows, gamma, rhs)
    matrix = -gamma * rows
    matrix[np.diag_indices(len(rhs))] += 1.0
    return solved(lambda: linalg.solve(matrix, rhs, overwrite_a=True, check_finite=False), gamma, rhs)


def direct_solver(rows: Rows, gamma: float) -> Callable[[Array], Array]:
    r"""Solver of $(I - \gamma P)x = b$ for several b, P = `rows [S, S]`: factors made at the first b."""
    made: list[Callable[[Array], Array]] = []

    def solve(rhs: Array) -> Array:
        if not made:
            made.append(_factorised(rows, gamma))
        return made[0](rhs)

    return lambda rhs: solved(lambda: solve(rhs), gamma, rhs)


def _factorised(rows: Rows, gamma: float) -> Callable[[Array], Array]:
    """Solver from the factors of a system; raises what LAPACK and SuperLU raise, see `solved`."""
    if isinstance(rows, np.ndarray):
        matrix = -gamma * rows
        matrix[np.diag_indices(len(rows))] += 1.0
        return partial(linalg.lu_solve, linalg.lu_factor(matrix, overwrite_a=True, check_finite=False))
    system = sparse.csc_array(sparse.eye_array(rows.shape[0], format="csr") - gamma * rows)
    return sparse_linalg.splu(system).solve


def lu_solve(rows: Rows, gamma: float, rhs: Array) -> Array:
    r"""Solution x of $(I - \gamma P)x = b$, P = `rows [S, S]`, by LU with partial pivoting, or sparse LU."""
    if not isinstance(rows, np.ndarray):
        return _sparse_solve(rows, gamma, rhs)
    return solved(lambda: np.linalg.solve(np.eye(len(rhs)) - gamma * rows, rhs), gamma, rhs)


def _sparse_solve(rows: sparse.csr_array, gamma: float, rhs: Array) -> Array:
    r"""Solution x of $(I - \gamma P)x = b$, P = `rows [S, S]` in CSR format, by SuperLU."""
    system = sparse.csc_array(sparse.eye_array(len(rhs), format="csr") - gamma * rows)
    return solved(lambda: sparse_linalg.spsolve(system, rhs), gamma, rhs).reshape(len(rhs))


def solved(solve: Callable[[], NDArray[np.floating]], gamma: float, rhs: Array) -> Array:
    r"""Result of a routine that solves $(I - \gamma P)x = b$, b = `rhs`; `SingularError` if not finite."""
    with warnings.catch_warnings():  # of an ill-conditioned matrix: solvers bound the error that there is
        warnings.simplefilter("ignore", linalg.LinAlgWarning)
        warnings.simplefilter("ignore", sparse_linalg.MatrixRankWarning)
        try:
            out = np.asarray(solve(), dtype=np.float64)
        except (np.linalg.LinAlgError, RuntimeError):  # what LAPACK and SuperLU raise
            out = np.array(np.nan)
    if not np.isfinite(out).all():
        largest = float(np.abs(rhs).max())
        if gamma < 1 and not largest < (1 - gamma) * float(np.finfo(np.float64).max):
            raise SingularError(
                "rewards and regularisers, divided by 1 - gamma, must lie in the range of float64; "
                f"found sizes up to {largest:.3g} for `gamma` {gamma!r}"
            )
        raise SingularError(
            f"`gamma` must be so far below 1 that float64 can solve with I - gamma P; found {gamma!r}"
        )
    return out
