"""Facts, certificates and files, as the second checker decides them."""

import json
import re
import struct
import zlib
from fractions import Fraction
from typing import Any

from .errors import CannotDecide, Wrong
from .numbers_with_h import Pair, Rationals
from .point import Point
from .reading import exactly
from .table import Tree, formula_of, rules

LARGEST_EXPONENT = 100_000
"""Ends of intervals beyond 2 to this power are not read."""


def end_of(text: Any) -> Fraction:
    """End of an interval, `MpE` for `M 2^E`."""
    found = re.fullmatch(r"(-?\d{1,1300})p(-?\d{1,7})", text, re.ASCII) if isinstance(text, str) else None
    if found is None:
        raise Wrong("not an end of an interval")
    if abs(int(found[2])) > LARGEST_EXPONENT:
        raise CannotDecide("an interval of that size")
    return Fraction(int(found[1])) * Fraction(2) ** int(found[2])


def ends_of(pair: Any) -> tuple[Fraction, Fraction]:
    """Both ends of an interval."""
    if not isinstance(pair, list) or len(pair) != 2:
        raise Wrong("not an interval")
    return end_of(pair[0]), end_of(pair[1])


def decide(point: Point, fact: Tree, result: Any) -> None:
    """Decide one fact of an instance, and what is claimed of it.

    Raises:
        Wrong: if it does not hold.
        CannotDecide: if it is not about rational numbers.
    """
    relation, xs = fact[0], point.differences(fact)
    if relation == "==":
        exactly(result, "64", "128", "256")
        widths = [(ends_of(result[str(bits)]), Fraction(1, 2 ** (bits // 2))) for bits in (64, 128, 256)]
        ok = all(low <= 0 <= high and high - low <= width for (low, high), width in widths)
        if not ok or any(point.sign(x) for x in xs):
            raise Wrong("an equation does not hold")
        return
    exactly(result, "enclosure", *["component"] * (relation == "!="))
    low, high = ends_of(result["enclosure"])
    if relation == "!=":
        k = result["component"]
        if type(k) is not int or not 0 <= k < len(xs):
            raise Wrong("not the number of a component")
        xs = [xs[k]]
    shown = {"!=": low > 0 or high < 0, ">": low > 0, ">=": low >= 0}[relation]
    inside = all(
        point.sign(point.minus(x, Pair(low))) >= 0 >= point.sign(point.minus(x, Pair(high))) for x in xs
    )
    if not shown or not inside:
        raise Wrong("an inequality does not hold, or not by what is claimed")


def certificate_holds(entry: Any, arithmetic: Rationals | None = None) -> None:
    """Decide one certificate.

    Raises:
        Wrong: if it does not hold.
        CannotDecide: if it is not about rational numbers.
    """
    exactly(entry, "claim", "form", "instance", "result")
    key = f"{entry['claim']} {entry['form']}"
    if key not in rules():
        raise Wrong("no such claim")
    parts, *facts = rules()[key]
    if "ends" in parts.split() and arithmetic is None:
        raise CannotDecide("self-consistent temperatures")
    point = Point(entry["instance"], parts.split(), arithmetic)
    if not isinstance(entry["result"], list) or len(entry["result"]) != len(facts):
        raise Wrong("not one result per fact")
    for name in {"dv", "dzeta", "omega", "gram_inverse"} & set(point.base):
        if len(point.base[name]) != point.rounds:
            raise Wrong("not one row per direction")
    for fact, result in zip(facts, entry["result"], strict=True):
        decide(point, formula_of(fact), result)


def verdicts(raw: bytes) -> dict[str, str]:
    """What is found of each claim and form in the bytes of a file of certificates.

    It begins with "agrees" (on how many certificates, and why not on the others) or with "false".
    """
    found: dict[str, list[str]] = {}
    for k, entry in enumerate(json.loads(raw)["certificates"]):
        found.setdefault(f"{entry['claim']} {entry['form']}", []).append(_verdict(k, entry))
    return {key: _summary(said) for key, said in found.items()}


def _verdict(k: int, entry: Any) -> str:
    """Empty if the certificate holds; else why not, or what stands in the way."""
    try:
        certificate_holds(entry)
    except CannotDecide as why:
        return str(why)
    except (Wrong, ValueError, TypeError, LookupError, ArithmeticError, zlib.error, struct.error) as why:
        return f"false: certificate {k}: {why}"
    return ""


def _summary(said: list[str]) -> str:
    """What is found of the certificates of one claim and form, of which some may not be decided."""
    wrong = [x for x in said if x.startswith("false")]
    reasons = sorted({x for x in said if x})
    if wrong:
        return wrong[0]
    agreed = f"agrees on {said.count('')} of {len(said)}"
    return f"{agreed}; the others need {' or '.join(reasons)}" if reasons else agreed
