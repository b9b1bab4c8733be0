"""What one worker does for one claim: run it, draw its figures, hand back plain data."""

import time
from pathlib import Path

from verify.claim import Claim
from verify.registry import select
from verify.results import Row, error_row, result_row
from verify.runner import run_claim


def run_row(claim_id: str, *, seed: int, figures: Path | None) -> Row:
    """Row of `results.json` for the claim with this id; its figures go to the folder `figures`, if given.

    An exception is no verdict: it becomes a row that says ERROR, and the other claims go on.
    """
    (claim,) = select([claim_id])
    start = time.perf_counter()
    try:
        result = run_claim(claim, seed=seed)
        if figures is not None:
            _draw(claim, seed, figures)
        return result_row(result)
    except Exception as error:
        return error_row(claim, error, seconds=time.perf_counter() - start)


def _draw(claim: Claim, seed: int, folder: Path) -> None:
    if claim.figures is None:
        return
    from verify.figures import draw  # noqa: PLC0415  (matplotlib is slow to import, and most claims draw nothing)

    for figure in claim.figures(seed):
        draw(figure, folder, command=f"virel verify {claim.id} --seed {seed}")
