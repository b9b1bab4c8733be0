"""Values and expected numbers of steps of a policy that ends: linear systems, solved as well as is needed."""

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from virel_theory.checks import Array
from virel_theory.solvers.bounds import TINY
from virel_theory.solvers.kernels import krylov
from virel_theory.undiscounted import kernels
from virel_theory.undiscounted.pairs import Ints, Pairs

SMALL = 2000  # states up to which sparse LU comes first
MAX_KRYLOV_STEPS = 300
N_REFINEMENTS = 1


class Policy:
    """Policy of a process, as the pair `[n]` that it takes in each state, with its linear system."""

    def __init__(self, p: Pairs, pair: Ints) -> None:
        """Store the policy; nothing is factorised before it is needed."""
        self.p, self.pair = p, pair
        self._lu: sparse_linalg.SuperLU | None = None

    def backup(self, x: Array) -> tuple[Array, Array]:
        r"""Backup $r_\pi + P_\pi x$ `[n]`, and bounds `[n]` on its rounding errors."""
        out, error, p = np.empty_like(x), np.empty_like(x), self.p
        kernels.backup_of(self.pair, p.start, p.successor, p.prob, p.reward, x, p.error, TINY, out, error)
        return out, error

    def solve(self, rhs: Array, guess: Array, *, goal: float) -> Array:
        r"""Solution x of $(I - P_\pi)x = b$, up to residuals of about `goal`; NaN if there is none."""
        if len(rhs) > SMALL:
            found = self._krylov(rhs, guess, goal)
            if found is not None:
                return found
        return self._direct(rhs)

    def _rows(self) -> sparse.csr_array:
        """Matrix `[n, n]` of the policy."""
        p, n = self.p, self.p.n_states
        whole = sparse.csr_array((p.prob, p.successor, p.start), shape=(len(p.state), n), copy=False)
        return sparse.csr_array(whole[self.pair])

    def _direct(self, rhs: Array) -> Array:
        """Solution by sparse LU, with a step of iterative refinement."""
        n = len(rhs)
        matrix = sparse.csc_array(sparse.eye_array(n, format="csr") - self._rows())
        try:
            if self._lu is None:
                self._lu = sparse_linalg.splu(matrix)
        except RuntimeError:  # singular in float64
            return np.full(n, np.nan)
        out: Array = self._lu.solve(rhs)
        for _ in range(N_REFINEMENTS):
            out = out + self._lu.solve(rhs - matrix @ out)
        return out

    def _krylov(self, rhs: Array, guess: Array, goal: float) -> Array | None:
        """Solution by ILU(0)-BiCGSTAB, or None if it misses the goal."""
        p, n = self.p, len(rhs)
        starts, stops = p.start[self.pair], p.start[self.pair + 1]
        size = int((stops - starts).sum()) + n
        ptr, diagonal = np.empty(n + 1, dtype=np.int64), np.empty(n, dtype=np.int64)
        columns, values = np.empty(size, dtype=np.int64), np.empty(size)
        krylov.build_system(starts, stops, p.successor, p.prob, 1.0, ptr, columns, values, diagonal)
        factors = values.copy()
        krylov.ilu0(ptr, columns, diagonal, factors, np.full(n, -1))
        x, product = guess.copy(), np.empty(n)
        krylov.bicgstab(ptr, columns, values, diagonal, factors, rhs, x, goal / 2, MAX_KRYLOV_STEPS)
        krylov.product(ptr, columns, values, x, product)
        return x if float(np.abs(rhs - product).max()) <= goal else None
