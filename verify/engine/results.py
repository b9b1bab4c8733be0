"""Verdicts on claims as JSON: make the rows of `results.json`, check its structure, write the file."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify.engine.claim import Claim, Correction, Kind, kind_of
from verify.engine.describe import as_json, describe_instance
from verify.engine.runner import CheckError, Outcome, Result
from verify.engine.verdict import Verdict, Weight
from virel_common.errors import InputError
from virel_common.files import atomic_file
from virel_common.versions import versions

Row = dict[str, Any]
"""Verdict, errors and counterexamples of one claim, as `results.json` holds them."""

SCHEMA = 2
PACKAGES = ("virel", "numpy", "numba", "scipy", "hypothesis", "gymnasium", "python-flint", "torch")
ERROR = "ERROR"
"""Word in place of a verdict where a check raised an exception; it is never on record."""

_INSTANCE = (None, dict)
_GAP = {key: (None, int, float, {"nan", "inf", "-inf"}) for key in ("error", "bound")}
_CHECKED = (None, {"verdict": {"HOLDS", "REFUTED"}, "statement": str, "derivation": str} | _GAP)
_ABLATION = {"name": str, "text": str, "ablation": str, "instances": int, "counterexample": _INSTANCE}
_STEP = {"name": str, "statement": str, "ok": bool, "counterexample": _INSTANCE, "repaired": _CHECKED} | _GAP
_ROW: dict[str, Any] = dict.fromkeys(("id", "title", "source", "statement"), str) | _GAP
_ROW |= {"verdict": {*Verdict, ERROR}, "expected": {*Verdict}, "instances": int}
_ROW |= {"kind": {*Kind}, "reading": str, "weight": (None, {*Weight})}
_ROW |= {"corrected": _CHECKED, "counterexample": _INSTANCE, "assumptions": [_ABLATION], "steps": [_STEP]}
_CERTIFIED = {"file": str, "certified": int, "form": str, "ok": bool, "sha256?": str}
_ROW |= {"figures": [{"name": str, "caption": str, "panels": [str], "data": str}]}
_ROW |= {
    "certificates?": [_CERTIFIED],
    "exception?": str,
    "file?": str,
}
DOCUMENT = {"schema": {SCHEMA}, "seed": int, "versions": dict, "claims": [_ROW]}
"""Shape of `results.json`: types, {one of these values}, (any of these shapes), [shape of every item]."""


def misfit(value: Any, shape: Any, where: str = "") -> str:
    """Path, such as `.claims[1].id`, of the first part of a JSON value that breaks `shape`; empty if none.

    Shapes are written as in `DOCUMENT`.
    """
    inner: list[tuple[Any, Any, str]] = []
    match shape:
        case dict():
            ok = isinstance(value, dict)
            keys = [key for key in shape if ok and (key.rstrip("?") in value or not key.endswith("?"))]
            inner = [
                (value.get(key.rstrip("?"), ...), shape[key], f"{where}.{key.rstrip('?')}") for key in keys
            ]
        case list():
            ok = isinstance(value, list)
            inner = [(x, shape[0], f"{where}[{i}]") for i, x in enumerate(value)] if ok else []
        case tuple():
            ok = any(not misfit(value, each) for each in shape)
        case set():
            ok = isinstance(value, str | int) and value in shape
        case _:
            ok = value is None if shape is None else isinstance(value, shape)
            ok = ok and (shape is bool or not isinstance(value, bool)) and as_json(value) == value
    return next(filter(None, (misfit(*each) for each in inner)), "") if ok else where or "."


def result_row(result: Result) -> Row:
    """Row of `results.json` of a checked claim: verdict, errors, counterexamples, steps, corrections.

    A refuted claim has the `error` and `bound` of its counterexample.
    """
    claim, printed = result.claim, result.printed
    row = {
        **_heading(claim),
        "verdict": str(result.verdict),
        "instances": printed.n_instances,
        **_gap(printed),
        "seconds": round(result.seconds, 3),
        "corrected": _checked(result.correction, claim.correction),
        "counterexample": counterexample(printed),
        "assumptions": [
            {"name": a.name, "text": a.text, **_ablation(outcome)}
            for a, outcome in zip(claim.assumptions, result.ablations, strict=True)
        ],
        "steps": [
            {"name": s.name, "statement": s.statement, "ok": outcome.ok, **_gap(outcome)}
            | {"counterexample": counterexample(outcome), "repaired": _checked(repair, s.repaired)}
            for s, outcome, repair in zip(claim.steps, result.steps, result.repairs, strict=True)
        ],
        "figures": [],
    }
    return _plain(row)


def error_row(claim: Claim, error: BaseException, *, seconds: float) -> Row:
    """Row of `results.json` of a claim whose check or figure raised an exception: ERROR, no verdict.

    It has the exception and, if that is known, the instance on which it was raised.
    """
    known = isinstance(error, CheckError)
    instance = _named(error.instance, error.name) if isinstance(error, CheckError) else None
    row = {
        **_heading(claim),
        "verdict": ERROR,
        "instances": 0,
        "error": None,
        "bound": None,
        "seconds": round(seconds, 3),
        "corrected": None,
        "counterexample": instance,
        "assumptions": [],
        "steps": [],
        "figures": [],
        "exception": str(error) if known else f"{type(error).__name__}: {error}",
    }
    return _plain(row)


def counterexample(outcome: Outcome) -> dict[str, Any] | None:
    """Counterexample that a check found, as JSON, its name first if it has one; None if none was found."""
    if outcome.counterexample is None:
        return None
    return _named(outcome.counterexample, outcome.counterexample_name)


def as_recorded(row: Row) -> bool:
    """Whether a claim's row of `results.json` has the verdict, corrections and failing steps on record.

    The verdict must be the one on record, corrections and repairs must hold, and exactly the steps with a
    repair must fail. Every proof that was asked for must be there.
    """
    offered = [row["corrected"], *(step["repaired"] for step in row["steps"])]
    held = all(checked is None or checked["verdict"] != "REFUTED" for checked in offered)
    steps = all(step["ok"] == (step["repaired"] is None) for step in row["steps"])
    proved = all(found["ok"] for found in row.get("certificates", ()))
    return bool(row["verdict"] == row["expected"]) and held and steps and proved


def require_figure_names_differ(rows: Sequence[Row]) -> None:
    """Raise `InputError` if two figures of the claims in `rows` have one name: their files would collide."""
    names = Counter(figure["name"] for row in rows for figure in row["figures"])
    if repeated := sorted(name for name, count in names.items() if count > 1):
        raise InputError(f"the claims' figure names must differ; found twice: {', '.join(repeated)}")


def results_document(rows: Sequence[Row], *, seed: int) -> dict[str, Any]:
    """Content of `results.json`: number of the file format, seed, package versions, one row per claim."""
    return {"schema": SCHEMA, "seed": seed, "versions": versions(PACKAGES), "claims": list(rows)}


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write `results.json` to `path` in standard JSON (no NaN, no Infinity), whole or not at all."""
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    with atomic_file(path) as file:
        file.write(text.encode() + b"\n")


