"""Result rows of `virel verify --certify`: those that workers return, and their merge into the run's rows."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from verify.engine.claim import expected_verdict
from verify.engine.registry import select
from verify.engine.results import Row
from verify.engine.verdict import Verdict
from verify.proofs.job import Job
from verify.proofs.run import Certified, certified_verdict, certify_claim
from verify.proofs.table import all_jobs


def certifiable(rows: Sequence[Row]) -> list[str]:
    """Ids of those claims in a run's result rows that have a proof job."""
    return [row["id"] for row in rows if row["id"] in all_jobs()]


def certified_row(claim_id: str, *, seed: int, out: Path) -> Row:
    """Certify one claim: write its certificates into the folder `out`; return the outcomes as plain data."""
    outcomes = certify_claim(claim_id, seed=seed, out=out)
    verdict = "certified" if all(outcome.ok for outcome in outcomes) else "undecided"
    return {"id": claim_id, "verdict": verdict, "certificates": list(map(dataclasses.asdict, outcomes))}


def entered(rows: Sequence[Row], certified: Sequence[Row]) -> list[Row]:
    """Merge the outcomes of certifying into a run's result rows: `certificates`, `verdict` and `expected`.

    HOLDS becomes CERTIFIED in the last two where it applies. Rows of claims without a proof job stay as they
    are; every other row gets an entry for each of its jobs. Where a proof raised an exception, that becomes
    the reason.
    """
    found = {row["id"]: row for row in certified}
    return [_entered(row, found.get(row["id"], {})) if row["id"] in all_jobs() else row for row in rows]


def _entered(row: Row, certified: Row) -> Row:
    """Merge the outcomes of certifying one claim into its result row."""
    (claim,) = select([row["id"]])
    stored = {outcome["form"]: Certified(**outcome) for outcome in certified.get("certificates", ())}
    reason = certified.get("exception", "the certifier returned no outcome")
    outcomes = [stored.get(job.form) or _missing(claim.id, job, reason) for job in all_jobs()[claim.id]]
    known = row["verdict"] in list(Verdict)
    verdict = certified_verdict(Verdict(row["verdict"]), outcomes) if known else row["verdict"]
    certificates = [dataclasses.asdict(outcome) | {"ok": outcome.ok} for outcome in outcomes]
    changed = {
        "verdict": str(verdict),
        "expected": str(expected_verdict(claim)),
        "certificates": certificates,
    }
    return row | changed


def _missing(claim_id: str, job: Job, reason: str) -> Certified:
    """Outcome of a proof job that ended without one."""
    return Certified(claim_id, job.form, job.refutes, 0, 1, reason, "", 0.0)


def summary(rows: Sequence[Row]) -> str:
    """Terminal line on a run's proofs: number of certificates, and undecided statements with reasons."""
    outcomes = [outcome for row in rows for outcome in row.get("certificates", ())]
    if not outcomes:
        guide = "docs/guide/add_a_claim.md"
        return f"no certificates: none of these claims has a proof ({guide} says how to write one)"
    proved = sum(outcome["certified"] for outcome in outcomes)
    failed = [f"{o['claim']} ({o['form']}): {o['reason']}" for o in outcomes if not o["ok"]]
    trivial = sum(outcome["trivial"] for outcome in outcomes)
    n_files = sum(bool(outcome["file"]) for outcome in outcomes)
    line = f"{proved} certificates in {n_files} files; {trivial} trivial instances left out"
    return line + (f"; undecided: {'; '.join(failed)}" if failed else "; check them with `virel recheck`")
