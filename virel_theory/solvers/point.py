"""Loop that all solver methods share: certify values by a full sweep, then let the method improve them.

A method is a callable `advance(x: Point) -> None` that leaves the next point in `x.v`. On entry `x.w`,
`x.b.q` and `x.b.policy` hold the backup of `x.v`; all of them may be overwritten. Nothing that a method does
is trusted: only `drive` decides, by a full sweep.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from virel_theory.checks import Array
from virel_theory.solvers.backups import Backups, SparseBackups, backups
from virel_theory.solvers.bounds import UNIT
from virel_theory.solvers.kernels import rows as _rows
from virel_theory.solvers.problem import Outcome, Problem, solution
from virel_theory.solvers.refine import refine
from virel_theory.solvers.solution import Solution, SolverInterrupted, ThreadUse
from virel_theory.solvers.watch import Clock, Progress, Watch

FORCING = 0.03  # inner sweeps of a fixed policy stop when the span of the residual has fallen to this share
PATIENCE = (
    5  # steps without progress, at a residual that rounding can explain, before compensated sweeps take over
)


@dataclass
class Point:
    """State of an iterative method: values `v`, their backup `w`, and the extremes `low`, `high` of w - v.

    `b` makes backups of `task`; `n_steps` counts certifying sweeps; `ran` lists what has run, for
    `Solution.method`.
    """

    task: Problem
    b: Backups
    v: Array
    w: Array
    low: float = 0.0
    high: float = 0.0
    n_steps: int = 0
    ran: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Record that the method named `what` ran, for `Solution.method`."""
        if what not in self.ran:
            self.ran.append(what)

    @property
    def span(self) -> float:
        """Span of the residual w - v: its largest entry minus its smallest."""
        return self.high - self.low

    def shift(self, low: float, high: float) -> float:
        """MacQueen's shift for a residual w - v in `[low, high]` if most of it is a constant, else 0.

        Near rounding level the shift would be noise divided by 1 - gamma, and iterates would never settle.
        Gauss-Seidel does not commute with shifts; without them it keeps its monotone progress.
        """
        if high - low < 0.5 * max(abs(low), abs(high)):
            return self.task.gamma / (1 - self.task.gamma) * (low + high) / 2
        return 0.0

    def accept(self) -> None:
        """Take a step of value iteration with MacQueen's shift, `v <- w + shift`."""
        np.add(self.w, self.shift(self.low, self.high), out=self.v)


Advance = Callable[[Point], None]
"""Step of a method from one point to the next; a method with memory is an instance whose fields hold it."""


def drive(
    task: Problem,
    advance: Advance,
    *,
    max_steps: int,
    method: str,
    begin: Callable[[Point], None] | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Run a method from the values `max_a r(s, a)`: certifying sweeps alternate with its steps until done.

    `begin` may set other values first; only the sweeps decide how good they are. `watch` is told of each.

    Done means: the tolerance is met, rounding allows no more, or `max_steps` are over. After Ctrl-C one more
    sweep certifies the values as they are, and `SolverInterrupted` is raised.
    """
    v = best_reward(task)
    x = Point(task, backups(task), v, np.empty_like(v))
    try:
        outcome = _improve(x, advance, max_steps=max_steps, begin=begin, watch=watch)
        if outcome.exhausted and np.isfinite(outcome.bound) and not outcome.met:
            x.note("compensated sweeps")
            outcome = replace(refined(x, outcome), exhausted=True)
    except KeyboardInterrupt:
        x.b.factors(1)  # the table may have been lent, or be gone
        x.low, x.high = x.b.full(x.v, x.w)
        outcome = task.judge(x.v, x.w, x.low, x.high)
        raise SolverInterrupted(_result(x, outcome, method, interrupted=True)) from None
    return _result(x, outcome, method)


def _improve(
    x: Point,
    advance: Advance,
    *,
    max_steps: int,
    begin: Callable[[Point], None] | None,
    watch: Watch | None,
) -> Outcome:
    """Loop of `drive`; returns the outcome of its last certifying sweep."""
    clock, best, stale = Clock(), np.inf, 0
    if begin is not None:
        begin(x)
    while True:
        x.n_steps += 1
        x.low, x.high = x.b.full(x.v, x.w)
        outcome = x.task.judge(x.v, x.w, x.low, x.high)
        if watch is not None:
            watch(_progress(x, outcome, clock))
        goes_on = outcome.exhausted and np.isfinite(outcome.bound) and best / 2 >= x.span > _useful_span(x)
        stale = stale + 1 if x.span > 0.99 * best else 0
        best = min(best, x.span)
        exhausted = (outcome.exhausted and not goes_on) or (stale >= PATIENCE and x.span <= outcome.plateau)
        if outcome.met or exhausted or x.n_steps == max_steps:
            return replace(outcome, exhausted=exhausted)
        advance(x)


def _useful_span(x: Point) -> float:
    """Span of the residual down to which plain steps save compensated ones work, as long as it halves."""
    return max(x.task.atol * (1 - x.task.gamma) / 2, 8 * UNIT * _rows.peak(x.v))


def _progress(x: Point, outcome: Outcome, clock: Clock) -> Progress:
    """What to tell of a certifying sweep."""
    tolerance = x.task.tolerance(x.w, outcome.shift)
    seconds, left = clock.left(outcome.bound, tolerance)
    return Progress(x.n_steps, outcome.bound, tolerance, seconds, left, lambda: x.task.sign * x.v)


def _result(x: Point, outcome: Outcome, method: str, *, interrupted: bool = False) -> Solution:
    """Add the shift to the table, take values and policy from it, and hand all of it over as a `Solution`."""
    _rows.finish(x.b.q, outcome.shift, x.w, x.b.policy)
    return solution(
        x.task,
        (x.b.release(), x.w, x.b.policy),
        outcome,
        n_steps=x.n_steps,
        method=what_ran(method, x.ran),
        threads=ThreadUse(x.b.pace.most, x.b.pace.n_shared, x.b.pace.n_alone),
        interrupted=interrupted,
    )


def refined(x: Point, plain: Outcome) -> Outcome:
    """Refine the values by compensated sweeps; return their outcome if its bound is smaller, else `plain`.

    In the second case the table of `plain` is restored. A bound that is NaN is not smaller.
    """
    before = x.v.copy()
    outcome = refine(x.task, x.b, x.v)
    if outcome.bound < plain.bound:
        return outcome
    x.b.full(before, x.w)
    return plain


def what_ran(method: str, ran: list[str]) -> str:
    """Text for `Solution.method`, such as `auto: mpi, then banded LU` or `vi, then compensated sweeps`."""
    if method == "auto":
        return "auto: " + (", then ".join(ran) or "one sweep")
    return ", then ".join([method, *ran])


def default_steps(gamma: float) -> int:
    """Default step limit n, with gamma^n < e^-80: float64 residuals have then shrunk below rounding."""
    return 100 + math.ceil(80 / (1 - gamma))


def best_reward(task: Problem) -> Array:
    """Starting values `max_a r(s, a)`, `[S]`: the Bellman backup of zero."""
    out = np.empty(len(task.reward))
    _rows.row_max(task.reward, out)
    return out


def as_sparse(b: Backups) -> SparseBackups:
    """Return the backups `b`, asserted sparse: `solve` converts the transition for methods that need CSR."""
    assert isinstance(b, SparseBackups)
    return b
