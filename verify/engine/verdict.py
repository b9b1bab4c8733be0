"""The verdict on a claim, and the gap (error and bound) that a check finds on one instance."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The four possible verdicts on a claim; each value is the text in `results.json`."""

    CERTIFIED = "CERTIFIED"
    HOLDS = "HOLDS"
    REFUTED = "REFUTED"
    GAP = "GAP"

    @property
    def meaning(self) -> str:
        """Meaning of a verdict in one sentence, for readers of the report."""
        return _MEANING[self]


_MEANING = {
    Verdict.CERTIFIED: "proved on every instance tried in exact or ball arithmetic; certificates re-check",
    Verdict.HOLDS: "within a bound derived from rounding and truncation, on every instance tried",
    Verdict.REFUTED: "false as printed: a counterexample exists; the corrected form is checked in its place",
    Verdict.GAP: "the conclusion holds, but a step of the printed proof does not",
}


@dataclass(frozen=True)
class Gap:
    """Finding of a check on one instance: an error, and the bound that was derived for it.

    For an identity the error is the largest difference of its two sides. For an inequality `x <= y` it is
    `x - y`.
    """

    error: float
    """How far the two sides are apart."""
    bound: float
    """How far rounding and truncation allow them to be apart."""

    def __post_init__(self) -> None:
        """Convert the error and the bound from numpy scalars to floats."""
        object.__setattr__(self, "error", float(self.error))
        object.__setattr__(self, "bound", float(self.bound))

    @property
    def ok(self) -> bool:
        """Whether the error is within its bound; a NaN or infinite error never is."""
        return self.error <= self.bound and self.error < math.inf

    @property
    def ratio(self) -> float:
        """Share `error / bound` of the bound that is used; infinite for a failure where it is undefined."""
        usable = self.bound > 0 and math.isfinite(self.error)
        if not self.ok and not usable:
            return math.inf
        return self.error / self.bound if usable else 0.0


def worst(*gaps: Gap) -> Gap:
    """Worst of several gaps: a failing one if there is any, else the one that uses most of its bound."""
    return max(gaps, key=lambda gap: (not gap.ok, gap.ratio))
