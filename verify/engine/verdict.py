"""The verdict on a claim, and the gap (error, and bound on it) that a check finds on one instance."""

import math
from dataclasses import dataclass
from enum import StrEnum

from virel_common.errors import require


class Verdict(StrEnum):
    """Verdict on a claim: CERTIFIED (proved on instances), HOLDS, REFUTED, GAP (a proof step is false).

    Example:
        >>> Verdict.GAP.meaning
        'the conclusion holds, but a step of the printed proof does not'
    """

    CERTIFIED = "CERTIFIED"
    HOLDS = "HOLDS"
    REFUTED = "REFUTED"
    GAP = "GAP"

    @property
    def meaning(self) -> str:
        """Meaning of this verdict on a claim in one sentence, for readers of the report page."""
        return _MEANING[self]


class Weight(StrEnum):
    """What a verdict other than HOLDS or CERTIFIED means to the authors of the source."""

    CORRECTION = "correction"
    COMPLETION = "completion"
    MISPRINT = "misprint"
    REMARK = "remark"

    @property
    def meaning(self) -> str:
        """Meaning of this weight in one phrase, for readers of tables and of `virel explain`."""
        return _WEIGHT_MEANING[self]


_WEIGHT_MEANING = {
    Weight.CORRECTION: "the substance of the statement changes",
    Weight.COMPLETION: "a hypothesis or a step is missing",
    Weight.MISPRINT: "notation or typography",
    Weight.REMARK: "worth knowing, nothing to mend",
}
_MEANING = {
    Verdict.CERTIFIED: "proved on every instance tried in exact or ball arithmetic; certificates re-check",
    Verdict.HOLDS: "within a bound derived from rounding and truncation, on every instance tried",
    Verdict.REFUTED: "false as printed: a counterexample exists; the corrected form is checked in its place",
    Verdict.GAP: "the conclusion holds, but a step of the printed proof does not",
}


@dataclass(frozen=True)
class Gap:
    """Finding of a check on an instance: how far a statement's sides differ, and the bound derived for it.

    For an identity the error is the largest difference of its two sides. For an inequality `x <= y` it is
    `x - y`. It may be infinite, where a side is; a NaN, or a bound that is not finite, says nothing.

    Raises:
        InputError: if the error is NaN, or the bound is not finite.

    Example:
        >>> Gap(error=1e-16, bound=1e-12).ok, Gap(error=float("inf"), bound=1.0).ok
        (True, False)
    """

    error: float
    """How far the two sides of the statement are apart."""
    bound: float
    """How far rounding and truncation allow the two sides to be apart."""

    def __post_init__(self) -> None:
        """Convert the error and its bound to Python floats, and check them."""
        object.__setattr__(self, "error", float(self.error))
        object.__setattr__(self, "bound", float(self.bound))
        require(not math.isnan(self.error), "error", self.error, "must be a number or infinite")
        require(math.isfinite(self.bound), "bound", self.bound, "must be a finite number")

    @property
    def ok(self) -> bool:
        """Whether the error is within its bound."""
        return self.error <= self.bound

    @property
    def ratio(self) -> float:
        """Quotient `error / bound`; where undefined, infinite if the error exceeds its bound, else 0."""
        usable = self.bound > 0 and math.isfinite(self.error)
        if not self.ok and not usable:
            return math.inf
        return self.error / self.bound if usable else 0.0


def worst(*gaps: Gap) -> Gap:
    """Worst of several gaps: one above its bound if there is any, else the one of largest error / bound."""
    return max(gaps, key=lambda gap: (not gap.ok, gap.ratio))
