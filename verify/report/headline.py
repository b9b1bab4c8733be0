"""Counts of claims by whose statement they check and by weight: the headline of runs, report and table."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from verify.engine.claim import Kind
from verify.engine.results import ERROR
from verify.engine.sources import on_record
from verify.engine.verdict import Weight

FALSE = ("REFUTED", "GAP")
"""Verdicts of claims that have a weight."""
_PLURAL = {Weight.CORRECTION: "corrections", Weight.COMPLETION: "completions"}
_PLURAL |= {Weight.MISPRINT: "misprints", Weight.REMARK: "remarks"}


def counted(n: int, noun: str) -> str:
    """Number with a noun in the singular or plural, such as "1 instance" or "2 instances"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def title(rows: Sequence[dict[str, Any]]) -> str:
    """Title of a table or page on checked claims: those on record are the papers'.

    Example:
        >>> title([{"id": "my-claim"}]), title([{"id": "my-claim"}, {"id": "theorem-3"}])
        ('Claims, checked', 'VIREL, checked as printed')
    """
    return "VIREL, checked as printed" if any(on_record(row["id"]) for row in rows) else "Claims, checked"


def weights(rows: Sequence[dict[str, Any]]) -> dict[Weight, int]:
    """Number of claims of each weight among those found REFUTED or GAP, in the order of `Weight`."""
    found = Counter(row["weight"] for row in rows if row["verdict"] in FALSE)
    return {weight: found[weight] for weight in Weight if found[weight]}


def headline(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One line for each kind of claims among `rows`: how many hold, and how many there are of each weight.

    Args:
        rows: mappings with the keys `kind`, `verdict` and `weight`, such as the rows of `results.json`.

    Example:
        >>> found = {"kind": "statement of ours", "verdict": "REFUTED", "weight": "remark"}
        >>> headline([found, found | {"verdict": "HOLDS", "weight": None}])
        ['2 statements of ours: 1 holds, 1 remark']
    """
    lines = []
    for kind in Kind:
        those = [row for row in rows if row["kind"] == kind]
        if those:
            name = str(kind) if len(those) == 1 else str(kind).replace(" of", "s of", 1)
            lines.append(f"{len(those)} {name}: {', '.join(_parts(those))}")
    return lines


def _parts(rows: Sequence[dict[str, Any]]) -> list[str]:
    hold = sum(row["verdict"] in ("HOLDS", "CERTIFIED") for row in rows)
    others = [f"{n} {weight if n == 1 else _PLURAL[weight]}" for weight, n in weights(rows).items()]
    errors = sum(row["verdict"] == ERROR for row in rows)
    plain = len(rows) - hold - errors - sum(weights(rows).values())
    rest = [f"{plain} refuted or with a gap"] * bool(plain) + [counted(errors, "error")] * bool(errors)
    return [f"{hold} hold{'s' if hold == 1 else ''}", *others, *rest]
