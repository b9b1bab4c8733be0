"""Is every claim in these files true? `virel recheck FILE...` or `python verify/recheck.py FILE...`.

Independent of the code that wrote them: standard library and python-flint only. What a claim says is a
formula in `statements.toml`, beside this file; how formulas are decided is here. A number is a polynomial in
atoms: exponentials, logarithms, inverses. Identities are proved: the difference of both sides reduces to the
zero polynomial. All else is exact, or decided in ball arithmetic: docs/certificates.md.
Exit status: 0 all true; 1 one false or undecided; 2 unreadable or tampered with.
"""

# ruff: noqa: D102, D103, D105, D107  (names say it; a definition of one line is written on one line)
# fmt: off
import ast
import hashlib
import json
import operator
import re
import struct
import sys
import time
import tomllib
import zlib
from base64 import b64decode
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby, pairwise
from math import prod
from pathlib import Path
from typing import Any, ClassVar

from flint import Ordering, arb, ctx, fmpq, fmpq_mpoly_ctx

SCHEMA, MAX_BYTES, MAX_ITEMS, MAX_ENTRIES, MAX_SECONDS, MAX_BITS = 2, 1 << 28, 5000, 10_000, 300, 4096
NUMBER = re.compile(r"-?[0-9]{1,3000}(/[1-9][0-9]{0,2999})?")
DYADIC = re.compile(r"(-?[0-9]{1,1300})p(-?[0-9]{1,7})")
ZERO, ONE, DEADLINE = fmpq(0), fmpq(1), [float("inf")]
GENS = fmpq_mpoly_ctx.get([f"x{i}" for i in range(64)], Ordering.lex).gens()
ATOMS: list[tuple[str, Any]] = []  # what the generators stand for: a function and its argument
H = GENS[0]  # infinitesimal: what is free of it or linear in it is read, its powers are not
TABLE = tomllib.loads(Path(__file__).with_name("statements.toml").read_text(encoding="utf-8"))

class Problem(Exception):
    """`Problem(why, status)`: 1, a claim is false or undecided; 2, the file is not ours, or was changed."""

def need(ok: object, why: str = "", status: int = 1) -> None:
    """Stop unless `ok`, or at the file's deadline: every loop over data comes through here."""
    if time.monotonic() > DEADLINE[0]:
        raise Problem("undecided: out of time", 1)
    if not ok:
        raise Problem(why, status)

class Read(dict[str, Any]):
    """An object of the file. It knows what was not read of it: a file with more than claims is rejected."""
    every: ClassVar[list["Read"]] = []
    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        need(len(self) == len(pairs), "a key is there twice", 2)
        self.unread = set(self)
        self.every.append(self)
    def __getitem__(self, key: str) -> Any:
        self.unread.discard(key)
        return super().__getitem__(key)

