"""Certify claims: draw instances from the run's seed, prove the claim on each, write certificate files."""

import dataclasses
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from verify.arithmetic.instance import Exact
from verify.checker.limits import Rejected
from verify.checker.proving import instance_digest, recheck
from verify.engine.claim import Claim
from verify.engine.registry import select
from verify.engine.runner import run_check
from verify.engine.verdict import Verdict
from verify.proofs.certificate import Certificate, Undecided, write
from verify.proofs.facts import Open, certify
from verify.proofs.job import Job
from verify.proofs.sampling import draw
from verify.proofs.table import all_jobs
from verify.proofs.triviality import is_trivial
from virel_common.errors import InputError

N_INSTANCES = 200
"""Number of instances that a proof covers, and that are tried for a counterexample."""
MAX_ROUNDS = 8
"""Number of rounds of drawing; each draws about 1.25 times as many instances as seem to be missing."""
LEAST_DRAWN = 10
"""Least number of instances that a round draws; at most it draws five times as many as are wanted in all."""
NO_INSTANCE = "no instance was drawn on which the statement says something"
"""Reason of a proof job that drew trivial instances only."""
STRIDE = 1_000_003
"""Difference of the seeds of two rounds."""


class Outcome(NamedTuple):
    """Certificates of a job, the reason if an instance was not proved, and the number of trivial ones."""

    proofs: list[Certificate]
    reasons: list[str]
    trivial: int


@dataclass(frozen=True)
class Certified:
    """Outcome of certifying a claim, its correction or a step: instances proved, file, reason of failure."""

    claim: str
    """Id of the claim."""
    form: str
    """`printed`, `corrected` or `step-N`."""
    refutes: bool
    """Whether a counterexample was wanted."""
    certified: int
    """Number of distinct instances in the file; 0 if one that was drawn could not be proved."""
    undecided: int
    """Number of instances that could not be proved; the first one ends the proof."""
    reason: str
    """Why an instance could not be proved, or there was none; empty if the job succeeded."""
    file: str
    """Name of the certificate file; empty unless every instance was proved."""
    seconds: float
    """Seconds that drawing and proving took."""
    trivial: int = 0
    """Number of further instances that were proved, on which the statement says nothing."""
    sha256: str = ""
    """Hash in the certificate file, which binds a run's results to it; empty if nothing was proved."""

    @property
    def ok(self) -> bool:
        """Whether every instance tried was certified; for a refutation, whether a counterexample was."""
        return self.certified > 0 and self.undecided == 0


def certify_claim(claim_id: str, *, seed: int, out: Path, n_instances: int = N_INSTANCES) -> list[Certified]:
    """Run every proof job of a claim and write the certificates to `out/CLAIM-FORM.json`."""
    (claim,) = select([claim_id])
    return [_run(job, claim, seed, out, n_instances) for job in all_jobs().get(claim_id, ())]


def _run(job: Job, claim: Claim, seed: int, out: Path, n_instances: int) -> Certified:
    """Run one proof job of a claim and write its certificates, unless an instance was not proved."""
    start = time.perf_counter()
    prove = _refute if job.refutes else _prove
    proofs, reasons, trivial = prove(job, claim, seed, n_instances)
    if not proofs and not reasons:
        reasons = [NO_INSTANCE]
    path = out / f"{claim.id}-{job.form}.json"
    digest = write(path, proofs) if proofs else ""
    if digest and (why := _refused(path)):
        proofs, reasons, digest = [], [why], ""
    return Certified(
        claim.id,
        job.form,
        job.refutes,
        len(proofs),
        len(reasons),
        reasons[0] if reasons else "",
        path.name if proofs else "",
        round(time.perf_counter() - start, 3),
        trivial,
        digest,
    )


def _refused(path: Path) -> str:
    """Why the checker, which proves identities by algebra, does not accept a file, which is then removed."""
    try:
        recheck(path)
    except Rejected as rejected:
        path.unlink()
        return f"`virel recheck` does not accept the file: {rejected.args[0]}"
    return ""


