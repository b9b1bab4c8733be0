"""List of certified statements for docs/certificates.md; `python -m verify.proofs.listing` prints it."""

from collections.abc import Iterable
from itertools import groupby

from verify.engine.claim import Claim
from verify.engine.registry import all_claims
from verify.proofs.job import Job
from verify.proofs.table import all_jobs


def listing() -> str:
    """Markdown table of what is proved and refuted of each claim, then claims without proof, by reason."""
    claims = [claim for claim in all_claims().values() if not claim.deep]
    jobs = all_jobs()
    lines = ["| claim | proved | refuted |", "| --- | --- | --- |"]
    for claim in (claim for claim in claims if claim.id in jobs):
        proved, refuted = (
            _forms(job for job in jobs[claim.id] if job.refutes is refutes) for refutes in (False, True)
        )
        lines.append(f"| `{claim.id}` | {proved} | {refuted} |")
    lines += ["", "Not certified:", ""]
    without = sorted((claim for claim in claims if claim.id not in jobs), key=_reason)
    for reason, group in groupby(without, key=_reason):
        lines.append(f"* {reason}: {', '.join(f'`{claim.id}`' for claim in group)}.")
    partly = [claim for claim in claims if claim.id in jobs and claim.not_certified is not None]
    lines += [f"* `{claim.id}`, {_form_without_proof(claim)}: {_reason(claim)}." for claim in partly]
    return "\n".join(lines) + "\n"


def _reason(claim: Claim) -> str:
    return "" if claim.not_certified is None else claim.not_certified.reason


def _form_without_proof(claim: Claim) -> str:
    """Words for the one statement of a claim that has no proof, such as `as printed` or `as corrected`."""
    form = "" if claim.not_certified is None else claim.not_certified.form
    if form.startswith("step-"):
        return f"the printed step `{claim.steps[int(form.removeprefix('step-')) - 1].name}`"
    return f"as {form}"


def _forms(jobs: Iterable[Job]) -> str:
    return ", ".join(job.form for job in jobs) or "-"


if __name__ == "__main__":
    print(listing(), end="")  # noqa: T201