def unpacked(text: str, code: str) -> list[Any]:
    """An array of int32 ("i") or float64 ("d"): base64 of zlib of its little-endian bytes."""
    raw = zlib.decompressobj().decompress(b64decode(text, validate=True), MAX_BYTES // 2)
    return [x for (x,) in struct.iter_unpack("<" + code, raw)]
def numbers(data: Any, size: int | None = None) -> list[fmpq]:
    """Fractions "-3/4", or packed floats."""
    if isinstance(data, str):
        data = [fmpq(*x.as_integer_ratio()) for x in unpacked(data, "d")]
    need(isinstance(data, list) and size in (None, len(data)), f"not a list of {size} numbers", 2)
    for x in data:
        need(isinstance(x, fmpq) or NUMBER.fullmatch(x), f"not a fraction: {str(x)[:40]!r}", 2)
    return list(map(fmpq, data))
def interval(pair: Any) -> list[arb]:
    """Its ends, dyadic: "MpE" means M 2^E."""
    ends = [match for x in pair for match in [DYADIC.fullmatch(x)] if match]
    need(len(ends) == len(pair) == 2, f"not an interval: {str(pair)[:80]}", 2)
    return [arb((int(match[1]), int(match[2]))) for match in ends]

# Numbers: a rational number, or a polynomial with rational coefficients in the generators.
def settle(ball: Callable[[], arb], yes: Callable[[arb], bool], no: Callable[[arb], bool]) -> bool:
    """Raise the precision until the enclosure says surely yes or surely no."""
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            need(bits <= MAX_BITS)
            if yes(x := ball()) or no(x):
                return yes(x)
    raise Problem(f"undecided at {MAX_BITS} bits", 1)
def sign(ball: Any) -> int: return 1 if settle(ball, lambda x: x > 0, lambda x: x < 0) else -1
def value(x: Any) -> arb:
    """An enclosure, at the working precision."""
    if isinstance(x, fmpq):
        return arb(x)
    terms = [(c, [(i, k) for i, k in enumerate(powers) if k]) for powers, c in x.to_dict().items()]
    used = {i: ATOMS[i] for _, powers in terms for i, _ in powers}
    balls = {i: VALUES[function](value(y)) for i, (function, y) in used.items()}
    return sum((c * prod((balls[i] ** k for i, k in powers), start=arb(1)) for c, powers in terms), arb(0))
VALUES: dict[str, Any] = {"exp": arb.exp, "log": arb.log, "inverse": lambda x: 1 / x}
def enclosure(x: Any) -> Callable[[], arb]:
    top, below = fraction(x)
    return lambda: value(top) / prod(map(value, below), start=arb(1))

def atom(function: str, x: Any) -> Any:
    for i, (name, y) in enumerate(ATOMS):
        if name == function and type(x) is type(y) and x == y:
            return GENS[i]
    need(len(ATOMS) < len(GENS), "undecided: too many exponentials and logarithms")
    need(function == "exp" or sign(lambda: value(x)) > 0 or function == "inverse", "log of x < 0", 2)
    ATOMS.append((function, x))
    return GENS[len(ATOMS) - 1]
def extent(x: Any) -> int: return 1 if isinstance(x, fmpq) else len(x)
def multiply(x: Any, y: Any) -> Any:
    need(extent(x) * extent(y) < 100 * MAX_ENTRIES, "undecided: a number of too many terms")
    return x * y
def short(x: Any) -> Any:
    need(extent(x) < MAX_ENTRIES, "undecided: a number of too many terms")
    return x.leading_coefficient() if not isinstance(x, fmpq) and x.is_constant() else x
def at(x: Any) -> Any: return x if isinstance(x, fmpq) else short(x.subs({"x0": 0}))
def slope(x: Any) -> Any: return ZERO if isinstance(x, fmpq) else short(x.derivative(0).subs({"x0": 0}))
def divide(x: Any, y: Any) -> Any:
    main, more = at(y), slope(y)
    inverse = 1 / main if isinstance(main, fmpq) else atom("inverse", main)
    return multiply(x * inverse, 1 - H * more * inverse) if more != 0 else x * inverse
def exp(x: Any) -> Any: return short((atom("exp", at(x)) if at(x) != 0 else ONE) * (1 + H * slope(x)))
def log(x: Any) -> Any:
    """In logarithms of primes and of irreducible polynomials."""
    top, below = fraction(at(x))
    out = sum((-log(y) for y in below), divide(H * slope(x), at(x)) if slope(x) != 0 else ZERO)
    content, factors = (top, []) if isinstance(top, fmpq) else top.factor()
    need(content > 0 and max(content.p, content.q) < 10**12, "a logarithm is out of range", 2)
    primes = [(fmpq(p), side * k) for n, side in ((content.p, 1), (content.q, -1)) for p, k in n.factor()]
    for y, k in primes + factors:
        known = [z for (name, z), g in zip(ATOMS, GENS, strict=False) if name == "exp" and g == y]
        out += int(k) * (known[0] if known else atom("log", y))
    return short(out)
def fraction(x: Any) -> tuple[Any, list[Any]]:
    """A number as a polynomial without inverses, and all that it is to be divided by."""
    below = []
    for i in reversed([i for i, (function, _) in enumerate(ATOMS) if function == "inverse"]):
        power, rest = 0 if isinstance(x, fmpq) else x.degrees()[i], x
        x = ZERO if power else x
        for _ in range(power + 1 if power else 0):
            first = rest.subs({f"x{i}": 0})
            x, rest = multiply(x, ATOMS[i][1]) + first, (rest - first) / GENS[i]
        below += [ATOMS[i][1]] * power
    return short(x), below
def zero(x: Any) -> bool: return bool(fraction(x)[0] == 0)

# Formulas: their values are numbers, numbers over an index set, or lists of these.
class Many(list[Any]):
    """Numbers over "pairs", "states", "walks" or "list"."""
    def __init__(self, kind: str, items: Any) -> None:
        super().__init__(items)
        self.kind = kind

def parsed(text: str) -> Any: return ast.parse(text, mode="eval").body
DEFINED = {name: (args, parsed(text)) for key, text in TABLE["define"].items()
           for name, *args in [re.findall(r"\w+", key)]}

RULES: dict[str, Any] = {
    "positive": lambda p: min(p) > 0, "chances": lambda p: min(p) >= 0 and sum(p) == 1,
    "whole": lambda p: p[0].q == 1 and p[0] < 100, "discount": lambda p: 0 <= p[0] < 1}

class Instance:
    """Named values: the parts of an instance, and what `statements.toml` defines from them."""
    of, own = list[int](), list[list[int]]()
    def __init__(self, data: Any, parts: list[str]) -> None:
        self.known: dict[str, Any] = {"h": H}
        for name in parts:
            kind, *rules = TABLE["parts"][name].split()
            self.known[name] = self.read(data[name], kind, rules)
        self.walks = [(x, [i]) for s, x in enumerate(self.known.get("p0", [])) for i in self.own[s]]
        for _ in range(1, int(self.known.get("horizon", 1))):
            ahead = [(x * w, path, t) for x, path in self.walks for t, w in self.rows[path[-1]]]
            self.walks = [(x, [*path, i]) for x, path, t in ahead for i in self.own[t]]
            need(len(self.walks) < MAX_ENTRIES, "too many walks", 2)
    def read(self, data: Any, kind: str, rules: Sequence[str] = ()) -> Any:
        if kind == "mdp":
            return self.read_mdp(data, exact=not rules)
        if kind == "rows":
            return [self.read(x, rules[0], rules[1:]) for x in data]
        size = {"one": 1, "pairs": len(self.of), "states": len(self.own)}.get(kind)
        x = numbers([data] if kind == "one" else data, size)
        groups = [[x[i] for i in own] for own in self.own] if kind == "pairs" else [x]
        need(all(RULES[rule](p) for rule in rules for p in groups), f"numbers are not {rules}", 2)
        return x[0] if kind == "one" else Many(kind, x)
    def read_mdp(self, m: Any, *, exact: bool) -> None:
        """Exact; or packed floats as they are, with rows that need not sum to 1."""
        if exact:
            of, act, r, rows = map(list, zip(*m["pairs"], strict=True))
            size, (to, p) = [*map(len, rows)], map(list, zip(*(x for row in rows for x in row), strict=True))
        else:
            of, act, size, to = (unpacked(m["pairs"][key], "i") for key in ("s", "a", "size", "to"))
            r, p = m["pairs"]["r"], m["pairs"]["p"]
        n, p, spans = m["n_states"], numbers(p, len(to)), list(pairwise(accumulate(size, initial=0)))
        ok = all(type(x) is int for x in (n, m["n_actions"], *of, *act, *to)) and 0 < n <= len(of)
        ok = ok and (len(to) <= MAX_ENTRIES or not exact) and spans[-1][1] == len(to) and min(p) > 0
        ok = ok and set(of) == set(range(n)) >= set(to) and 0 <= min(act) <= max(act) < m["n_actions"]
        need(ok and all(x < y for x, y in pairwise(zip(of, act, strict=True))), "the pairs are not valid", 2)
        self.of, self.own = of, [list(own) for _, own in groupby(range(len(of)), key=of.__getitem__)]
        self.rows = [list(zip(to[i:j], p[i:j], strict=True)) for i, j in spans]
        need(all(len(dict(row)) == len(row) > 0 for row in self.rows), "a successor is there twice", 2)
        need(not exact or all(sum(p for _, p in row) == 1 for row in self.rows), "a row's sum is not 1", 2)
        self.known |= {"r": self.read(r, "pairs"), "gamma": self.read(m["gamma"], "one", ["discount"])}
        self.known["p0"] = self.read(m["initial"], "states", ["chances"] * exact)
    def each(self, function: Any, *args: Any) -> Any:
        """Entry by entry; a state's number stands for its pairs, a single number for all."""
        kinds = {x.kind for x in args if isinstance(x, Many)}
        if not kinds:
            return function(*args)
        kind = "pairs" if kinds == {"pairs", "states"} else kinds.pop()
        up = [Many(kind, [x[s] for s in self.of]) if getattr(x, "kind", kind) != kind else x for x in args]
        size = max(len(x) for x in up if isinstance(x, Many))
        columns = [x if isinstance(x, Many) else [x] * size for x in up]
        return Many(kind, [function(*row) for row in zip(*columns, strict=True)])
    def value(self, node: Any, local: dict[str, Any]) -> Any:
        """Of a formula; `local`: the arguments of the definition it stands in."""
        need(True)
        match node:
            case ast.Constant(value=int(x)):
                return fmpq(x)
            case ast.Name(id=name):
                if name not in local and name not in self.known:
                    self.known[name] = self.value(DEFINED[name][1], {})
                return local[name] if name in local else self.known[name]
            case ast.UnaryOp(operand=x):
                return self.each(operator.neg, self.value(x, local))
            case ast.BinOp(left=x, op=op, right=y):
                return self.each(OPERATORS[type(op)], self.value(x, local), self.value(y, local))
        args, name = [self.value(x, local) for x in node.args], node.func.id
        if name in DEFINED:
            return self.value(DEFINED[name][1], dict(zip(DEFINED[name][0], args, strict=True)))
        return self.each(EACH[name], *args) if name in EACH else WHOLE[name](self, *args)
    def over(self, f: Any, fold: Any) -> Any: return Many("states", [fold(f[i] for i in x) for x in self.own])
    def along(self, fold: Any) -> Any: return Many("walks", [fold(x, path) for x, path in self.walks])
    def expect(self, v: Any) -> Any:
        return Many("pairs", [sum((w * v[t] for t, w in row), ZERO) for row in self.rows])
    def into(self, f: Any) -> Any:
        out = Many("states", [ZERO] * len(self.own))
        for t, x in ((t, w * x) for x, row in zip(f, self.rows, strict=True) for t, w in row):
            out[t] += x
        return out
    def dot(self, c: Any, rows: Any) -> Any:
        terms = [self.each(multiply, *x) for x in zip(c, rows, strict=True)]
        return self.each(lambda *x: sum(x, ZERO), *terms)

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: multiply, ast.Div: divide}
EACH: dict[str, Callable[..., Any]] = {
    "exp": exp, "log": log, "D": slope, "at": at,
    "zero": lambda x: ONE if zero(x) else ZERO * sign(enclosure(x)), "odd": lambda x: fmpq(int(x.p) % 2),
    "abs": lambda x: x if zero(x) or sign(enclosure(x)) > 0 else -x,
    "xlog": lambda w, x, y: w * (log(x) - log(y)) if w != 0 else ZERO,
}
WHOLE: dict[str, Callable[..., Any]] = {
    "sum": lambda _, f: sum(f, ZERO), "mean": lambda _, f: sum(f, ZERO) / len(f),
    "count": lambda _, f: fmpq(len(f)), "max": lambda _, f: max(f), "min": lambda _, f: min(f),
    "by": lambda p, f: p.over(f, sum), "top": lambda p, f: p.over(f, max),
    "E": Instance.expect, "into": Instance.into, "dot": Instance.dot,
    "lowest": lambda p, f: Many("pairs", [fmpq(i == max(x, key=f.__getitem__)) for x in p.own for i in x]),
    "chance_of_walk": lambda p: p.along(lambda x, _: x),
    "total": lambda p, f: p.along(lambda _, path: sum(f[i] for i in path)),
    "product": lambda p, f: p.along(lambda _, path: prod(f[i] for i in path)),
    "first": lambda _, rows: rows[0], "final": lambda _, rows: rows[-1],
    "row": lambda p, rows, k=ZERO: rows[p.known["j"] + int(k)],
    "moved": lambda p, c: Many("list", [x + H * int(i == p.known["j"]) for i, x in enumerate(c)]),
    "bend": lambda p, c, *rows: [p.each(operator.add, f, p.dot(c, g)) for f, g in zip(*rows, strict=True)],
    "moments": lambda p, rows, f: Many("list", [p.dot(f, row) / len(f) for row in rows]),
}

