"""Proof jobs: which statement of a claim is proved, by which (in)equalities, and on which instances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from verify.arithmetic.instance import Exact, exactly
from verify.engine.claim import Check, Claim
from verify.proofs import draws
from verify.proofs.facts import Fact


@dataclass(frozen=True, eq=False)
class Job:
    """Proof job: proves a claim, its correction or one step on many instances, or refutes it on one.

    The `parts` and `facts` are those of the statement in `verify/statements.toml`, in the same order.
    """

    form: str
    """`printed`, `corrected` or `step-N`, the N-th step of the claim."""
    parts: tuple[str, ...]
    """Names of the parts of an instance that a certificate stores."""
    facts: Sequence[Fact]
    """The facts that are proved of every instance, or of the counterexample."""
    prepare: Callable[[Any], Exact] = exactly
    """Function that converts a drawn instance to an exact one."""
    refutes: bool = False
    """Whether one counterexample is wanted, rather than a proof on every instance."""
    instances: SearchStrategy[Any] | None = None
    """Hypothesis strategy that draws instances; None takes that of the claim's own check."""

    def check_of(self, claim: Claim) -> Check:
        """Check of the statement (printed, corrected, a step) that a job proves; it supplies instances."""
        if self.form.startswith("step"):
            return claim.steps[int(self.form.removeprefix("step-")) - 1].check
        if self.form == "corrected" and claim.correction is not None:
            return claim.correction.check
        return claim.check

    def instances_of(self, claim: Claim) -> SearchStrategy[Any]:
        """Hypothesis strategy that draws a job's instances: the job's own, else that of the claim's check."""
        return self.check_of(claim).instances if self.instances is None else self.instances


Jobs = dict[str, Sequence[Job]]
"""Jobs by claim id, as each `*proofs.py` below `verify/claims/` lists them in `JOBS`."""


def proved(form: str, parts: tuple[str, ...], *facts: Fact, **options: Any) -> Job:
    """Proof job that proves the statement's `facts` on all instances; `options` set other `Job` fields."""
    return Job(form, parts, facts, **options)


def refuted(form: str, parts: tuple[str, ...], *facts: Fact, **options: Any) -> Job:
    """Proof job that refutes a statement by `facts` of one counterexample; `options` set `Job` fields."""
    return Job(form, parts, facts, refutes=True, **options)


def as_drawn(x: Exact) -> Exact:
    """Return an instance unchanged: the conversion `prepare` for proof jobs that draw exact instances."""
    return x


def featured(form: str, parts: tuple[str, ...], *facts: Fact, refutes: bool = False, **options: Any) -> Job:
    """Proof job on rational instances with features of a linear Q, which `draws.with_features` draws."""
    return Job(form, parts, facts, as_drawn, refutes, draws.with_features(*parts, **options))
