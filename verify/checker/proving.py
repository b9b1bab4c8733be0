"""Proofs: every fact that a certificate claims of its instance, and every certificate of a file."""

import ast
from pathlib import Path
from typing import Any, NamedTuple

from .algebra import enclosure, settle, start, zero
from .content import digest_of
from .formulas import TABLE, Instance, parsed
from .limits import MAX_ITEMS, Rejected, need, start_clock, within
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


PER_DIRECTION = {"dv", "dzeta", "omega", "gram_inverse"}
"""Parts with one entry per feature, where there are features."""
CLAIMS = {f"{x} {key.split()[-1]}": rule for key, rule in TABLE["claims"].items() for x in key.split()[:-1]}
"""The parts and facts of every claim and form: a key of the table may name several claims."""


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
    for part in PER_DIRECTION & known.keys():
        need(len(known[part]) == len(rows), f"`{part}` must have {len(rows)} entries, one per direction", 2)
    n, results = len(facts), entry["result"]
    need(isinstance(results, list) and len(results) == n, f"`result` must be a list of {n}, one per fact", 2)
    for text, result in zip(facts, results, strict=True):
        with within(text):
            prove(type(parsed(text).ops[0]), differences_of(point, parsed(text), known, len(rows)), result)
    point.known = known
    return point


def differences_of(point: Instance, fact: Any, known: dict[str, Any], n_rows: int) -> list[Any]:
    """Left side minus right side of a fact, over all directions or steps."""
    out: list[Any] = []
    for j in range(n_rows):
        point.known = known | {"j": j}
        x = point.value(ast.BinOp(fact.left, ast.Sub(), fact.comparators[0]), {})
        out += x if isinstance(x, list) else [x]
    need(out, "it claims nothing: no components", 2)
    return out


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
    """How far from optimal any policy of that MDP is at most, by its least and largest reward."""


def instance_digest(name: str, instance: Any) -> str:
    """Digest of what a claim's formulas read of an instance; `name` is its id and form."""
    return digest_of(Instance(instance, CLAIMS[name][0].split()), CLAIMS[name])


def proved(entry: Any) -> Proved:
    """Prove one certificate, and say of what."""
    point, claim, form = check(entry), entry["claim"], entry["form"]
    if "model" not in entry["instance"]:
        return Proved(claim, form, digest_of(point, CLAIMS[f"{claim} {form}"]))
    problem, trivial = content_digest(entry["instance"]["model"]), point.value(parsed("any_policy"), {})
    return Proved(claim, form, problem, problem, str(point.known["delta"]), str(trivial))


def prove_all(raw: bytes) -> tuple[str, list[Proved]]:
    """Prove all certificates in the bytes of a file; return its hash and what was proved.

    Raises:
        Rejected: if one is not true, or the file is not a file of certificates.
    """
    out: list[Proved] = []
    with within("the file"):
        data = parse(raw)
        entries, versions = data["certificates"], data["versions"]
        need(isinstance(entries, list), "`certificates` must be a list", 2)
        need(0 < len(entries) <= MAX_ITEMS, f"no certificates, or more than {MAX_ITEMS}", 2)
        need(all(isinstance(versions[key], str) for key in versions), "`versions` must hold texts", 2)
    for k, entry in enumerate(entries):
        try:
            with within(f"certificate {k}"):
                out.append(proved(entry))
        except MemoryError:
            raise Rejected(f"certificate {k}: undecided: out of memory", 1) from None
    unread = [key for read in Read.every for key in read.unread]
    need(not unread, f"the file has a key that no claim uses: {unread[:1]}", 2)
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
