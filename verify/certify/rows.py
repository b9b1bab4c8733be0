"""`virel verify --certify`: certify the claims of a run in workers; enter the outcome in its rows."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config

from verify.certify.run import Certified, certified_verdict, certify_claim, expected_verdict
from verify.certify.table import CERTIFIERS
from verify.registry import select
from verify.verdict import Verdict

Row = dict[str, Any]


def certify_rows(rows: Sequence[Row], *, seed: int, out: Path, jobs: int) -> list[Row]:
    """The rows with `certificates`, and CERTIFIED for HOLDS in `verdict` and `expected` where it applies.

    Files go to `out` (one a claim and form). Claims without a certifier, and rows that are no verdict, stay.
    """
    wanted = [row["id"] for row in rows if row["id"] in CERTIFIERS]
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        found = Parallel(batch_size=1)(delayed(certify_claim)(name, seed=seed, out=out) for name in wanted)
    outcomes = dict(zip(wanted, found, strict=True))
    return [entered(row, outcomes[row["id"]]) if row["id"] in outcomes else row for row in rows]


def entered(row: Row, outcomes: Sequence[Certified]) -> Row:
    """One row with the outcome of its certifiers."""
    (claim,) = select([row["id"]])
    known = row["verdict"] in list(Verdict)
    verdict = certified_verdict(Verdict(row["verdict"]), outcomes) if known else row["verdict"]
    certificates = [dataclasses.asdict(outcome) | {"ok": outcome.ok} for outcome in outcomes]
    changed = {
        "verdict": str(verdict),
        "expected": str(expected_verdict(claim)),
        "certificates": certificates,
    }
    return row | changed


def summary(rows: Sequence[Row]) -> str:
    """One line for the terminal."""
    outcomes = [outcome for row in rows for outcome in row.get("certificates", ())]
    proved = sum(outcome["certified"] for outcome in outcomes)
    failed = [f"{o['claim']} ({o['form']}): {o['reason']}" for o in outcomes if not o["ok"]]
    line = f"{proved} certificates in {len(outcomes) - len(failed)} files"
    return line + (f"; undecided: {'; '.join(failed)}" if failed else "; check them with `virel recheck`")
