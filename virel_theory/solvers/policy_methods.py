"""The methods: each turns a point and its backup into the next point; `drive` takes the certificate.

A method is a function `advance(x: Point) -> None` that leaves the next point in `x.v`. On entry `x.w`,
`x.b.q` and `x.b.policy` hold the backup of `x.v`; all of them may be overwritten. Nothing a method does is
trusted: only `drive` decides, by a full sweep.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import linalg as sparse_linalg

from virel_theory.checks import Array
from virel_theory.solvers import linear
from virel_theory.solvers.backups import Backups, SparseBackups
from virel_theory.solvers.bounds import UNIT
from virel_theory.solvers.kernels import rows as _rows
from virel_theory.solvers.kernels import sweeps
from virel_theory.solvers.problem import Problem, Verdict, peak, solution
from virel_theory.solvers.refine import refine
from virel_theory.solvers.solution import Solution

FORCING = 0.03  # inner sweeps of a fixed policy stop when the span of the residual has fallen to this share
SLOW = 0.8  # a span that falls by less than this factor a sweep calls for a linear solve
N_GAUSS_SEIDEL = 4  # Gauss-Seidel sweeps between two certificates
MAX_DENSE_LU = 3000  # states
MAX_LAZY = 50  # improvements between two full sweeps
PATIENCE = 5  # steps without progress, at a residual that rounding can explain, before pairs take over
SMALL = 32  # states up to which a direct solve costs no more than what surrounds it


@dataclass
class Point:
    """Where a method stands: values `v`, backup `w`, extremes of `w - v`, and what it remembers."""

    task: Problem
    b: Backups
    v: Array
    w: Array
    low: float = 0.0
    high: float = 0.0
    memory: dict[str, Any] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Remember that `what` ran, for `Solution.method`."""
        if what not in self.ran:
            self.ran.append(what)

    @property
    def span(self) -> float:
        """Span of the residual."""
        return self.high - self.low

    def shift(self, low: float, high: float) -> float:
        """MacQueen's shift of a residual in [low, high], where a constant is most of it; else 0.

        Near rounding level the shift would be noise divided by 1 - gamma, and iterates would never settle;
        Gauss-Seidel does not commute with shifts, and keeps its monotone progress without.
        """
        if high - low < 0.5 * max(abs(low), abs(high)):
            return self.task.gamma / (1 - self.task.gamma) * (low + high) / 2
        return 0.0

    def accept(self) -> None:
        """V <- T V + shift: one step of value iteration."""
        np.add(self.w, self.shift(self.low, self.high), out=self.v)


Advance = Callable[[Point], None]


def drive(task: Problem, advance: Advance, *, max_steps: int, method: str) -> Solution:
    """Alternate certificate and `advance` from T0 = max r until done or out of steps."""
    v = best_reward(task)
    x = Point(task, task.backups(), v, np.empty_like(v))
    best, stale = np.inf, 0
    for step in range(1, max_steps + 1):
        x.low, x.high = x.b.full(x.v, x.w)
        verdict = task.judge(x.v, x.w, x.low, x.high)
        stale = stale + 1 if x.span > 0.99 * best else 0
        best = min(best, x.span)
        exhausted = verdict.exhausted or (stale >= PATIENCE and x.span <= verdict.plateau)
        if verdict.met or exhausted or step == max_steps:
            break
        advance(x)
    shift = verdict.shift
    if exhausted and np.isfinite(verdict.bound) and not verdict.met:
        x.note("compensated sweeps")
        verdict = refined(x, verdict)
        shift = verdict.shift
    _rows.finish(x.b.q, shift, x.w, x.b.policy)
    name = what_ran(method, x.ran)
    return solution(task, (x.b.release(), x.w, x.b.policy), verdict, n_steps=step, method=name)


def refined(x: Point, plain: Verdict) -> Verdict:
    """The verdict of `refine` if its bound is smaller, which NaN is not; else `plain` and its table again."""
    before = x.v.copy()
    verdict = refine(x.task, x.b, x.v)
    if verdict.bound < plain.bound:
        return verdict
    x.b.full(before, x.w)
    return plain


def what_ran(method: str, ran: list[str]) -> str:
    """`auto: mpi, then banded LU`; methods other than auto come first themselves."""
    if method == "auto":
        return "auto: " + (", then ".join(ran) or "one sweep")
    return ", then ".join([method, *ran])


def default_steps(gamma: float) -> int:
    """Steps after which gamma^n < e^-80: contraction has shrunk any float64 residual below rounding."""
    return 100 + math.ceil(80 / (1 - gamma))


def best_reward(task: Problem) -> Array:
    """T0 = max r `[S]`."""
    out = np.empty(len(task.reward))
    _rows.row_max(task.reward, out)
    return out


def advance_gs(x: Point) -> None:
    """Gauss-Seidel sweeps up and down the states."""
    x.accept()
    gauss_seidel(x, N_GAUSS_SEIDEL)


