"""What can come out of a check, and of a claim."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The four outcomes; the value is what `results.json` holds."""

    CERTIFIED = "CERTIFIED"
    HOLDS = "HOLDS"
    REFUTED = "REFUTED"
    GAP = "GAP"

    @property
    def meaning(self) -> str:
        """One sentence for tables and `virel claims`."""
        return _MEANING[self]


_MEANING = {
    Verdict.CERTIFIED: "proved on every instance tried in exact or ball arithmetic; certificates re-check",
    Verdict.HOLDS: "within a bound derived from rounding and truncation, on every instance tried",
    Verdict.REFUTED: "false as printed: a counterexample exists; the corrected form is checked in its place",
    Verdict.GAP: "the conclusion holds, but a step of the printed proof does not",
}


@dataclass(frozen=True)
class Gap:
    """What one check found on one instance: `error` against the `bound` derived for that instance.

    For an identity, `error` is the largest difference of its two sides; for an inequality `x <= y`, `x - y`.
    """

    error: float
    bound: float

    def __post_init__(self) -> None:
        """Accept numpy scalars."""
        object.__setattr__(self, "error", float(self.error))
        object.__setattr__(self, "bound", float(self.bound))

    @property
    def ok(self) -> bool:
        """Whether the statement held; NaN anywhere, or an infinite error whatever the bound, is a failure."""
        return self.error <= self.bound and self.error < math.inf

    @property
    def ratio(self) -> float:
        """`error / bound`, the share of the allowance used; infinite for a failure without a finite ratio."""
        usable = self.bound > 0 and math.isfinite(self.error)
        if not self.ok and not usable:
            return math.inf
        return self.error / self.bound if usable else 0.0


def worst(*gaps: Gap) -> Gap:
    """The gap that used the largest share of its bound (a failing one if there is any)."""
    return max(gaps, key=lambda gap: (not gap.ok, gap.ratio))