def _prove(job: Job, claim: Claim, seed: int, n_instances: int) -> Outcome:
    """Prove a job's (in)equalities on distinct instances until `n_instances` of them count.

    It ends when `MAX_ROUNDS` rounds of drawing have not found enough, or when one finds nothing new.
    Instances on which the statement says nothing are proved, but not kept. An undecided one ends it at once,
    and then no certificate is kept: a file of proofs is of all instances that were drawn.
    """
    proofs: dict[str, Certificate] = {}
    trivial: set[str] = set()
    rate = 1.0  # share of the instances drawn that count
    for k in range(MAX_ROUNDS):
        known, counted = len(proofs) + len(trivial), len(proofs)
        n_drawn = max(round(1.25 * min((n_instances - counted) / rate, 4 * n_instances)), LEAST_DRAWN)
        for instance in draw(job.instances_of(claim), seed=seed + k * STRIDE, n=n_drawn):
            x, reason = _prepared(job, instance)
            key = "" if x is None else instance_digest(f"{claim.id} {job.form}", x.as_json(*job.parts))
            if key and (key in proofs or key in trivial):
                continue
            found = Undecided(claim.id, job.form, reason) if x is None else _proof(job, claim.id, x)
            if isinstance(found, Undecided):
                return Outcome([], [found.reason], len(trivial))
            if x is not None and is_trivial(job, x, found):
                trivial.add(key)
                continue
            proofs[key] = found
            if len(proofs) == n_instances:
                return Outcome(list(proofs.values()), [], len(trivial))
        if len(proofs) + len(trivial) == known:
            break
        rate = max(len(proofs) - counted, 1) / n_drawn
    return Outcome(list(proofs.values()), [], len(trivial))


def _refute(job: Job, claim: Claim, seed: int, _: int) -> Outcome:
    """Certify one counterexample to a claim; return its certificate, or the reason why there is none.

    The counterexample is the claim's shrunk one or, if that is not rational, another one that is drawn.
    """
    drawn, reason = draw(job.instances_of(claim), seed=seed, n=N_INSTANCES), "no counterexample found"
    if job.instances is None:
        found = run_check(dataclasses.replace(job.check_of(claim), named=tuple), seed=seed).counterexample
        drawn = drawn if found is None else [found, *drawn]
    else:
        drawn = sorted(drawn, key=lambda x: len(json.dumps(x.as_json(*job.parts))))
    for instance in drawn:
        outcome = outcome_of(job, claim.id, instance)
        if isinstance(outcome, Certificate):
            return Outcome([outcome], [], 0)
        reason = outcome.reason
    return Outcome([], [reason], 0)


def outcome_of(job: Job, claim_id: str, instance: Any) -> Certificate | Undecided:
    """Prove every (in)equality of a proof job on one drawn instance; return a certificate, or `Undecided`."""
    x, reason = _prepared(job, instance)
    return Undecided(claim_id, job.form, reason) if x is None else _proof(job, claim_id, x)


def _prepared(job: Job, instance: Any) -> tuple[Exact | None, str]:
    """Exact instance of a drawn one; None and the reason if it is not rational or has roots near a fold."""
    try:
        return job.prepare(instance), ""
    except (InputError, Open) as error:
        return None, str(error)


def _proof(job: Job, claim_id: str, x: Exact) -> Certificate | Undecided:
    return certify(claim_id, job.form, x, parts=job.parts, facts=job.facts)


def certified_verdict(verdict: Verdict, rows: Sequence[Certified]) -> Verdict:
    """Verdict after certifying: CERTIFIED, not HOLDS, if the printed statement is proved on all instances."""
    printed = [row for row in rows if row.form == "printed" and not row.refutes]
    certified = verdict is Verdict.HOLDS and bool(printed) and all(row.ok for row in printed)
    return Verdict.CERTIFIED if certified else verdict
