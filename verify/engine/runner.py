"""Run the checks of a claim on drawn instances, shrink the first failure, decide the verdict."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.errors import HypothesisException
from hypothesis.internal.conjecture import providers
from hypothesis.internal.conjecture.engine import ConjectureRunner

from verify.engine.claim import Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict


@dataclass(frozen=True, eq=False)
class Outcome:
    """Outcome of a check: number of instances, worst gap (error and bound), the counterexample if any."""

    n_instances: int
    """Number of instances up to the first failure, that one included; shrinking is not counted."""
    gap: Gap
    """Gap of the counterexample or, if no instance failed, the gap that used most of its bound."""
    counterexample: Instance | None = None
    """Shrunk instance that failed; None if no instance failed."""
    counterexample_name: str = ""
    """Name of the counterexample, if it is a named instance."""

    @property
    def ok(self) -> bool:
        """Whether the error was within its bound on every instance that the check tried."""
        return self.gap.ok


@dataclass(frozen=True, eq=False)
class Result:
    """Verdict on a claim with the outcomes of all its checks; None where the claim has no such check."""

    claim: Claim
    """Claim whose checks ran."""
    verdict: Verdict
    """Verdict that follows from the outcomes."""
    printed: Outcome
    """Outcome of the printed statement."""
    correction: Outcome | None
    """Outcome of the corrected statement."""
    steps: tuple[Outcome, ...]
    """Outcome of each step of the printed proof."""
    repairs: tuple[Outcome | None, ...]
    """Outcome of the repair of each step."""
    ablations: tuple[Outcome | None, ...]
    """Outcome of the search for a counterexample without each assumption."""
    seconds: float
    """Seconds that all checks took."""


class CheckError(Exception):
    """A check's gap function raised an exception on an instance: a bug in the check, not a verdict."""

    def __init__(self, instance: Instance, name: str, cause: BaseException) -> None:
        """Store the instance on which the gap function raised, its name if it has one, and the exception."""
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.instance = instance
        self.name = name


class _CounterexampleFound(Exception):
    """A check found a counterexample; raised so that the package hypothesis shrinks the counterexample."""

    def __init__(self, instance: Instance, gap: Gap) -> None:
        super().__init__(f"error {gap.error} above the bound {gap.bound}")
        self.instance = instance
        self.gap = gap


class _Watcher:
    """Evaluates a check on one instance after another; keeps their number and worst gap (error, bound).

    Instances after the first failure are not counted: hypothesis shrinks with them.
    """

    def __init__(self, check: Check, perturb: float) -> None:
        self.check, self.perturb = check, perturb
        self.n_seen = 0
        self.worst: Gap | None = None

    def look(self, instance: Instance, *, name: str = "") -> Gap:
        try:
            gap = self.check.gap(**instance, perturb=self.perturb)
            if not isinstance(gap, Gap):
                raise TypeError(f"the gap function of a check must return a verify.Gap; found {gap!r:.80}")
        except HypothesisException:
            raise  # `assume` inside a gap function: not an error
        except (Exception, SystemExit) as err:
            raise CheckError(instance, name, err) from err
        if self.worst is None or self.worst.ok:
            self.n_seen += 1
            if self.worst is None or not gap.ok or gap.ratio > self.worst.ratio:
                self.worst = gap
        return gap

    def held(self) -> Outcome:
        if self.worst is None:
            raise ValueError(
                "the check has no instance: `n_random` is 0 and `named` yields nothing, or every drawn"
                " instance was rejected; give it at least one"
            )
        return Outcome(self.n_seen, self.worst)


def run_check(check: Check, *, seed: int, perturb: float = 0.0, shrink: bool = True) -> Outcome:
    """Run a check on its counterexample on record, drawn instances, named ones; stop at the first failure.

    A drawn failure is shrunk. Drawn instances come before named ones, of hundreds of states, because they
    shrink; the counterexample on record comes first because it was chosen to be checked by hand.

    Args:
        check: the check to run.
        seed: seed of hypothesis' generator: the same seed draws the same instances.
        perturb: passed to the gap function; 1.0 plants its deliberate error.
        shrink: False shows the first failure as it was drawn, for tests that only ask whether there is one.

    Raises:
        CheckError: if the gap function raises an exception; it holds the shrunk instance.
        ValueError: if the check has no instance at all.
    """
    watcher = _Watcher(check, perturb)
    if check.recorded is not None and not (gap := watcher.look(check.recorded)).ok:
        return Outcome(1, gap, check.recorded)
    if check.n_random > 0:
        try:
            _search(watcher, seed=seed, shrink=shrink)
        except _CounterexampleFound as found:
            return Outcome(watcher.n_seen, found.gap, found.instance)
    for name, instance in check.named():
        gap = watcher.look(instance, name=name)
        if not gap.ok:
            return Outcome(watcher.n_seen, gap, instance, name)
    return watcher.held()


def _search(watcher: _Watcher, *, seed: int, shrink: bool) -> None:
    """Run a check on instances drawn by the package hypothesis, whatever hypothesis profile is active."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=watcher.check.n_random,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=tuple(HealthCheck),
        verbosity=Verbosity.quiet,
        backend="hypothesis",
    )
    @hypothesis.given(watcher.check.instances)
    def search(instance: Instance) -> None:
        gap = watcher.look(instance)
        if not gap.ok:
            raise _CounterexampleFound(instance, gap)

    with draws_depend_on_the_seed_alone():
        search()


@contextmanager
def draws_depend_on_the_seed_alone() -> Iterator[None]:
    """Keep the package hypothesis from drawing constants that it finds in imported modules as values.

    Otherwise the instances of a claim would depend on what ran before it in the same process, and a folder
    `.hypothesis` would appear in the current folder. Nor does it follow up a draw with variants that repeat
    parts of it: that took half of all time, for instances less different than fresh ones. There is no setting
    for either (hypothesis 6.170).
    """
    none, empty = type(providers._local_constants)(), type(providers.CONSTANTS_CACHE)(1024)
    with (
        mock.patch.object(providers, "_get_local_constants", return_value=none),
        mock.patch.object(providers, "CONSTANTS_CACHE", empty),
        mock.patch.object(ConjectureRunner, "generate_mutations_from"),
    ):
        yield


def run_claim(claim: Claim, *, seed: int) -> Result:
    """Run all checks of a claim (statement, proof steps, corrections, assumptions) and decide the verdict."""
    start = time.perf_counter()

    def run(check: Check | None) -> Outcome | None:
        return None if check is None else run_check(check, seed=seed)

    printed = run_check(claim.check, seed=seed)
    steps = tuple(run_check(step.check, seed=seed) for step in claim.steps)
    repairs = tuple(run(None if step.repaired is None else step.repaired.check) for step in claim.steps)
    correction = run(None if claim.correction is None else claim.correction.check)
    ablations = tuple(run(assumption.without) for assumption in claim.assumptions)
    seconds = time.perf_counter() - start
    return Result(claim, decide(printed, steps), printed, correction, steps, repairs, ablations, seconds)


def decide(printed: Outcome, steps: tuple[Outcome, ...]) -> Verdict:
    """Verdict on a claim: REFUTED if the printed statement failed, GAP if only a step did, else HOLDS."""
    if not printed.ok:
        return Verdict.REFUTED
    return Verdict.HOLDS if all(step.ok for step in steps) else Verdict.GAP
