r"""Linear solvers for $(I - \gamma P_\pi)V = r_\pi$ on CSR: banded elimination, and ILU(0)-BiCGSTAB."""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from virel_theory.checks import Array
from virel_theory.solvers.backups import Integers, SparseBackups
from virel_theory.solvers.kernels import banded
from virel_theory.solvers.kernels import krylov as _krylov
from virel_theory.solvers.kernels.rows import peak

MAX_WIDTH = 48  # half bandwidth above which Krylov steps are cheaper than elimination
MAX_KRYLOV_STEPS = 200


class Band:
    """Solver of a policy's linear system by banded elimination, in the first state order with a narrow band.

    Folded suits rings; the last is the reverse Cuthill-McKee order. The order is chosen once and
    remembered, or it is remembered that none has a narrow band.
    """

    def __init__(self) -> None:
        """Start without an elimination order of the states; the first `solve` chooses one."""
        self._kind: int | None = None
        self._table: Integers = np.empty(0, dtype=np.int32)
        self._hopeless = False

    def solve(self, b: SparseBackups, v: Array, rhs: Array) -> bool:
        """Set `v` to the values of `b.policy` for rewards `rhs`; False if no state order has a narrow band.

        If False, both are as they were; if True, `rhs` is overwritten and `b.q` undefined, whose memory the
        factors take.
        """
        if self._hopeless or not self._choose(b):
            self._hopeless = True
            return False
        rows = (b.indptr, b.indices)
        order = (self._kind, self._table)
        width = int(banded.policy_bandwidth(*rows, b.policy, b.reward.shape[1], *order))
        policy = (b.policy, b.reward.shape[1])
        banded.solve_band(*rows, b.data, b.gamma, *policy, *order, rhs, b.factors(width), v)
        banded.by_state(*order, v, rhs)
        v[:] = rhs
        return True

    def _choose(self, b: SparseBackups) -> bool:
        """Choose a state order whose band is narrow under every policy; False if there is none."""
        if self._kind is not None:
            return True
        ends = b.indptr[:: b.reward.shape[1]]
        graph = (ends[:-1], ends[1:], b.indices)
        for kind in (banded.NATURAL, banded.FOLDED, banded.LISTED):
            table = _cuthill_mckee(b) if kind == banded.LISTED else self._table
            if banded.bandwidth(*graph, kind, table, MAX_WIDTH) <= MAX_WIDTH:
                self._kind, self._table = kind, table
                return True
        return False


def _cuthill_mckee(b: SparseBackups) -> Integers:
    """Reverse Cuthill-McKee order as one array: the place of each state, then the state at each place."""
    n_states, n_actions = b.reward.shape
    parts = (b.data, b.indices, b.indptr[::n_actions])
    graph = sparse.csr_matrix(parts, shape=(n_states, n_states))
    states = reverse_cuthill_mckee(graph, symmetric_mode=False)
    table = np.empty(2 * n_states, dtype=states.dtype)
    table[states] = np.arange(n_states, dtype=states.dtype)
    table[n_states:] = states
    return table


def krylov(b: SparseBackups, v: Array, w: Array, *, rhs: Array, atol: float, forcing: float) -> bool:
    """Improve `v` towards `V^pi` of the fixed policy by ILU(0)-BiCGSTAB, with `w` as scratch.

    Returns False, and leaves `v` as it was, unless the residual is at least halved. It aims at `forcing`
    times the residual, or at what `atol` asks for.
    """
    starts, stops, indices, data = b.rows()
    n_states = len(v)
    n_entries = int((stops - starts).sum()) + n_states
    kind = np.int32 if n_entries <= np.iinfo(np.int32).max else np.int64
    ptr, diagonal = np.empty(n_states + 1, dtype=kind), np.empty(n_states, dtype=kind)
    columns, values = np.empty(n_entries, dtype=kind), np.empty(n_entries)
    _krylov.build_system(starts, stops, indices, data, b.gamma, ptr, columns, values, diagonal)
    factors = values.copy()
    _krylov.ilu0(ptr, columns, diagonal, factors, np.full(n_states, -1, dtype=kind))
    low, high = b.sweep(v, w, rhs)
    goal = max(forcing * max(-low, high), atol * (1 - b.gamma) / 4, 4e-16 * peak(v))
    x = v.copy()
    _krylov.bicgstab(ptr, columns, values, diagonal, factors, rhs, x, goal, MAX_KRYLOV_STEPS)
    new_low, new_high = b.sweep(x, w, rhs)
    if not max(-new_low, new_high) < max(-low, high) / 2:
        return False
    v[:] = x
    return True
