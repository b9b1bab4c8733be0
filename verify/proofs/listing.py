"""Page docs/certified.md, what is certified: `python -m verify.proofs.listing RESULTS.json` prints it.

Counts of instances come from the rows of a run with `--certify`; all other columns are on record.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from verify.engine.claim import Claim
from verify.engine.registry import all_claims
from verify.engine.results import Row
from verify.engine.statements import Proved, proved_of
from verify.proofs.table import all_jobs

Counts = dict[tuple[str, str], tuple[int, int]]
"""Number of instances that count and number of trivial ones, by claim id and form."""
HEAD = """# What is certified

Written by `python -m verify.proofs.listing out/verify/results.json` from a run of `virel verify --certify`
with seed 0. [certificates.md](certificates.md) says what a certificate is.

The second column is the statement's headline, the third what the machine proves of every instance, or shows
of one counterexample; nothing beyond the third column is proved. Instances are distinct, and the statement
says something on each of them. *Left out* are those on which it does not, though it was proved there too: no
state has a choice, the discount is 0 where it matters, there is one state where states are weighted, both
sides of an identity are 0, or an inequality is an equality throughout, as at Q = Q*.

| claim | headline | what the machine proves | form | instances | left out |
| --- | --- | --- | --- | --- | --- |
"""
ROW = re.compile(
    r"^\| `([\w-]+)` \|.*\| (printed|corrected|step-\d+)(?:, refuted)? \| (\d+)[^|]*\| ?(\d*) ?\|$",
    re.MULTILINE,
)


def page(counts: Mapping[tuple[str, str], tuple[int, int]]) -> str:
    """Markdown page of all certified statements, then of the claims without a proof, by reason."""
    claims = [claim for claim in all_claims().values() if not claim.deep]
    rows = [
        _row(claim, found, counts.get((claim.id, found.form), (0, 0)))
        for claim in claims
        for found in proved_of(claim.id)
    ]
    return HEAD + "\n".join(rows) + "\n\n" + "\n".join(_not_certified(claims)) + "\n"


def counts_of_run(rows: Iterable[Row]) -> Counts:
    """Counts of instances in the rows of a run's `results.json`."""
    return {
        (found["claim"], found["form"]): (found["certified"], found["trivial"])
        for row in rows
        for found in row.get("certificates", ())
    }


def counts_of_page(text: str) -> Counts:
    """Counts of instances in a page that `page` wrote."""
    return {(claim, form): (int(n), int(left or 0)) for claim, form, n, left in ROW.findall(text)}


def _row(claim: Claim, found: Proved, counts: tuple[int, int]) -> str:
    """Row of the table: one form of a claim."""
    headline = found.headline or claim.title
    form = f"{found.form}, refuted" if found.refutes else found.form
    n, left = counts
    instances = f"{n} counterexample | |" if found.refutes else f"{n} | {left} |"
    return f"| `{claim.id}` | {_cell(headline)} | {_cell(found.words)} | {form} | {instances}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _not_certified(claims: Iterable[Claim]) -> list[str]:
    """Claims, and forms of claims, that have no proof, by reason."""
    claims, jobs = list(claims), all_jobs()
    lines = ["Not certified:", ""]
    without = sorted((claim for claim in claims if claim.id not in jobs), key=_reason)
    for reason, group in groupby(without, key=_reason):
        lines.append(f"* {reason}: {', '.join(f'`{claim.id}`' for claim in group)}.")
    partly = [claim for claim in claims if claim.id in jobs and claim.not_certified is not None]
    return lines + [f"* `{claim.id}`, {_form_without_proof(claim)}: {_reason(claim)}." for claim in partly]


def _reason(claim: Claim) -> str:
    return "" if claim.not_certified is None else claim.not_certified.reason


def _form_without_proof(claim: Claim) -> str:
    """Words for the one statement of a claim that has no proof, such as `as printed` or `as corrected`."""
    form = "" if claim.not_certified is None else claim.not_certified.form
    if form.startswith("step-"):
        return f"the printed step `{claim.steps[int(form.removeprefix('step-')) - 1].name}`"
    return f"as {form}"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        sys.exit(f"usage: python -m verify.proofs.listing out/verify/results.json; found {sys.argv[1:]}")
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(page(counts_of_run(document["claims"])), end="")  # noqa: T201