def gauss_seidel(x: Point, n_sweeps: int) -> None:
    """Gauss-Seidel sweeps on `x.v`, upwards then downwards; `x.b.policy` ends as the last maximisers."""
    b = as_sparse(x.b)
    for k in range(n_sweeps):
        args = (b.indptr, b.indices, b.data, x.task.reward, x.task.gamma, x.v, b.policy, k % 2 == 1)
        sweeps.gauss_seidel(*args)


def advance_mpi(x: Point) -> None:
    """Sweeps of the greedy policy between improvements, until the certificate should hold."""
    mixing_steps(x, slow=1.0)


def mixing_steps(x: Point, *, slow: float) -> bool:
    """Modified policy iteration; False once the span falls by less than the factor `slow` a sweep."""
    x.b.restrict()
    if isinstance(x.b, SparseBackups) and x.b.copy is not None:
        return lazy_steps(x, x.b, slow=slow)
    x.accept()
    return policy_sweeps(x, max_sweeps=1000, slow=slow)


def lazy_steps(x: Point, b: SparseBackups, *, slow: float) -> bool:
    r"""`mixing_steps` from a restricted policy, until the certificate should hold.

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
    """Sweeps of the fixed policy on `x.v` (`x.w`: scratch); False if the span falls too slowly to go on."""
    goal = max(x.task.atol * (1 - x.task.gamma) / 2, 6 * UNIT * peak(x.v))
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


def advance_pi(x: Point) -> None:
    """V <- V^pi of the greedy policy by LAPACK or sparse LU."""
    rows = x.b.policy_matrix()
    if not isinstance(rows, np.ndarray) and len(x.v) <= SMALL:
        rows = rows.toarray()
    x.v[:] = linear.direct_solve(rows, x.task.gamma, policy_reward(x))


def policy_reward(x: Point) -> Array:
    """r_pi `[S]` of `x.b.policy`."""
    return x.task.reward[np.arange(len(x.v)), x.b.policy]


def advance_pi_krylov(x: Point, run: Any) -> None:
    """V <- roughly V^pi by a Krylov method of SciPy, kept only if the residual's span falls."""
    rows, rhs, gamma, n = x.b.policy_matrix(), policy_reward(x), x.task.gamma, len(x.v)
    x.accept()
    operator = sparse_linalg.LinearOperator((n, n), matvec=lambda y: y - gamma * (rows @ y), dtype=np.float64)
    residual = rhs - operator @ x.v
    goal = max(FORCING * residual.std(), x.task.atol * (1 - gamma) / 4, 1e-300) * np.sqrt(n)
    found, _ = run(operator, rhs, x0=x.v, rtol=0.0, atol=goal, maxiter=200)
    if np.isfinite(found).all() and np.ptp(rhs - operator @ found) < np.ptp(residual):
        x.v[:] = found


def advance_bicgstab(x: Point) -> None:
    """Policy iteration with SciPy's BiCGSTAB inside."""
    advance_pi_krylov(x, sparse_linalg.bicgstab)


def advance_gmres(x: Point) -> None:
    """Policy iteration with SciPy's GMRES inside."""
    advance_pi_krylov(x, sparse_linalg.gmres)


def advance_ipi(x: Point) -> None:
    """Inexact policy iteration: ILU(0)-BiCGSTAB for the greedy policy."""
    x.accept()
    x.b.restrict()
    krylov_or_sweeps(x)


def krylov_or_sweeps(x: Point) -> None:
    """ILU(0)-BiCGSTAB for the fixed policy; plain sweeps where it fails."""
    b = as_sparse(x.b)
    if not linear.krylov(x.task, b, x.v, x.w, rhs=b.policy_reward(), forcing=FORCING):
        x.note("policy sweeps")
        policy_sweeps(x, max_sweeps=100)


def advance_auto(x: Point) -> None:
    """Policy sweeps while they mix fast; from then on, or if there are few states, a linear solve."""
    if len(x.v) <= SMALL:
        x.note("pi")
        advance_pi(x)
    elif not x.memory.get("slow"):
        x.note("mpi")
        x.memory["slow"] = not mixing_steps(x, slow=SLOW)
    elif isinstance(x.b, SparseBackups):
        x.accept()
        gauss_seidel(x, 2)
        solve_slow(x, x.b)
    else:
        direct = len(x.v) <= MAX_DENSE_LU
        x.note("pi" if direct else "pi-bicgstab")
        (advance_pi if direct else advance_bicgstab)(x)


def solve_slow(x: Point, b: SparseBackups) -> None:
    """Banded elimination for `b.policy` where some order of the states is narrow, else Krylov steps."""
    band = x.memory.setdefault("band", linear.Band())
    _rows.policy_reward(x.task.reward, b.policy, x.w)
    if band.solve(x.task, b, x.v, x.w):
        x.note("banded LU")
        return
    x.note("ILU-BiCGSTAB")
    b.restrict()
    krylov_or_sweeps(x)


def as_sparse(b: Backups) -> SparseBackups:
    """`b`, which must be sparse: `solve` converts for the methods that need it."""
    assert isinstance(b, SparseBackups)
    return b
