"""A run's `results.json` held against the certificates beside it: its rows are what is there, no more.

A row of a claim lists its certificate files: name, hash, form, whether it refutes, and how many instances it
proves. Names only say where to look; what a file proves is in the file. A verdict is held against these
proofs and against the steps that the row itself says fail; without either, nothing can be said of it.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain, groupby
from typing import Any

from .formulas import TABLE
from .limits import MAX_ITEMS, need
from .proving import CLAIMS
from .reading import reject_number

Row = dict[str, Any]
"""A claim's id, verdict, certificates and steps in `results.json`."""
VERDICTS = ("CERTIFIED", "HOLDS", "REFUTED", "GAP", "ERROR")
FIELDS = {"claim": str, "form": str, "file": str, "sha256": str, "refutes": bool, "ok": bool}
COUNTS = ("certified", "undecided")
REFUTATIONS = {f"{x} {key.split()[-1]}" for key in TABLE["refutations"] for x in key.split()[:-1]}
"""The claims and forms whose certificates refute."""
FORMS = {
    claim: {key.split()[1] for key in keys} for claim, keys in groupby(sorted(CLAIMS), lambda x: x.split()[0])
}
"""The forms of each claim that has formulas."""


def read_rows(raw: bytes) -> list[Row] | None:
    """Rows of the bytes of a `results.json`, whatever its name; None if they are something else.

    Raises:
        Rejected: if the rows are not those of a run of this version.
    """
    if b'"claims"' not in raw:
        return None
    try:
        data = json.loads(raw.decode(), object_pairs_hook=_object, parse_constant=reject_number)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or "claims" not in data or "certificates" in data:
        return None
    need(isinstance(data["claims"], list), "`claims` is not a list of rows", 2)
    need(len(data["claims"]) <= MAX_ITEMS, f"more than {MAX_ITEMS} rows", 2)
    return list(map(_row, data["claims"]))


def _object(pairs: list[tuple[str, Any]]) -> Row:
    """JSON object without a key that is there twice."""
    need(len(dict(pairs)) == len(pairs), "a JSON object has the same key twice", 2)
    return dict(pairs)


def _row(row: Any) -> Row:
    """What is needed of one row, of the right types."""
    ok = isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("verdict"), str)
    need(ok, "a row has no `id` or no `verdict`", 2)
    need(row["verdict"] in VERDICTS, f"{row['id']}: the verdict {row['verdict'][:40]!r} is not one", 2)
    for key in ("certificates", "steps"):
        items = row.get(key, [])
        ok = isinstance(items, list) and all(isinstance(x, dict) for x in items)
        need(ok, f"{row['id']}: `{key}` is not a list of objects", 2)
        need(len(items) <= MAX_ITEMS, f"{row['id']}: `{key}` has more than {MAX_ITEMS} entries", 2)
    for x in row.get("certificates", []):
        need("sha256" in x, f"{row['id']}: no `sha256` of its files: certify again with this version", 2)
        ok = all(type(x.get(key)) is kind for key, kind in FIELDS.items())
        ok = ok and all(type(x.get(key)) is int for key in COUNTS)
        need(ok, f"{row['id']}: an entry of a certificate lacks a field, or has one of another type", 2)
    return {key: row.get(key, []) for key in ("id", "verdict", "certificates", "steps")}


def failures(rows: list[Row]) -> list[str]:
    """What the rows themselves say has failed, in words: proofs that were not found, checks with errors."""
    unproved = [f"{row['id']} {x['form']}" for row in rows for x in row["certificates"] if not x["ok"]]
    return [*unproved, *(f"the checks of {row['id']}" for row in rows if row["verdict"] == "ERROR")]


def mismatches(rows: list[Row], found: dict[str, Any]) -> list[str]:
    """What the rows say and the folder does not hold, or the other way round, one line each.

    Args:
        rows: as `read_rows` returns them.
        found: what was proved of each file in the folder of certificates, by its name.
    """
    entries = [x for row in rows for x in row["certificates"]]
    names = [x["file"] for x in entries if x["file"]]
    ids = [row["id"] for row in rows]
    twice = [f"{x}: two rows" for x, n in sorted(Counter(ids).items()) if n > 1]
    shared = [f"{x}: a file of two rows" for x, n in sorted(Counter(names).items()) if n > 1]
    extra = [f"{name}: a file of no row" for name in sorted(set(found) - set(names))]
    return [*twice, *shared, *extra, *chain.from_iterable(_of_row(row, found) for row in rows)]


def _of_row(row: Row, found: dict[str, Any]) -> Iterator[str]:
    """Mismatches of one row: its forms, its verdict, and each of its certificates."""
    forms = [x["form"] for x in row["certificates"]]
    if len(set(forms)) < len(forms):
        yield f"{row['id']}: two certificates of one form"
    if missing := sorted(FORMS.get(row["id"], set()) - set(forms)):
        yield f"{row['id']}: no entry for {', '.join(missing)}"
    for why in _of_verdict(row):
        yield f"{row['id']}: {row['verdict']}, {why}"
    for x in row["certificates"]:
        for why in _of_entry(row["id"], x, found):
            yield f"{row['id']} {x['form']}: {why}"


def _of_verdict(row: Row) -> Iterator[str]:
    """How a row's verdict contradicts its proofs and its steps."""
    verdict, kinds = row["verdict"], {(x["form"], x["refutes"]) for x in row["certificates"] if x["ok"]}
    proof, refutation = (("printed", refutes) in kinds for refutes in (False, True))
    if (verdict == "CERTIFIED") != proof and verdict not in ("GAP", "ERROR"):
        yield f"with{'' if proof else 'out'} a proof of the printed form"
    if refutation and verdict not in ("REFUTED", "ERROR"):
        yield "with a refutation of the printed form"
    fails = any(refutes and form != "printed" for form, refutes in kinds)
    fails = fails or any(step.get("ok") is False for step in row["steps"])
    if fails != (verdict == "GAP") and verdict not in ("REFUTED", "ERROR"):
        yield f"with{'' if fails else 'out'} a step that fails"


def _of_entry(claim: str, x: Row, found: dict[str, Any]) -> Iterator[str]:
    """Mismatches of one certificate file's entry in a row."""
    if x["claim"] != claim:
        yield f"its entry is of the claim {x['claim']}"
    if x["refutes"] != (f"{claim} {x['form']}" in REFUTATIONS):
        yield "a refutation is not a proof, nor the other way round"
    if x["ok"] != (x["certified"] > 0 and x["undecided"] == 0) or (x["certified"] > 0) != bool(x["file"]):
        yield "its counts contradict each other"
    if not x["file"]:
        return
    if (file := found.get(x["file"])) is None:
        yield f"the file {x['file']} is missing"
    elif file["status"]:
        yield f"the file {x['file']} is not accepted"
    else:
        yield from _of_file(f"{claim} {x['form']}", x, file)


def _of_file(key: str, x: Row, file: Any) -> Iterator[str]:
    """Mismatches of an entry with its file."""
    if file["sha256"] != x["sha256"]:
        yield f"the file {x['file']} is not the one that the run wrote"
    there = [f"{y['claim']} {y['form']}" for y in file["statements"]]
    if there != [key]:
        yield f"the file {x['file']} is of {', '.join(there)}"
    elif (n := file["statements"][0]["instances"]) != x["certified"]:
        yield f"{x['certified']} instances, but the file has {n} distinct ones"
