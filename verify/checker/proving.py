"""Proofs: every fact that a certificate claims of its instance, and every certificate of a file."""

import ast
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from .algebra import enclosure, settle, start, zero
from .formulas import TABLE, Instance, parsed
from .limits import MAX_ITEMS, Rejected, need, start_clock
from .reading import Read, content_digest, interval, parse, read_bytes
from .temperatures import isolate


def prove(relation: Any, differences: list[Any], result: Any) -> None:
    """Prove how a fact's differences, left minus right (for `!=`, one), compare to 0; check its intervals."""
    if relation is ast.Eq:
        prove_identity(differences, result)
        return
    if relation is ast.NotEq:
        k = result["component"]
        need(type(k) is int and 0 <= k < len(differences), "`component` is not the number of a difference", 2)
        differences = [differences[k]]
    low, high = interval(result["enclosure"])
    shown = {ast.NotEq: low > 0 or high < 0, ast.Gt: low > 0, ast.GtE: low >= 0}
    need(shown[relation], "the claimed interval does not prove the relation")
    for ball in map(enclosure, differences):
        inside = settle(ball, lambda x: low <= x <= high, lambda x: x < low or x > high)
        need(inside, "a difference lies outside its enclosure")


def prove_identity(differences: list[Any], result: Any) -> None:
    """Prove an identity: all differences left minus right are 0; check that its intervals shrink to 0."""
    need(all(map(zero, differences)), "the two sides of an identity differ")
    for bits in (64, 128, 256):
        low, high = interval(result[str(bits)])
        need(low <= 0 <= high and (high - low) * 2 ** (bits // 2) <= 1, f"{bits} bits: too wide or without 0")


CLAIMS = {f"{x} {key.split()[-1]}": rule for key, rule in TABLE["claims"].items() for x in key.split()[:-1]}
"""The parts and facts of every claim and form: a key of the table may name several claims."""
WRONG_SHAPE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    zlib.error,
    struct.error,
)
"""What malformed data raise."""


def check(entry: Any) -> Instance:
    """Prove every equation and inequality that one certificate claims; return its instance.

    With features, a fact is proved for every direction; with tables, for every two that follow each other.
    """
    name = f"{entry['claim']} {entry['form']}"
    need(name in CLAIMS, f"no claim {name[:60]!r} in statements.toml", 2)
    parts, *facts = CLAIMS[name]
    start()
    point = Instance(entry["instance"], parts.split())
    if "ends" in point.known:
        isolate(point)
    known, rows = point.known, point.known.get("features", point.known.get("tables", [0, 0])[1:])
    why = "`dv` and `dzeta` must have one row per direction"
    need(all(len(known[name]) == len(rows) for name in ("dv", "dzeta") if name in known), why, 2)
    for fact, result in zip(map(parsed, facts), entry["result"], strict=True):
        differences: list[Any] = []
        for j in range(len(rows)):
            point.known = known | {"j": j}
            x = point.value(ast.BinOp(fact.left, ast.Sub(), fact.comparators[0]), {})
            differences += x if isinstance(x, list) else [x]
        need(differences, "a fact claims nothing: no components", 2)
        prove(type(fact.ops[0]), differences, result)
    return point


class Proved(NamedTuple):
    """Certificate that was proved: of which statement, on which instance."""

    claim: str
    form: str
    instance: str
    """Digest of the instance's content: equal instances have equal ones."""
    problem: str = ""
    """Digest of the MDP that a solver's certificate is about; empty for other certificates."""
    delta: str = ""
    """How far from optimal a solver's policy is at most, as a fraction; empty for other certificates."""
    trivial: str = ""
    """How far from optimal any policy of that MDP is at most: twice the largest reward over `1 - norm`."""


def proved(entry: Any) -> Proved:
    """Prove one certificate, and say of what."""
    point = check(entry)
    instance = entry["instance"]
    out = Proved(entry["claim"], entry["form"], content_digest(instance))
    if "model" not in instance:
        return out
    trivial = point.value(parsed("2 * max(abs(r)) / (1 - norm)"), {})
    return out._replace(
        problem=content_digest(instance["model"]), delta=str(point.known["delta"]), trivial=str(trivial)
    )


def prove_all(raw: bytes) -> tuple[str, list[Proved]]:
    """Prove all certificates in the bytes of a file; return its hash and what was proved.

    Raises:
        Rejected: if one is not true, or the file is not a file of certificates.
    """
    where = ""
    try:
        data = parse(raw)
        entries, versions, out = data["certificates"], data["versions"], []
        need(isinstance(entries, list) and 0 < len(entries) <= MAX_ITEMS, "no certificates, or too many", 2)
        need(all(isinstance(versions[key], str) for key in versions), "`versions` must hold texts", 2)
        for k, entry in enumerate(entries):
            where = f"certificate {k}: "
            out.append(proved(entry))
        unread = [key for read in Read.every for key in read.unread]
        need(not unread, f"the file has a key that no claim uses: {unread[:1]}", 2)
    except Rejected as rejected:
        raise Rejected(where + rejected.args[0], rejected.args[1]) from None
    except MemoryError:
        raise Rejected(f"{where}undecided: out of memory", 1) from None
    except WRONG_SHAPE as error:
        raise Rejected(f"{where}malformed: {type(error).__name__}: {str(error)[:80]}", 2) from None
    return data["sha256"], out


def recheck(path: Path) -> list[Proved]:
    """Prove all certificates of a file, in this process, and return what was proved.

    Raises:
        Rejected: if one is not true, or the file is not a file of certificates.
    """
    start_clock()
    return prove_all(opened(path))[1]


def opened(path: Path) -> bytes:
    """Bytes of a file; one that cannot be read is rejected."""
    try:
        return read_bytes(path)
    except OSError as error:
        raise Rejected(f"unreadable: {error.strerror}", 2) from None
    except MemoryError:
        raise Rejected("undecided: out of memory", 1) from None