def _plain(row: Row) -> Row:
    """The same row, with texts that can be written: a title or an exception may hold half a character."""
    return {key: as_json(value) for key, value in row.items()}


def _heading(claim: Claim) -> Row:
    return {
        "id": claim.id,
        "title": claim.title,
        "source": claim.source,
        "statement": claim.statement,
        "expected": str(claim.expected),
        "kind": str(kind_of(claim)),
        "reading": claim.reading,
        "weight": None if claim.weight is None else str(claim.weight),
    }


def _gap(outcome: Outcome) -> Row:
    return {"error": as_json(outcome.gap.error), "bound": as_json(outcome.gap.bound)}


def _checked(outcome: Outcome | None, offered: Correction | None) -> Row | None:
    if outcome is None or offered is None:
        return None
    found = {} if outcome.ok else {"counterexample": counterexample(outcome)}
    texts = {"statement": offered.statement, "derivation": offered.derivation}
    return {"verdict": "HOLDS" if outcome.ok else "REFUTED", **_gap(outcome), **found, **texts}


def _ablation(outcome: Outcome | None) -> Row:
    if outcome is None:
        return {"ablation": "not searched", "instances": 0, "counterexample": None}
    ablation = "not needed here" if outcome.ok else "necessary"
    return {"ablation": ablation, "instances": outcome.n_instances, "counterexample": counterexample(outcome)}


def _named(instance: dict[str, Any], name: str) -> dict[str, Any]:
    return ({"instance": name} if name else {}) | describe_instance(instance)
