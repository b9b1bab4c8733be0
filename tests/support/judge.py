"""Judge of tampered certificates: decides truth by itself, in interval arithmetic of mpmath.

It shares nothing with the checker that is tested: the second checker's code reads files, parses formulas and
evaluates them, and exponentials and logarithms are intervals of mpmath, whose precision grows with the digits
of the file. A difference counts as zero if its interval around zero is narrower than any number that the
tamperer could have added.
"""

import hashlib
import itertools
import json
import re
from fractions import Fraction

from mpmath import iv

from verify.checker.second.deciding import certificate_holds
from verify.checker.second.errors import CannotDecide, Wrong
from verify.checker.second.numbers_with_h import Pair, Rationals
from verify.checker.second.point import Point
from verify.checker.second.table import definitions, formula_of, rules

PRECISIONS = (300, 1200, 4800)
MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)


class Unsure(Exception):
    """The intervals are too wide to decide."""


class Intervals(Rationals):
    """Fractions while these do, else intervals."""

    def __init__(self, bits):
        self.bits = iv.prec = bits

    def lifted(self, x):
        return iv.mpf(x.numerator) / iv.mpf(x.denominator) if isinstance(x, Fraction) else x

    def add(self, x, y):
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x + y
        return self.lifted(x) + self.lifted(y)

    def times(self, x, y):
        if isinstance(x, Fraction) and isinstance(y, Fraction):
            return x * y
        if 0 in (x if isinstance(x, Fraction) else 1, y if isinstance(y, Fraction) else 1):
            return Fraction(0)
        return self.lifted(x) * self.lifted(y)

    def sign(self, x):
        if isinstance(x, Fraction):
            return super().sign(x)
        if x > 0 or x < 0:
            return 1 if x > 0 else -1
        if not x.delta < iv.mpf(2) ** (-self.bits // 2):
            raise Unsure
        return 0

    def exp(self, x):
        return iv.exp(self.lifted(x)) if x != 0 else Fraction(1)

    def log(self, x):
        if isinstance(x, Fraction) and x == 1:
            return Fraction(0)
        return iv.log(self.lifted(x))


def entry_is_true(entry):
    """Whether a certificate holds: True, False, or None where no precision decides."""
    digits = max((len(x) for x in re.findall(r"\d+", json.dumps(entry))), default=1)
    for bits in PRECISIONS:
        if bits < 7 * digits and bits < PRECISIONS[-1]:
            continue
        try:
            certificate_holds(entry, Intervals(bits))
            parts = rules()[f"{entry['claim']} {entry['form']}"][0].split()
            return "ends" not in parts or _roots_are(Point(entry["instance"], parts, Intervals(bits)))
        except Wrong:
            return False
        except (Unsure, CannotDecide):
            continue
        except MALFORMED:
            return False
    return None


GAP = "half(under(softmax(q / e), q) - q) - e"


def _roots_are(point):
    """Whether each [low, high] holds a solution of e = g(e), and a scan finds no more of them."""
    low, high = ([x.a for x in point.base[name]] for name in ("low", "high"))
    starts_at_zero = all(
        x == y for x, y in zip(point.evaluate(formula_of("T(q)"), {}), point.base["q"], strict=True)
    )
    if not low or len(low) != len(high) or (low[0] == high[0] == 0) != starts_at_zero:
        return False
    intervals = [(a, b) for a, b in zip(low, high, strict=True) if b]
    cuts = sorted({x for pair in intervals for x in pair})
    if any(a > b for a, b in intervals) or cuts != [x for pair in intervals for x in dict.fromkeys(pair)]:
        return False
    grid = [Fraction(2) ** k * m / 4 for k in range(-12, 24) for m in (4, 5, 6, 7)]
    signs = [s for e in sorted({*grid, *cuts}) if (s := _side(point, e))]  # 0 on a root itself
    changes = sum(a != b for a, b in itertools.pairwise([-1 if starts_at_zero else 1, *signs]))
    inside = all(_side(point, a) != _side(point, b) for a, b in intervals)
    return inside and changes == len(intervals)


def _side(point, e):
    return point.sign(point.evaluate(formula_of(GAP), {"e": Pair(e)}))


# Files.


def _object(pairs):
    if len({key for key, _ in pairs}) < len(pairs):
        raise Wrong("a key twice")
    return dict(pairs)


def _no_float(text):
    raise Wrong(f"the number {text}")


def content(raw):
    """Content of a file of certificates; None if it is not one."""
    try:
        data = json.loads(raw.decode("ascii"), object_pairs_hook=_object, parse_float=_no_float)
        body = {key: x for key, x in data.items() if key != "sha256"}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        good = set(body) == {"schema", "versions", "certificates"} and body["schema"] == 2
        good = (
            good
            and type(body["schema"]) is int
            and data["sha256"] == hashlib.sha256(text.encode()).hexdigest()
        )
        good = good and all(isinstance(x, str) for x in body["versions"].values())
        return body if good and body["certificates"] else None
    except (Wrong, *MALFORMED):
        return None


def is_true(raw):
    """Whether all certificates of a file hold: True, False, or None where no precision decides."""
    body = content(raw)
    if body is None or not isinstance(body["certificates"], list):
        return False
    unique = {json.dumps(x, sort_keys=True): x for x in body["certificates"]}
    found = [entry_is_true(x) for x in unique.values()]
    return False if False in found else None if None in found else True


def n_distinct(raw):
    """Number of distinct instances in a file, of whatever claims, by the numbers that formulas ask for."""
    entries = json.loads(raw)["certificates"]
    return len({repr((x["claim"], x["form"], asked_for(x))) for x in entries})


def asked_for(entry):
    """Parts of an instance that the formulas of its claim ask for, and successors if one is about them."""
    parts, *facts = rules()[f"{entry['claim']} {entry['form']}"]
    if "model" in parts.split():
        return entry["instance"]["model"]
    point = Point(entry["instance"], parts.split())
    names = set().union(*(_words(formula_of(fact)) for fact in facts))
    roots, walks = "ends" in parts.split(), bool(names & {"chance_of_walk", "total", "product"})
    names = names | {"q", "r", "gamma"} if roots else names
    names = names | {"p0", "horizon"} if walks else names
    known = [(name, _numbers(x)) for name, x in sorted(point.base.items()) if name in names and name != "h"]
    known = [(name, x) for name, x in known if name not in {"ends", "low", "high"}]
    if point.model is None:
        return known
    ahead = [sorted(row) for row in point.model.rows] if walks or roots or names & {"E", "into"} else []
    return point.model.states, ahead, known


def _words(tree):
    """Names in a formula and in the definitions that it uses; `one` is 1, whatever the reward."""
    kind, *rest = tree
    if kind == "number":
        return set()
    if kind in {"name", "call"}:
        name, args = rest[0], rest[1] if kind == "call" else ()
        inner = _words(definitions()[name][1]) if name in definitions() and name != "one" else set()
        return {name}.union(inner, *map(_words, args))
    return set().union(*map(_words, rest))


def _numbers(x):
    return [_numbers(y) for y in x] if isinstance(x, list) else str(x.a)
