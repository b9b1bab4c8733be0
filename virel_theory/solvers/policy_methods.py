"""Methods that evaluate one policy at a time: exactly, by Krylov iteration, or by plain sweeps."""

from typing import Protocol

import numpy as np
from scipy.sparse import linalg as sparse_linalg

from virel_theory.checks import Array
from virel_theory.mdp.policy_system import direct_solve
from virel_theory.mdp.row_sums import Rows
from virel_theory.solvers import linear
from virel_theory.solvers.backups import DenseBackups, SparseBackups
from virel_theory.solvers.bounds import UNIT
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.point import FORCING, Point, as_sparse

MAX_LAZY = 50  # improvements between two full sweeps
MAX_DIRECT = 3000  # states up to which a direct solve takes the place of Krylov steps that stall
SMALL = 32  # states up to which a direct solve costs no more than what surrounds it


def advance_pi(x: Point) -> None:
    """Take a step of policy iteration: `V <- V^pi` of the greedy policy, by LAPACK or sparse LU."""
    rows = x.b.policy_matrix()
    if not isinstance(rows, np.ndarray) and len(x.v) <= SMALL:
        rows = rows.toarray()
    x.v[:] = direct_solve(rows, x.task.gamma, policy_reward(x))


def policy_reward(x: Point) -> Array:
    """Rewards `r(s, pi(s))`, `[S]`, of the policy `x.b.policy`."""
    return x.task.reward[np.arange(len(x.v)), x.b.policy]


class KrylovMethod(Protocol):
    """Call signature that SciPy's Krylov methods share, as far as it is used here."""

    def __call__(
        self,
        A: sparse_linalg.LinearOperator,  # SciPy's name
        b: Array,
        *,
        x0: Array,
        rtol: float,
        atol: float,
        maxiter: int,
    ) -> tuple[Array, int]:
        """Solve `A x = b` approximately from the guess `x0`; also return 0 if the tolerance is met."""


def advance_pi_krylov(x: Point, run: KrylovMethod, *, cycles: int) -> None:
    """Take a step of policy iteration by a SciPy Krylov method; if that stalls, by what cannot stall.

    It stalls if it neither reaches its goal in `cycles` of its iterations nor halves the residual's span.
    """
    rows, rhs, gamma, n = x.b.policy_matrix(), policy_reward(x), x.task.gamma, len(x.v)
    x.accept()
    operator = sparse_linalg.LinearOperator((n, n), matvec=lambda y: y - gamma * (rows @ y), dtype=np.float64)
    residual = rhs - operator @ x.v
    goal = max(FORCING * residual.std(), x.task.atol * (1 - gamma) / 4, 1e-300) * np.sqrt(n)
    found, failed = run(operator, rhs, x0=x.v, rtol=0.0, atol=goal, maxiter=cycles)
    left = np.ptp(rhs - operator @ found) if np.isfinite(found).all() else np.inf
    if left < np.ptp(residual):
        x.v[:] = found
    if failed and not left < 0.5 * np.ptp(residual):
        _without_krylov(x, rows, rhs)


def _without_krylov(x: Point, rows: Rows, rhs: Array) -> None:
    """Evaluate the greedy policy directly if that is cheap, else improve its values by sweeps."""
    if len(x.v) <= MAX_DIRECT:
        x.note("direct solves")
        x.v[:] = direct_solve(rows, x.task.gamma, rhs)
    else:
        x.note("policy sweeps")
        x.b.restrict()
        policy_sweeps(x, max_sweeps=1000)


def advance_bicgstab(x: Point) -> None:
    """Take a step of policy iteration with SciPy's BiCGSTAB for the linear system."""
    advance_pi_krylov(x, sparse_linalg.bicgstab, cycles=200)


def advance_gmres(x: Point) -> None:
    """Take a step of policy iteration with SciPy's GMRES for the linear system; a cycle is 20 products."""
    advance_pi_krylov(x, sparse_linalg.gmres, cycles=10)


def advance_ipi(x: Point) -> None:
    """Take a step of inexact policy iteration: evaluate the greedy policy roughly, by ILU(0)-BiCGSTAB."""
    x.accept()
    x.b.restrict()
    krylov_or_sweeps(x)


def krylov_or_sweeps(x: Point) -> None:
    """Improve the values `x.v` of the fixed policy by ILU(0)-BiCGSTAB, or by plain sweeps if that fails."""
    b = as_sparse(x.b)
    if not linear.krylov(b, x.v, x.w, rhs=b.policy_reward(), atol=x.task.atol, forcing=FORCING):
        x.note("policy sweeps")
        policy_sweeps(x, max_sweeps=100)


def advance_mpi(x: Point) -> None:
    """Take one or more steps of modified policy iteration: each sweeps with the greedy policy."""
    mixing_steps(x, slow=1.0)


def mixing_steps(x: Point, *, slow: float) -> bool:
    """Run modified policy iteration; return False once a sweep leaves over a share `slow` of the span.

    The span is that of the residual w - v.
    """
    x.b.restrict()
    if isinstance(x.b, SparseBackups) and x.b.copy is not None:
        return lazy_steps(x, x.b, slow=slow)
    x.accept()
    return policy_sweeps(x, max_sweeps=1000, slow=slow)


def lazy_steps(x: Point, b: SparseBackups, *, slow: float) -> bool:
    r"""Run modified policy iteration, skipping actions proved not greedy; return False if it is too slow.

    A value $Q_V(h)$ grows by at most $\gamma\max(V' - V)$ when V becomes V'. Summed up ("drift"), this rules
    most actions out without touching their rows, so that an improvement costs little more than a sweep of the
    policy. With few actions there is little to rule out.
    """
    before, drift = x.v.copy(), 0.0
    for _ in range(MAX_LAZY):
        x.accept()
        if not policy_sweeps(x, max_sweeps=1000, slow=slow):
            return False
        np.subtract(x.v, before, out=x.w)
        drift += x.task.gamma * float(x.w.max())
        before[:] = x.v
        x.low, x.high, drift = b.improve(x.v, x.w, drift)
        guess = x.task.judge(x.v, x.w, x.low, x.high)
        if guess.met or guess.exhausted:
            break
        b.restrict()
    x.accept()
    return True


def policy_sweeps(x: Point, *, max_sweeps: int, slow: float = 1.0) -> bool:
    """Improve `x.v` by sweeps with the fixed policy (`x.w` is scratch); return False if they are too slow.

    They are if a sweep leaves more than `slow` of the span of the residual.
    """
    atol = x.task.atol
    if isinstance(x.b, DenseBackups):
        return x.b.evaluate(x.v, x.w, None, atol=atol, forcing=FORCING, slow=slow, most=max_sweeps)
    goal = max(atol * (1 - x.task.gamma) / 2, 6 * UNIT * peak(x.v))
    first, before = np.inf, np.inf
    old, new, fast = x.v, x.w, True
    for k in range(max_sweeps):
        low, high = x.b.sweep(old, new)
        old, new = new, old
        span = high - low
        first = span if k == 0 else first
        if span <= FORCING * first or span <= goal:
            break
        if k >= 4 and span > slow * before:
            fast = False
            break
        before = span
    np.add(old, x.shift(low, high), out=x.v)
    return fast
