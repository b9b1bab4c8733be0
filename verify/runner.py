"""Running checks: draw instances, keep the worst, shrink the first failure, decide the verdict."""

import time
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase

from verify.claim import Check, Claim, Instance
from verify.verdict import Gap, Verdict


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a check found: how many instances it saw, the worst gap, and the shrunk counterexample if one failed."""

    n_instances: int
    gap: Gap
    counterexample: Instance | None = None
    counterexample_name: str = ""

    @property
    def ok(self) -> bool:
        """Whether the check held on every instance."""
        return self.gap.ok


@dataclass(frozen=True, eq=False)
class Result:
    """A claim's verdict and the outcomes behind it; `correction` and `steps` as in the claim (None: nothing to run)."""

    claim: Claim
    verdict: Verdict
    printed: Outcome
    correction: Outcome | None
    steps: tuple[Outcome, ...]
    repairs: tuple[Outcome | None, ...]
    ablations: tuple[Outcome | None, ...]
    seconds: float

    @property
    def as_recorded(self) -> bool:
        """The verdict is the one on record and everything offered in place of something false holds."""
        repaired = all(outcome is None or outcome.ok for outcome in (self.correction, *self.repairs))
        return self.verdict == self.claim.expected and repaired


class _CounterexampleFound(Exception):
    def __init__(self, instance: Instance, gap: Gap) -> None:
        super().__init__(f"error {gap.error} above the bound {gap.bound}")
        self.instance = instance
        self.gap = gap


def run_check(check: Check, *, seed: int, perturb: float = 0.0) -> Outcome:
    """Try the check on its named and `n_random` drawn instances; stop at, and shrink, the first failure.

    Args:
        seed: of hypothesis' generator: the same seed draws the same instances.
        perturb: handed to the gap function; 1.0 plants its deliberate error.
    """
    n_seen = 0
    worst = Gap(0.0, float("inf"))

    def look(instance: Instance) -> Gap:
        nonlocal n_seen, worst
        gap = check.gap(**instance, perturb=perturb)
        n_seen += 1
        if gap.ratio > worst.ratio or worst.bound == float("inf"):
            worst = gap
        return gap

    for name, instance in check.named():
        gap = look(instance)
        if not gap.ok:
            return Outcome(n_seen, gap, instance, name)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=check.n_random,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=tuple(HealthCheck),
    )
    @hypothesis.given(check.instances)
    def search(instance: Instance) -> None:
        gap = look(instance)
        if not gap.ok:
            raise _CounterexampleFound(instance, gap)

    try:
        search()
    except _CounterexampleFound as found:
        return Outcome(n_seen, found.gap, found.instance)
    return Outcome(n_seen, worst)


def run_claim(claim: Claim, *, seed: int) -> Result:
    """Run every check of a claim: as printed, proof steps and their repairs, correction, ablations; decide the verdict."""
    start = time.perf_counter()
    printed = run_check(claim.check, seed=seed)
    steps = tuple(run_check(step.check, seed=seed) for step in claim.steps)
    repairs = tuple(None if step.repaired is None else run_check(step.repaired.check, seed=seed) for step in claim.steps)
    correction = None if claim.correction is None else run_check(claim.correction.check, seed=seed)
    ablations = tuple(None if a.without is None else run_check(a.without, seed=seed) for a in claim.assumptions)
    seconds = time.perf_counter() - start
    return Result(claim, decide(printed, steps), printed, correction, steps, repairs, ablations, seconds)


def decide(printed: Outcome, steps: tuple[Outcome, ...]) -> Verdict:
    """REFUTED if the printed statement failed, GAP if only a step of its proof did, else HOLDS."""
    if not printed.ok:
        return Verdict.REFUTED
    return Verdict.HOLDS if all(step.ok for step in steps) else Verdict.GAP


def describe_instance(instance: Instance) -> dict[str, Any]:
    """An instance as JSON: MDPs as dicts of lists, arrays as lists, small fractions as floats."""
    return {name: _describe(value) for name, value in instance.items()}


def _describe(value: Any) -> Any:
    if hasattr(value, "transition"):
        mdp = value.to_dense()
        out = {"transition": mdp.transition.tolist(), "reward": mdp.reward.tolist(), "gamma": mdp.gamma}
        return out if mdp.mask is None else out | {"mask": mdp.mask.tolist()}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, list | tuple):
        return [_describe(item) for item in value]
    return repr(value)
