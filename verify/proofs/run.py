"""Certifying claims: draw instances with the run's seed, certify each, write one file a claim and form."""

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy

from verify.engine.claim import Claim
from verify.engine.registry import select
from verify.engine.runner import run_check
from verify.engine.verdict import Verdict
from verify.proofs.certificate import Certificate, Undecided, write
from verify.proofs.facts import Open, certify
from verify.proofs.job import Job
from verify.proofs.table import CERTIFIERS
from virel_common.errors import InputError

N_INSTANCES = 200
"""Of a proof; and how many are tried for a counterexample."""


@dataclass(frozen=True)
class Certified:
    """What certifying one form of a claim came to: how many distinct instances, the file, and why not.

    If not.
    """

    claim: str
    form: str
    refutes: bool
    certified: int
    undecided: int
    reason: str
    file: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Every instance tried was certified (of a refutation: the counterexample was)."""
        return self.certified > 0 and self.undecided == 0


def certify_claim(claim_id: str, *, seed: int, out: Path, n_instances: int = N_INSTANCES) -> list[Certified]:
    """Run every job of a claim; certificates go to `out/CLAIM-FORM.json`."""
    (claim,) = select([claim_id])
    return [_run(job, claim, seed, out, n_instances) for job in CERTIFIERS.get(claim_id, ())]


def _run(job: Job, claim: Claim, seed: int, out: Path, n_instances: int) -> Certified:
    start = time.perf_counter()
    prove = _refute if job.refutes else _prove
    proofs, reasons = prove(job, claim, seed, n_instances)
    path = out / f"{claim.id}-{job.form}.json"
    if proofs:
        write(path, proofs)
    return Certified(
        claim.id,
        job.form,
        job.refutes,
        len(proofs),
        len(reasons),
        reasons[0] if reasons else "",
        path.name if proofs else "",
        round(time.perf_counter() - start, 3),
    )


def _prove(job: Job, claim: Claim, seed: int, n_instances: int) -> tuple[list[Certificate], list[str]]:
    """Certify until there are `n_instances` different ones, or one is undecided, or no more are found."""
    strategy = job.instances_of(claim)
    for factor in (1.25, 3, 8):
        proofs: dict[str, Certificate] = {}
        for instance in draw(strategy, seed=seed, n=int(factor * n_instances)):
            outcome = outcome_of(job, claim.id, instance)
            if isinstance(outcome, Undecided):
                return list(proofs.values()), [outcome.reason]
            proofs.setdefault(json.dumps(outcome.instance, sort_keys=True), outcome)
            if len(proofs) == n_instances:
                return list(proofs.values()), []
    return list(proofs.values()), []


def _refute(job: Job, claim: Claim, seed: int, _: int) -> tuple[list[Certificate], list[str]]:
    """Certify the claim's shrunk counterexample; if none is rational, the smallest one drawn."""
    drawn, reason = draw(job.instances_of(claim), seed=seed, n=N_INSTANCES), "no counterexample found"
    if job.instances is None:
        found = run_check(dataclasses.replace(job.check_of(claim), named=tuple), seed=seed).counterexample
        drawn = drawn if found is None else [found, *drawn]
    else:
        drawn = sorted(drawn, key=lambda x: len(json.dumps(x.as_json(*job.parts.split()))))
    for instance in drawn:
        outcome = outcome_of(job, claim.id, instance)
        if isinstance(outcome, Certificate):
            return [outcome], []
        reason = outcome.reason
    return [], [reason]


def outcome_of(job: Job, claim_id: str, instance: Any) -> Certificate | Undecided:
    """Certify a drawn instance."""
    try:
        return certify(claim_id, job.form, job.prepare(instance), parts=job.parts, facts=job.facts)
    except (InputError, Open) as error:  # floats that are no rational instance; roots not isolated
        return Undecided(claim_id, job.form, str(error))


def draw(strategy: SearchStrategy[Any], *, seed: int, n: int) -> list[Any]:
    """`n` instances: the same seed draws the same ones."""
    out: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=n,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=tuple(HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(instance: Any) -> None:
        out.append(instance)

    collect()
    return out


def certified_verdict(verdict: Verdict, rows: Sequence[Certified]) -> Verdict:
    """CERTIFIED in place of HOLDS if the printed statement is certified on every instance tried."""
    printed = [row for row in rows if row.form == "printed" and not row.refutes]
    certified = verdict is Verdict.HOLDS and bool(printed) and all(row.ok for row in printed)
    return Verdict.CERTIFIED if certified else verdict


def expected_verdict(claim: Claim) -> Verdict:
    """The verdict on record with `--certify`: CERTIFIED where HOLDS is and a job proves it."""
    proves = any(job.form == "printed" and not job.refutes for job in CERTIFIERS.get(claim.id, ()))
    return Verdict.CERTIFIED if proves and claim.expected is Verdict.HOLDS else claim.expected
