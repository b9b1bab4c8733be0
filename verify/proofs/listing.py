"""The list of certified statements in docs/certificates.md: `python -m verify.proofs.listing`."""

from collections.abc import Iterable
from itertools import groupby

from verify.engine.registry import all_claims
from verify.proofs.job import Job
from verify.proofs.reasons import PARTS, REASONS
from verify.proofs.table import CERTIFIERS


def listing() -> str:
    """Each claim with the forms that are proved or refuted, then the claims that are not, by reason."""
    order = [claim_id for claim_id, claim in all_claims().items() if not claim.deep]
    lines = ["| claim | proved | refuted |", "| --- | --- | --- |"]
    for claim_id in (claim_id for claim_id in order if claim_id in CERTIFIERS):
        jobs = CERTIFIERS[claim_id]
        proved, refuted = (_forms(job for job in jobs if job.refutes is refutes) for refutes in (False, True))
        lines.append(f"| `{claim_id}` | {proved} | {refuted} |")
    without = sorted((claim_id for claim_id in order if claim_id in REASONS), key=REASONS.__getitem__)
    lines += ["", "Not certified:", ""]
    for reason, ids in groupby(without, key=REASONS.__getitem__):
        lines.append(f"* {reason}: {', '.join(f'`{claim_id}`' for claim_id in ids)}.")
    lines += [f"* `{claim_id}`, {reason}." for claim_id, reason in PARTS.items()]
    return "\n".join(lines) + "\n"


def _forms(jobs: Iterable[Job]) -> str:
    return ", ".join(job.form for job in jobs) or "-"


if __name__ == "__main__":
    print(listing(), end="")  # noqa: T201