def prove(relation: Any, differences: list[Any], result: Any) -> None:
    """`relation` to 0 of all differences, of one if it is !=; what is claimed of their values."""
    if relation is ast.Eq:
        need(all(map(zero, differences)), "the two sides differ")
        for bits in (64, 128, 256):  # enclosures contain zero, and shrink with the precision
            low, high = interval(result[str(bits)])
            need(low <= 0 <= high and (high - low) * 2 ** (bits // 2) <= 1, f"enclosure {bits} is wrong")
        return
    if relation is ast.NotEq:
        k = result["component"]
        need(type(k) is int and 0 <= k < len(differences), "no such component", 2)
        differences = [differences[k]]
    low, high = interval(result["enclosure"])
    need({ast.NotEq: low > 0 or high < 0, ast.Gt: low > 0, ast.GtE: low >= 0}[relation], "not shown")
    for ball in map(enclosure, differences):
        ok = settle(ball, lambda x: low <= x <= high, lambda x: x < low or x > high)
        need(ok, "a difference lies outside its enclosure")

# All solutions of e = g(e), g = mean(beta^2) / 2 with beta = r + gamma E(E_pi[Q]) - Q at temperature e.
def average(xs: Sequence[Any], values: Sequence[Any]) -> arb:
    """Mean of `values` with weights exp(-x)."""
    weights = [(-arb(x)).exp() for x in xs]
    return sum((w * v for w, v in zip(weights, values, strict=True)), arb(0)) / sum(weights, arb(0))
def variance(gaps: list[fmpq], a: fmpq, b: fmpq) -> arb:
    """Var(Q)/e^2 of a state on [a, b]; from 0 on by its bound, the sum of x^2 exp(-x), top at 2."""
    if not a:
        tops = [arb(max(g / b, fmpq(2))) for g in gaps if g]
        return arb(0).union(sum((x**2 * (-x).exp() for x in tops), arb(0)))
    xs = [arb(g) / arb(a).union(arb(b)) for g in gaps]
    return average(xs, [(x - average(xs, xs)) ** 2 for x in xs])
def isolate(p: Instance) -> None:
    """The boxes that end at `ends`, from 0 on, show one solution in each [`low`, `high`], and no others.

    On a box g(e) - e has no zero, or is monotone. As dE_pi[Q]/de = -Var(Q)/e^2, every beta falls in e.
    """
    q, gamma, ends, low, high = (p.known[name] for name in ("q", "gamma", "ends", "low", "high"))
    gaps = [[max(q[i] for i in own) - q[i] for i in own] for own in p.own]
    cold, found = p.value(parsed("T(q) - q"), {}), []
    def beta(e: fmpq | None) -> list[Any]:  # None: at infinity
        loss = [average([0 if e is None else g / e for g in own], own) if e != 0 else ZERO for own in gaps]
        return [c - gamma * x for c, x in zip(cold, p.expect(loss), strict=True)]
    def error(beta: list[Any]) -> Any: return sum(x * x for x in beta) / (2 * len(beta))
    def side(e: fmpq) -> int: return int(any(cold)) if e == 0 else sign(lambda: error(beta(e)) - e)
    def hull(a: fmpq, b: fmpq | None) -> list[arb]:
        return [arb(x).union(arb(y)) for x, y in zip(beta(a), beta(b), strict=True)]
    for a, b in pairwise([ZERO, *ends]):
        with ctx.workprec(256):
            need(a < b, "the boxes do not rise", 2)
            if not (error(hull(a, b)) - arb(a).union(arb(b))).contains(0):
                continue
            flow = p.expect([variance(own, a, b) for own in gaps])
            slope = -gamma / len(q) * sum(map(arb.__mul__, hull(a, b), flow))
            need(not slope.contains(1), f"g(e) - e may turn on the box to {b}")
        found += [(a, b, side(a))] if side(a) != side(b) else []
    need(error(hull(ends[-1], None)) < ends[-1], "the boxes end too early")
    need(len(found) == len(low) == len(high), f"{len(found)} roots, not {len(low)}")
    for (a, b, left), x, y in zip(found, low, high, strict=True):
        need(a == x == y if left == 0 else a <= x < y <= b and side(x) == left == -side(y), "no root there")

CLAIMS = {f"{x} {key.split()[-1]}": rule for key, rule in TABLE["claims"].items() for x in key.split()[:-1]}
def check(entry: Any) -> None:
    """Prove each fact of the claim: for every direction of the features, or every step of the tables."""
    name = f"{entry['claim']} {entry['form']}"
    need(name in CLAIMS, f"unknown claim {name[:60]!r}", 2)
    ATOMS[:], (parts, *facts) = [("", ZERO)], CLAIMS[name]
    point = Instance(entry["instance"], parts.split())
    if "ends" in point.known:
        isolate(point)
    known, rows = point.known, point.known.get("features", point.known.get("tables", [0, 0])[1:])
    need(all(len(known[name]) == len(rows) for name in ("dv", "dzeta") if name in known), "rows too many", 2)
    for fact, result in zip(map(parsed, facts), entry["result"], strict=True):
        differences: list[Any] = []
        for j in range(len(rows)):
            point.known = known | {"j": j}
            x = point.value(ast.BinOp(fact.left, ast.Sub(), fact.comparators[0]), {})
            differences += x if isinstance(x, list) else [x]
        need(differences, "nothing is claimed", 2)
        prove(type(fact.ops[0]), differences, result)

MALFORMED = (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError, zlib.error,
             struct.error, MemoryError)
def reject(text: str) -> None: raise Problem(f"the number {text[:40]} is not an integer", 2)
def recheck(path: Path) -> int:
    """Number of true certificates of a file. Raises: Problem."""
    DEADLINE[0], where = time.monotonic() + MAX_SECONDS, ""
    Read.every.clear()
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        need(len(raw) <= MAX_BYTES, "the file is too large", 2)
        data = json.loads(raw, parse_float=reject, parse_constant=reject, object_pairs_hook=Read)
        need(data["schema"] == SCHEMA, f"not certificates of schema {SCHEMA}", 2)
        claimed, entries, versions = data["sha256"], data["certificates"], data["versions"]
        body = {key: x for key, x in data.items() if key != "sha256"}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        need(hashlib.sha256(text.encode()).hexdigest() == claimed, "the content does not have its hash", 2)
        need(isinstance(entries, list) and 0 < len(entries) <= MAX_ITEMS, "no certificates, or too many", 2)
        need(all(isinstance(versions[key], str) for key in versions), "the versions are not text", 2)
        for k, entry in enumerate(entries):
            where = f"certificate {k}: "
            check(entry)
        unread = [key for read in Read.every for key in read.unread]
        need(not unread, f"the file holds what is never read: {unread[:1]}", 2)
    except Problem as problem:
        raise Problem(where + problem.args[0], problem.args[1]) from None
    except OSError as error:
        raise Problem(f"unreadable: {error.strerror}", 2) from None
    except MALFORMED as error:
        raise Problem(f"{where}malformed: {type(error).__name__}: {str(error)[:80]}", 2) from None
    return len(entries)

def main_recheck(argv: Sequence[str]) -> int:
    """Check every file named; the worst of their exit statuses."""
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    runs = [p for p in map(Path, argv) if p.name == "results.json" and p.is_file()]
    worst, beside = 0, {p: sorted(p.parent.glob("certificates/*.json")) for p in runs}
    for path in dict.fromkeys(path for p in map(Path, argv) for path in beside.get(p) or [p]):
        try:
            print(f"{path}: {recheck(path)} certificates, all true")  # noqa: T201
        except Problem as problem:
            why = ascii(problem.args[0])[1:-1][:200] + ", and no certificates beside it" * (path in beside)
            worst, word = max(worst, problem.args[1]), ("", "not true", "rejected")[problem.args[1]]
            print(f"{path}: {word}: {why}", file=sys.stderr)  # noqa: T201
    return worst

if __name__ == "__main__":
    sys.exit(main_recheck(sys.argv[1:]))
