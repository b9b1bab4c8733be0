"""`virel verify --certify`: what a worker does, and how its outcome enters the rows of a run."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.engine.registry import select
from verify.engine.verdict import Verdict
from verify.proofs.run import Certified, certified_verdict, certify_claim, expected_verdict
from verify.proofs.table import CERTIFIERS

Row = dict[str, Any]


def certifiable(rows: Sequence[Row]) -> list[str]:
    """Ids of the claims on record that have a certifier."""
    return [row["id"] for row in rows if row["id"] in CERTIFIERS]


def certified_row(claim_id: str, *, seed: int, out: Path) -> Row:
    """Certify one claim into the folder `out`; plain data, for a worker to hand back."""
    outcomes = certify_claim(claim_id, seed=seed, out=out)
    verdict = "certified" if all(outcome.ok for outcome in outcomes) else "undecided"
    return {"id": claim_id, "verdict": verdict, "certificates": list(map(dataclasses.asdict, outcomes))}


def entered(rows: Sequence[Row], certified: Sequence[Row]) -> list[Row]:
    """The rows with `certificates`, and CERTIFIED for HOLDS in `verdict` and `expected` where it applies.

    Claims without a certifier stay as they are; where a certifier raised, its exception becomes the reason.
    """
    found = {row["id"]: row for row in certified}
    return [_entered(row, found[row["id"]]) if row["id"] in found else row for row in rows]


def _entered(row: Row, certified: Row) -> Row:
    (claim,) = select([row["id"]])
    raised = Certified(row["id"], "printed", False, 0, 1, certified.get("exception", ""), "", 0.0)
    stored = certified.get("certificates")
    outcomes = [raised] if stored is None else [Certified(**outcome) for outcome in stored]
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
