"""A job: one form of a claim, the parts and facts of its certificates, and where its instances come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from verify.arithmetic.instance import Exact, exactly
from verify.engine.claim import Check, Claim
from verify.proofs import draws
from verify.proofs.facts import Differences, Fact


@dataclass(frozen=True, eq=False)
class Job:
    """`parts` and `facts` are those of `verify/statements.toml`, in its order.

    `form`: `printed`, `corrected` or `step-N`, the N-th step of the claim. `refutes`: one counterexample is
    wanted, not a proof on all instances. `prepare` makes an exact instance of a drawn one, which comes from
    the claim's own check or from `instances`.
    """

    form: str
    parts: str
    facts: Sequence[Fact]
    prepare: Callable[[Any], Exact] = exactly
    refutes: bool = False
    instances: SearchStrategy[Any] | None = None

    def check_of(self, claim: Claim) -> Check:
        """The check whose instances, or counterexample, the job takes."""
        if self.form.startswith("step"):
            return claim.steps[int(self.form.removeprefix("step-")) - 1].check
        if self.form == "corrected" and claim.correction is not None:
            return claim.correction.check
        return claim.check

    def instances_of(self, claim: Claim) -> SearchStrategy[Any]:
        """What to draw from."""
        return self.check_of(claim).instances if self.instances is None else self.instances


Jobs = dict[str, Sequence[Job]]


def proved(form: str, parts: str, *facts: Fact, **options: Any) -> Job:
    """A proof on every instance."""
    return Job(form, parts, facts, **options)


def refuted(form: str, parts: str, *facts: Fact, **options: Any) -> Job:
    """A counterexample."""
    return Job(form, parts, facts, refutes=True, **options)


def as_drawn(x: Exact) -> Exact:
    """For instances that are exact already."""
    return x


def featured(form: str, parts: str, *facts: Fact, refutes: bool = False, **options: Any) -> Job:
    """On instances with features that have the parts named."""
    instances = draws.with_features(*parts.split(), **options)
    return Job(form, parts, facts, as_drawn, refutes, instances)


def equal(sides: Differences) -> Fact:
    """An identity."""
    return "==", sides


def differs(sides: Differences) -> Fact:
    """A refuted identity."""
    return "!=", sides


def at_least(sides: Differences) -> Fact:
    """An inequality."""
    return ">=", sides


def above(sides: Differences) -> Fact:
    """A strict inequality."""
    return ">", sides
