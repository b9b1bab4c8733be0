"""Results of a solver: arrays, a guaranteed error bound, and a status that says what to try next."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from virel_theory.checks import Array


class Status(Enum):
    """Status of a finished solver, with a text that says what to try next.

    Example:
        >>> Status.CONVERGED.ok, Status.CONVERGED.text
        (True, 'The guaranteed error bound is within the tolerance; nothing to do.')
    """

    CONVERGED = "The guaranteed error bound is within the tolerance; nothing to do."
    MAX_STEPS = (
        "The step limit came first; the bound is true but too large: raise `max_steps`, or use 'auto'."
    )
    ROUNDING_LIMIT = (
        "float64 cannot certify the tolerance asked for; the bound returned is what it can: "
        "raise `atol` above `error_bound`, or solve in exact arithmetic (`verify.arithmetic.exact`)."
    )
    NOT_CONTRACTING = (
        "gamma times the largest row sum of `transition` may reach 1; no bound exists (`error_bound` inf): "
        "lower `gamma`, or solve in exact arithmetic (`verify.arithmetic.exact`)."
    )
    INTERRUPTED = (
        "It was interrupted; the values are those reached by then and the bound is true for them: "
        "go on from them with `start` (or `--resume`)."
    )

    @property
    def text(self) -> str:
        """Sentence that explains the status and says what to try next."""
        return self.value

    @property
    def ok(self) -> bool:
        """Whether the solver's guaranteed error bound is within the tolerance."""
        return self is Status.CONVERGED


class Solved(Protocol):
    """What the solutions of all objectives have in common."""

    @property
    def status(self) -> Status:
        """How the solver ended."""

    @property
    def n_steps(self) -> int:
        """Number of steps of the method."""

    @property
    def error_bound(self) -> float:
        """Guaranteed bound on the error of the values."""


AnySolution = TypeVar("AnySolution", bound=Solved)


class SolverError(RuntimeError):
    """Error of a solver with `throw=True` that missed its tolerance; `solution` holds what it found.

    Example:
        >>> from virel_theory import TabularMDP, solve
        >>> ring = TabularMDP([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [0.0]], 0.99)
        >>> try:
        ...     solve(ring, method="vi", atol=1e-9, max_steps=3, throw=True)
        ... except SolverError as error:
        ...     print(error.solution.status.name)
        MAX_STEPS
    """

    def __init__(self, solution: Solved) -> None:
        """Store the solution; the error message gives its status, bound and number of steps."""
        super().__init__(
            f"{solution.status.text} (error bound {solution.error_bound:.3g} after {solution.n_steps} steps)"
        )
        self.solution = solution

    def __reduce__(self) -> tuple[type["SolverError"], tuple[Solved], dict[str, Any]]:
        """Make copies by the constructor, as another process does that gets the error; notes go along."""
        return type(self), (self.solution,), vars(self)


class SolverInterrupted(KeyboardInterrupt):
    """Ctrl-C during a solve; `solution` holds what was reached by then, with a bound that is true for it.

    Example:
        >>> from virel_theory import ring, solve
        >>> def stop(now):
        ...     raise KeyboardInterrupt
        >>> try:
        ...     solution = solve(ring(100, gamma=0.9), atol=1e-9, watch=stop)
        ... except SolverInterrupted as stopped:
        ...     solution = stopped.solution
        >>> solution.status.name, solution.error_bound < 10
        ('INTERRUPTED', True)
    """

    def __init__(self, solution: "Solution") -> None:
        """Store the solution, whose status is INTERRUPTED."""
        super().__init__(f"interrupted (error bound {solution.error_bound:.3g})")
        self.solution = solution

    def __reduce__(self) -> tuple[type["SolverInterrupted"], tuple["Solution"], dict[str, Any]]:
        """Make copies by the constructor, as another process does that gets the error; notes go along."""
        return type(self), (self.solution,), vars(self)


class ThreadUse(NamedTuple):
    """Threads that a solve used. Its result does not depend on them in any bit.

    Example:
        >>> print(ThreadUse(most=2, shared=90, alone=10))
        2 threads (90 of 100 large sweeps)
    """

    most: int = 1
    """Largest number of threads that shared a sweep."""
    shared: int = 0
    """Sweeps that were shared."""
    alone: int = 0
    """Sweeps large enough to be shared that one thread did, as sharing had not paid at the time."""

    def __str__(self) -> str:
        """Text such as `2 threads (90 of 100 large sweeps)`."""
        if self.most == 1:
            return "1 thread"
        return f"{self.most} threads ({self.shared} of {self.shared + self.alone} large sweeps)"


ONE_THREAD = ThreadUse()


@dataclass(frozen=True, eq=False)
class Solution:
    r"""Optimal values, or values of a policy, with a guaranteed error bound.

    Attributes:
        value: `[S]` state values, reward units.
        q: `[S, A]` action values; where the action does not exist `-inf` (`+inf` when costs are minimised).
        policy: `[S]` greedy actions of `q`, lowest index among equals.
        status: how the solver ended.
        n_steps: iterations of the method (sweeps, or improvement steps of policy iteration).
        error_bound: guaranteed bound on $\|Q - Q^*\|_\infty$ and $\|V - V^*\|_\infty$ for these very arrays,
            rounding included.
        method: what ran, in order: `auto: mpi, then banded LU`, or `vi, then compensated sweeps`.
        threads: how many threads shared its sweeps.

    Example:
        >>> from virel_theory import TabularMDP, solve
        >>> solution = solve(TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5), atol=1e-9)
        >>> solution.q.tolist(), solution.policy.tolist(), solution.error_bound <= 1e-9
        ([[2.0, 1.0]], [0], True)
    """

    value: Array
    q: Array
    policy: NDArray[np.intp]
    status: Status
    n_steps: int
    error_bound: float
    method: str
    threads: ThreadUse = ONE_THREAD


def checked(solution: AnySolution, *, throw: bool) -> AnySolution:
    """Return `solution`, or raise `SolverError` if it missed its tolerance and `throw` is set."""
    if throw and not solution.status.ok:
        raise SolverError(solution)
    return solution
