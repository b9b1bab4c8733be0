"""What a solver tells while it runs: the guaranteed bound so far, the bound to reach, and the time left."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from virel_theory.checks import Array


@dataclass(frozen=True, eq=False)
class Progress:
    """State of a running solve, after one of its certifying sweeps.

    Attributes:
        n_steps: steps of the method so far.
        error_bound: guaranteed bound on the error of the values that it would return now.
        tolerance: bound at which it stops.
        seconds: seconds since it began.
        left_s: seconds left, if the bound goes on falling at its rate so far; None if that is not known.
        value: function that returns a copy of the values `[S]` now, from which another solve can start.

    Example:
        >>> from virel_theory import ring, solve
        >>> told = []
        >>> solution = solve(ring(100, gamma=0.9), atol=1e-9, watch=told.append)
        >>> len(told) == solution.n_steps, told[-1].left_s, told[-1].error_bound == solution.error_bound
        (True, 0.0, True)
    """

    n_steps: int
    error_bound: float
    tolerance: float
    seconds: float
    left_s: float | None
    value: Callable[[], Array]


Watch = Callable[[Progress], object]
"""Function that `solve` calls after every certifying sweep."""


@dataclass
class Clock:
    """Estimates how long a solve still takes, from how its bound has fallen since the first finite one."""

    began: float = field(default_factory=time.perf_counter)
    first: tuple[float, float] | None = None

    def left(self, bound: float, tolerance: float) -> tuple[float, float | None]:
        """Seconds since the beginning, and seconds left until `bound` has fallen to `tolerance`, or None."""
        now = time.perf_counter() - self.began
        if bound <= tolerance:
            return now, 0.0
        if self.first is None:
            self.first = (now, bound) if math.isfinite(bound) else None
            return now, None
        since, before = self.first
        if not (tolerance > 0 and 0 < bound < before):
            return now, None
        return now, (now - since) * math.log(bound / tolerance) / math.log(before / bound)
