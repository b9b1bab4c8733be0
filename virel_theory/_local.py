r"""Solves of $(I - \gamma P_\pi)V = r_\pi$ for policies: direct, banded, or ILU(0)-BiCGSTAB."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse import linalg as sparse_linalg
from scipy.sparse.csgraph import reverse_cuthill_mckee

from virel_theory import _banded, _krylov
from virel_theory._backups import SparseBackups
from virel_theory._problem import Problem, peak
from virel_theory._validate import Array

MAX_WIDTH = 48  # half bandwidth above which Krylov steps are cheaper than elimination
MAX_KRYLOV_STEPS = 200


def direct_solve(rows: Array | sparse.csr_array, gamma: float, rhs: Array) -> Array:
    r"""$(I - \gamma P_\pi)^{-1} rhs$, dense or sparse."""
    if isinstance(rows, np.ndarray):
        matrix = -gamma * rows
        matrix[np.diag_indices(len(rhs))] += 1.0
        out: Array = linalg.solve(matrix, rhs, overwrite_a=True, check_finite=False)
        return out
    system = sparse.csc_array(sparse.eye_array(len(rhs), format="csr") - gamma * rows)
    return np.asarray(sparse_linalg.spsolve(system, rhs)).reshape(len(rhs))


class Band:
    """Banded elimination in the first narrow order of: natural, folded (rings), reverse Cuthill-McKee."""

    def __init__(self) -> None:
        """No order chosen yet."""
        self._order: NDArray[np.intp] | None = None
        self._hopeless = False

    def solve(self, task: Problem, b: SparseBackups, v: Array) -> bool:
        """V <- V^pi of the restricted policy; False if no order is narrow (v is then untouched)."""
        if self._hopeless or not self._choose(b):
            self._hopeless = True
            return False
        order = self._order
        assert order is not None
        starts, stops, indices, data = b.rows()
        width = int(_banded.bandwidth(starts, stops, indices, order))
        band, x = np.empty((len(v), 2 * width + 1)), np.empty(len(v))
        _banded.fill_band(starts, stops, indices, data, task.gamma, order, band)
        x[order] = b.r_pi
        _banded.solve_band(band, x)
        np.take(x, order, out=v)
        return True

    def _choose(self, b: SparseBackups) -> bool:
        """Whether there is an order; it is for the graph of all actions, so that it serves every policy."""
        if self._order is not None:
            return True
        ends = b.indptr[:: b.reward.shape[1]]
        graph = (ends[:-1], ends[1:], b.indices)
        natural = np.arange(len(ends) - 1)
        folded = np.minimum(2 * natural, 2 * (len(natural) - natural) - 1)
        for make in (lambda: natural, lambda: folded, lambda: _cuthill_mckee(b)):
            order = make()
            if _banded.bandwidth(*graph, order) <= MAX_WIDTH:
                self._order = order
                return True
        return False


def _cuthill_mckee(b: SparseBackups) -> NDArray[np.intp]:
    """Place of every state in the reverse Cuthill-McKee order of the graph of all actions."""
    n_states, n_actions = b.reward.shape
    parts = (b.data, b.indices, b.indptr[::n_actions])
    graph = sparse.csr_matrix(parts, shape=(n_states, n_states))
    order = np.empty(n_states, dtype=np.intp)
    order[reverse_cuthill_mckee(graph, symmetric_mode=False)] = np.arange(n_states)
    return order


def krylov(task: Problem, b: SparseBackups, v: Array, w: Array, *, forcing: float) -> bool:
    """Improve v towards V^pi of the restricted policy (w: scratch); False, and v as it was, if that fails."""
    starts, stops, indices, data = b.rows()
    n_states = len(v)
    n_entries = int((stops - starts).sum()) + n_states
    ptr, diagonal = np.empty(n_states + 1, dtype=np.int64), np.empty(n_states, dtype=np.int64)
    columns, values = np.empty(n_entries, dtype=np.int64), np.empty(n_entries)
    _krylov.build_system(starts, stops, indices, data, task.gamma, ptr, columns, values, diagonal)
    factors = values.copy()
    _krylov.ilu0(ptr, columns, diagonal, factors, np.full(n_states, -1, dtype=np.int64))
    low, high = b.sweep(v, w)
    goal = max(forcing * max(-low, high), task.atol * (1 - task.gamma) / 4, 4e-16 * peak(v))
    x = v.copy()
    _krylov.bicgstab(ptr, columns, values, diagonal, factors, b.r_pi, x, goal, MAX_KRYLOV_STEPS)
    new_low, new_high = b.sweep(x, w)
    if not max(-new_low, new_high) < max(-low, high) / 2:
        return False
    v[:] = x
    return True
