"""Tasks of a worker process: check a claim, draw its figures, or certify it; each returns a result row."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.engine.claim import Claim
from verify.engine.claim_files import claims_of
from verify.engine.describe import as_json
from verify.engine.registry import select
from verify.engine.results import Row, error_row, result_row
from verify.engine.runner import run_claim
from virel_common.files import raise_if_disk


def run_row(claim_id: str, *, seed: int, figures: Path | None, files: Sequence[Path] = ()) -> Row:
    """Check a claim and return its row of `results.json`; draw its figures too if `figures` is a folder.

    An exception is not a verdict: it becomes a row that says ERROR, and the other claims continue.
    A full disk ends the run.
    """
    (claim,) = select([claim_id], files)
    start = time.perf_counter()
    try:
        row = result_row(run_claim(claim, seed=seed))
        if figures is not None:
            row["figures"] = as_json(_draw(claim, seed, figures, _named(claim_id, files), pdf=False))
        return row if _named(claim_id, files) == claim_id else row | {"file": _named(claim_id, files)}
    except (Exception, SystemExit) as error:
        raise_if_disk(error)
        return error_row(claim, error, seconds=time.perf_counter() - start)


def figures_row(claim_id: str, *, seed: int, figures: Path, files: Sequence[Path] = ()) -> Row:
    """Draw a claim's figures without its checks; return a row with their names, or with the exception."""
    (claim,) = select([claim_id], files)
    start = time.perf_counter()
    try:
        drawn = _draw(claim, seed, figures, _named(claim_id, files), pdf=True)
    except (Exception, SystemExit) as error:
        raise_if_disk(error)
        return error_row(claim, error, seconds=time.perf_counter() - start)
    return {"id": claim_id, "verdict": "drawn", "seconds": time.perf_counter() - start, "figures": drawn}


def certify_row(claim_id: str, *, seed: int, figures: Path, files: Sequence[Path] = ()) -> Row:
    """Prove a claim, write certificates to the folder `figures`; return a row with the proofs' outcomes."""
    from verify.proofs.rows import certified_row  # noqa: PLC0415  (python-flint, only if asked for)

    start = time.perf_counter()
    try:
        row = certified_row(claim_id, seed=seed, out=figures)
    except (Exception, SystemExit) as error:
        raise_if_disk(error)
        (claim,) = select([claim_id], files)
        return error_row(claim, error, seconds=time.perf_counter() - start)
    return row | {"seconds": time.perf_counter() - start}


def _draw(claim: Claim, seed: int, folder: Path, name: str, *, pdf: bool) -> list[dict[str, Any]]:
    """Draw a claim's figures into a folder; return names, captions, panel titles and CSV file names."""
    if claim.figures is None:
        return []
    from verify.report.figures import draw  # noqa: PLC0415  (matplotlib is slow to import, and most claims draw nothing)

    command = f"virel figures {name} --seed {seed}"
    drawn = []
    for figure in claim.figures(seed):
        draw(figure, folder, command=command, pdf=pdf)
        drawn.append(
            {
                "name": figure.name,
                "caption": figure.caption,
                "panels": [panel.title for panel in figure.panels],
                "data": f"{figure.name}.{'times.' if figure.timed else ''}csv",
            }
        )
    return drawn


def _named(claim_id: str, files: Sequence[Path]) -> str:
    """Argument by which a command finds a claim: the path of the user's file that defines it, else its id."""
    return next((str(f) for f in files if any(c.id == claim_id for c in claims_of(f))), claim_id)
