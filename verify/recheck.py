"""Prove again every claim in certificate files: `virel recheck FILE...`, `python verify/recheck.py FILE...`.

This file is all that has to be trusted, together with the standard library, python-flint, and the table of
formulas `statements.toml` beside it. It imports no other code of the project, so that it shares no mistake
with the code that wrote the files.

A certificate names a claim and gives an instance. `statements.toml` says which facts the claim asserts of the
instance: formulas, such as `L + EKL == max_L`. Both sides are computed here from the instance alone.

* A number is a rational number, or a polynomial with rational coefficients in atoms: exponentials, logarithms
  and inverses of other numbers.
* An identity is proved: the difference of both sides, multiplied with all that it divides by, reduces to the
  zero polynomial. An enclosure around zero would not be a proof.
* An inequality is decided in ball arithmetic, whose precision is raised until the sign is certain. If it
  never is, the claim counts as undecided, and the file is not accepted.

Exit status: 0 all true; 1 one false or undecided; 2 unreadable or tampered with. See docs/certificates.md.
"""

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
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from math import prod
from pathlib import Path
from typing import Any, ClassVar

from flint import Ordering, arb, ctx, fmpq, fmpq_mpoly_ctx

# Limits: a hostile file must not take memory or time without bound.

SCHEMA = 2  # version of the format that is read
MAX_BYTES = 1 << 28  # of a file
MAX_ITEMS = 5000  # certificates in a file
MAX_ENTRIES = 10_000  # terms of a polynomial; transitions of an exact MDP; trajectories
MAX_SECONDS = 300  # for one file
MAX_BITS = 4096  # of ball arithmetic
NUMBER = re.compile(r"-?[0-9]{1,3000}(/[1-9][0-9]{0,2999})?")  # a fraction, such as -3/4
DYADIC = re.compile(r"(-?[0-9]{1,1300})p(-?[0-9]{1,7})")  # an end of an interval: MpE is M 2^E
ZERO, ONE = fmpq(0), fmpq(1)
TABLE = tomllib.loads(Path(__file__).with_name("statements.toml").read_text(encoding="utf-8"))
"""Parts of instances, definitions and claims: the formulas that are checked."""


class Rejected(Exception):
    """Exception: a certificate file is not accepted; `Rejected(why, status)` holds reason and exit status.

    Status 1: a claim is false or undecided. Status 2: the file is not a certificate, or it was changed.
    """


DEADLINE = [float("inf")]
"""End of the current file's time, by `time.monotonic`; every loop over its data calls `need`."""


def need(ok: object, why: str = "", status: int = 1) -> None:
    """Reject the certificate file, for the reason `why`, unless the condition `ok` holds and time is left."""
    if time.monotonic() > DEADLINE[0]:
        raise Rejected(f"undecided: out of time, after {MAX_SECONDS} seconds", 1)
    if not ok:
        raise Rejected(why, status)


# Reading: objects, fractions, intervals, packed arrays.


class Read(dict[str, Any]):
    """JSON object of a certificate file that tracks which of its keys were never read.

    A file that holds more than its claims need is rejected: nothing in it may go unchecked.
    """

    every: ClassVar[list["Read"]] = []
    """All objects of the current file."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Store a JSON object's keys and values; reject the file if a key is there twice."""
        super().__init__(pairs)
        need(len(self) == len(pairs), "a JSON object has the same key twice", 2)
        self.unread = set(self)
        self.every.append(self)

    def __getitem__(self, key: str) -> Any:
        """Return the value of a key, and mark the key as read."""
        self.unread.discard(key)
        return super().__getitem__(key)


def unpacked(text: str, code: str) -> list[Any]:
    """Decode an array of int32 (code "i") or float64 ("d") from base64 of zlib of its little-endian bytes."""
    raw = zlib.decompressobj().decompress(b64decode(text, validate=True), MAX_BYTES // 2)
    return [x for (x,) in struct.iter_unpack("<" + code, raw)]


def numbers(data: Any, size: int | None = None) -> list[fmpq]:
    """Read rational numbers, `size` of them if given, from a list of texts or a packed array of floats."""
    if isinstance(data, str):
        data = [fmpq(*x.as_integer_ratio()) for x in unpacked(data, "d")]
    need(isinstance(data, list) and size in (None, len(data)), f"not a list of {size or 'any'} numbers", 2)
    for x in data:
        need(isinstance(x, fmpq) or NUMBER.fullmatch(x), f"not a fraction such as -3/4: {str(x)[:40]!r}", 2)
    return list(map(fmpq, data))


def interval(pair: Any) -> list[arb]:
    """Read the two ends of an interval, which are exact dyadic numbers written `MpE` for `M 2^E`."""
    ends = [match for x in pair for match in [DYADIC.fullmatch(x)] if match]
    need(len(ends) == len(pair) == 2, f"an interval must be two texts MpE; found {str(pair)[:80]}", 2)
    return [arb((int(match[1]), int(match[2]))) for match in ends]


# Numbers: a rational number, or a polynomial in generators, each of which stands for an atom.

GENS = fmpq_mpoly_ctx.get([f"x{i}" for i in range(64)], Ordering.lex).gens()
"""Generators of the polynomials."""
ATOMS: list[tuple[str, Any]] = []
"""The atom that each generator stands for: a function ("exp", "log", "inverse") and its argument."""
H = GENS[0]
"""Infinitesimal h, with h h = 0: the coefficient of h is a derivative. Powers of h are never read."""
VALUES: dict[str, Any] = {"exp": arb.exp, "log": arb.log, "inverse": lambda x: 1 / x}
"""The functions of atoms, in ball arithmetic."""


def settle(ball: Callable[[], arb], yes: Callable[[arb], bool], no: Callable[[arb], bool]) -> bool:
    """Raise the precision until the arb ball `ball()` surely obeys `yes` or `no`; return whether `yes`."""
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            need(bits <= MAX_BITS, f"undecided at {MAX_BITS} bits")
            x = ball()
            if yes(x) or no(x):
                return yes(x)
    raise Rejected(f"undecided at {MAX_BITS} bits", 1)


def sign(ball: Callable[[], arb]) -> int:
    """Prove the sign, 1 or -1, of the number that the arb ball `ball()` encloses; a zero stays undecided."""
    return 1 if settle(ball, lambda x: x > 0, lambda x: x < 0) else -1


def value(x: Any) -> arb:
    """Rigorous enclosure (arb ball) of a rational number or a polynomial of atoms (exp, log, 1/x)."""
    if isinstance(x, fmpq):
        return arb(x)
    terms = [(c, [(i, k) for i, k in enumerate(powers) if k]) for powers, c in x.to_dict().items()]
    used = {i: ATOMS[i] for _, powers in terms for i, _ in powers}
    balls = {i: VALUES[function](value(y)) for i, (function, y) in used.items()}
    return sum((c * prod((balls[i] ** k for i, k in powers), start=arb(1)) for c, powers in terms), arb(0))


def enclosure(x: Any) -> Callable[[], arb]:
    """Function that returns an enclosure (arb ball) of a number x, as numerator over denominators."""
    top, below = fraction(x)
    return lambda: value(top) / prod(map(value, below), start=arb(1))


def atom(function: str, x: Any) -> Any:
    """Polynomial variable that stands for exp(x), log(x) or 1/x (an atom); equal arguments share one."""
    for i, (name, y) in enumerate(ATOMS):
        if name == function and type(x) is type(y) and x == y:
            return GENS[i]
    need(len(ATOMS) < len(GENS), "undecided: too many exponentials and logarithms")
    need(
        function == "exp" or sign(lambda: value(x)) > 0 or function == "inverse",
        "the logarithm of a negative number",
        2,
    )
    ATOMS.append((function, x))
    return GENS[len(ATOMS) - 1]


def extent(x: Any) -> int:
    """Number of terms of a polynomial of atoms (exp, log, 1/x); 1 for a rational number."""
    return 1 if isinstance(x, fmpq) else len(x)


def multiply(x: Any, y: Any) -> Any:
    """Product of two polynomials of atoms (exp, log, 1/x); reject the file if it may have too many terms."""
    need(extent(x) * extent(y) < 100 * MAX_ENTRIES, "undecided: a polynomial of too many terms")
    return x * y


def short(x: Any) -> Any:
    """Convert a constant polynomial to a rational number; reject the file if x has too many terms."""
    need(extent(x) < MAX_ENTRIES, "undecided: a polynomial of too many terms")
    return x.leading_coefficient() if not isinstance(x, fmpq) and x.is_constant() else x


def at(x: Any) -> Any:
    """Value a of a dual number `a + h b`, where h is the infinitesimal (h^2 = 0) and b the derivative."""
    return x if isinstance(x, fmpq) else short(x.subs({"x0": 0}))


def slope(x: Any) -> Any:
    """Derivative b of a dual number `a + h b`: the coefficient of the infinitesimal h."""
    return ZERO if isinstance(x, fmpq) else short(x.derivative(0).subs({"x0": 0}))


def divide(x: Any, y: Any) -> Any:
    """Quotient `x / y` of dual numbers: for y = a + h b, 1/y = (1/a) (1 - h b/a), 1/a rational or an atom."""
    main, more = at(y), slope(y)
    inverse = 1 / main if isinstance(main, fmpq) else atom("inverse", main)
    return multiply(x * inverse, 1 - H * more * inverse) if more != 0 else x * inverse


def exp(x: Any) -> Any:
    """Exponential of a dual number: `e^a (1 + h b)` for `a + h b`, h the infinitesimal."""
    return short((atom("exp", at(x)) if at(x) != 0 else ONE) * (1 + H * slope(x)))


def log(x: Any) -> Any:
    """Logarithm of a dual number: `log a + h b/a` for `a + h b`, h the infinitesimal.

    log a is written in logarithms of primes and of irreducible polynomials, so that equal logarithms become
    equal polynomials.
    """
    top, below = fraction(at(x))
    out = sum((-log(y) for y in below), divide(H * slope(x), at(x)) if slope(x) != 0 else ZERO)
    content, factors = (top, []) if isinstance(top, fmpq) else top.factor()
    need(content > 0 and max(content.p, content.q) < 10**12, "a logarithm's argument is out of range", 2)
    primes = [(fmpq(p), side * k) for n, side in ((content.p, 1), (content.q, -1)) for p, k in n.factor()]
    for y, k in primes + factors:
        known = [z for (name, z), g in zip(ATOMS, GENS, strict=False) if name == "exp" and g == y]
        out += int(k) * (known[0] if known else atom("log", y))
    return short(out)


def fraction(x: Any) -> tuple[Any, list[Any]]:
    """Write a polynomial of atoms (exp, log, 1/x) as a polynomial without 1/x, and its denominators."""
    below = []
    inverses = [i for i, (function, _) in enumerate(ATOMS) if function == "inverse"]
    for i in reversed(inverses):  # an inverse may be of a number that holds earlier ones
        power = 0 if isinstance(x, fmpq) else x.degrees()[i]
        x = cleared(x, i, power)
        below += [ATOMS[i][1]] * power
    return short(x), below


def cleared(x: Any, i: int, power: int) -> Any:
    """Clear the denominator y of a polynomial x of atoms: `x * y^power`, with generator `i`, 1/y, eliminated.

    With g = 1/y and n = `power`, c_0 + c_1 g + ... + c_n g^n becomes c_0 y^n + ... + c_n, by Horner's rule.
    """
    if power == 0:
        return x
    out, rest = ZERO, x
    for _ in range(power + 1):
        first = rest.subs({f"x{i}": 0})
        out, rest = multiply(out, ATOMS[i][1]) + first, (rest - first) / GENS[i]
    return out


def zero(x: Any) -> bool:
    """Whether a rational function of atoms is proved to be zero: its numerator is the zero polynomial."""
    return bool(fraction(x)[0] == 0)


# Functions that formulas apply to each entry.


def indicator_of_zero(x: Any) -> fmpq:
    """Indicator that a rational function of atoms is zero: 1 or 0, as proved; else reject the file."""
    if zero(x):
        return ONE
    sign(enclosure(x))
    return ZERO


def absolute(x: Any) -> Any:
    """Absolute value of a rational function of atoms (exp, log), from its proved sign."""
    return x if zero(x) or sign(enclosure(x)) > 0 else -x


def xlog(w: Any, x: Any, y: Any) -> Any:
    """Product `w log(x/y)`, a term of a KL divergence: 0 where the weight w is 0."""
    return w * (log(x) - log(y)) if w != 0 else ZERO


EACH: dict[str, Callable[..., Any]] = {
    "exp": exp,
    "log": log,
    "xlog": xlog,
    "abs": absolute,
    "zero": indicator_of_zero,
    "odd": lambda x: fmpq(int(x.p) % 2),
    "at": at,
    "D": slope,
}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: multiply, ast.Div: divide}


# Instances: named values, and the formulas that are made of them.


class Many(list[Any]):
    """Table of numbers over all state-action pairs, states or trajectories ("walks"), or in a plain list."""

    def __init__(self, kind: str, items: Iterable[Any]) -> None:
        """Store a table's numbers in the order of its index set, whose name is `kind`."""
        super().__init__(items)
        self.kind = kind


def parsed(text: str) -> Any:
    """Parse a formula of `statements.toml` to its syntax tree, which is never executed."""
    return ast.parse(text, mode="eval").body


def definition(head: str, text: str) -> tuple[str, tuple[list[str], Any]]:
    """Parse a definition of `statements.toml` to its name, its arguments (there may be none) and formula."""
    name, *arguments = re.findall(r"\w+", head)
    return name, (arguments, parsed(text))


DEFINED = dict(definition(head, text) for head, text in TABLE["define"].items())
"""Definitions of `statements.toml` by name: their arguments, and the formula."""

RULES: dict[str, Callable[[Any], bool]] = {
    "positive": lambda p: min(p) > 0,
    "chances": lambda p: min(p) >= 0 and sum(p) == 1,
    "whole": lambda p: p[0].q == 1 and p[0] < 100,
    "discount": lambda p: 0 <= p[0] < 1,
}
"""Conditions on a part: on all its numbers, or on those of each state if it is over pairs."""


class Instance:
    """Instance of a claim in a certificate: its parts by name, and what `statements.toml` defines by them."""

    of, own = list[int](), list[list[int]]()
    """The state of each pair; the pairs of each state."""
    rows: list[list[tuple[int, fmpq]]]
    """The successors of each pair, with their probabilities."""

    def __init__(self, data: Any, parts: list[str]) -> None:
        """Read an instance's named parts, an MDP first, and enumerate the trajectories of `horizon` steps."""
        self.known: dict[str, Any] = {"h": H}
        for name in parts:
            kind, *rules = TABLE["parts"][name].split()
            self.known[name] = self.read(data[name], kind, rules)
        self.walks = [(x, [i]) for s, x in enumerate(self.known.get("p0", [])) for i in self.own[s]]
        for _ in range(1, int(self.known.get("horizon", 1))):
            ahead = [(x * w, path, t) for x, path in self.walks for t, w in self.rows[path[-1]]]
            self.walks = [(x, [*path, i]) for x, path, t in ahead for i in self.own[t]]
            need(len(self.walks) < MAX_ENTRIES, f"the MDP must have fewer than {MAX_ENTRIES} trajectories", 2)

    def read(self, data: Any, kind: str, rules: Sequence[str] = ()) -> Any:
        """Read one part of an instance, such as a table q, over the index set `kind`; check its rules."""
        if kind == "mdp":
            return self.read_mdp(data, exact=not rules)
        if kind == "rows":
            return [self.read(x, rules[0], rules[1:]) for x in data]
        size = {"one": 1, "pairs": len(self.of), "states": len(self.own)}.get(kind)
        x = numbers([data] if kind == "one" else data, size)
        groups = [[x[i] for i in own] for own in self.own] if kind == "pairs" else [x]
        need(all(RULES[rule](p) for rule in rules for p in groups), f"a part breaks a rule of {rules}", 2)
        return x[0] if kind == "one" else Many(kind, x)

    def read_mdp(self, m: Any, *, exact: bool) -> None:
        """Read an MDP from fractions, or from packed floats whose probabilities need not sum to exactly 1."""
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
        need(
            ok and all(x < y for x, y in pairwise(zip(of, act, strict=True))), "pairs invalid or unsorted", 2
        )
        self.of, self.own = of, [list(own) for _, own in groupby(range(len(of)), key=of.__getitem__)]
        self.rows = [list(zip(to[i:j], p[i:j], strict=True)) for i, j in spans]
        need(all(len(dict(row)) == len(row) > 0 for row in self.rows), "a row is empty or has duplicates", 2)
        need(not exact or all(sum(p for _, p in row) == 1 for row in self.rows), "a row's sum is not 1", 2)
        self.known |= {"r": self.read(r, "pairs"), "gamma": self.read(m["gamma"], "one", ["discount"])}
        self.known["p0"] = self.read(m["initial"], "states", ["chances"] * exact)

    def value(self, node: Any, local: dict[str, Any]) -> Any:
        """Evaluate a formula's syntax tree; `local` are the arguments of the definition that it stands in."""
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

    def each(self, function: Callable[..., Any], *args: Any) -> Any:
        """Apply a function to tables entry by entry; repeat state values for all actions, and scalars."""
        kinds = {x.kind for x in args if isinstance(x, Many)}
        if not kinds:
            return function(*args)
        kind = "pairs" if kinds == {"pairs", "states"} else kinds.pop()
        up = [Many(kind, [x[s] for s in self.of]) if getattr(x, "kind", kind) != kind else x for x in args]
        size = max(len(x) for x in up if isinstance(x, Many))
        columns = [x if isinstance(x, Many) else [x] * size for x in up]
        return Many(kind, [function(*row) for row in zip(*columns, strict=True)])

    def over(self, f: Any, fold: Callable[[Iterable[Any]], Any]) -> Many:
        """Reduce a table over the actions of each state by `fold`, such as a sum or a maximum."""
        return Many("states", [fold(f[i] for i in own) for own in self.own])

    def along(self, fold: Callable[[Any, list[int]], Any]) -> Many:
        """Apply `fold` to each trajectory's probability (of its transitions alone) and list of pairs."""
        return Many("walks", [fold(x, path) for x, path in self.walks])

    def expect(self, v: Any) -> Many:
        """Expectation `E[v(s')]` of state values v over the next state, per state-action pair."""
        return Many("pairs", [sum((w * v[t] for t, w in row), ZERO) for row in self.rows])

    def into(self, f: Any) -> Many:
        """Sum `sum_h f(h) p(s'|h)` of a table f over all state-action pairs h, per next state s'."""
        out = Many("states", [ZERO] * len(self.own))
        for t, x in ((t, w * x) for x, row in zip(f, self.rows, strict=True) for t, w in row):
            out[t] += x
        return out

    def lowest(self, f: Any) -> Many:
        """Greedy policy of a table f of action values; it takes the first maximiser in every state."""
        return Many("pairs", [fmpq(i == max(own, key=f.__getitem__)) for own in self.own for i in own])

    def dot(self, c: Any, rows: Any) -> Any:
        """Linear combination `sum_n c_n row_n` of tables, such as a linear Q from its features."""
        terms = [self.each(multiply, *x) for x in zip(c, rows, strict=True)]
        return self.each(lambda *x: sum(x, ZERO), *terms)

    def row(self, rows: Any, k: fmpq = ZERO) -> Any:
        """Table number `j + k` in a list of tables, where j is the feature or step that `check` is at."""
        return rows[self.known["j"] + int(k)]

    def moved(self, c: Any) -> Many:
        """Parameters c of Q with the infinitesimal h added to the j-th, to differentiate in it."""
        return Many("list", [x + H * int(i == self.known["j"]) for i, x in enumerate(c)])

    def bend(self, c: Any, rows: Any, hessians: Any) -> list[Any]:
        """Gradient of a quadratic Q at parameters c: tables `row_i + sum_n c_n hessian_in`, one per i."""
        return [self.each(operator.add, f, self.dot(c, g)) for f, g in zip(rows, hessians, strict=True)]

    def moments(self, rows: Any, f: Any) -> Many:
        """Mean over all state-action pairs of the product `row * f`, for each table `row` in a list."""
        return Many("list", [self.dot(f, row) / len(f) for row in rows])


WHOLE: dict[str, Callable[..., Any]] = {
    "sum": lambda _, f: sum(f, ZERO),
    "mean": lambda _, f: sum(f, ZERO) / len(f),
    "count": lambda _, f: fmpq(len(f)),
    "max": lambda _, f: max(f),
    "min": lambda _, f: min(f),
    "by": lambda p, f: p.over(f, sum),
    "top": lambda p, f: p.over(f, max),
    "E": Instance.expect,
    "into": Instance.into,
    "lowest": Instance.lowest,
    "dot": Instance.dot,
    "row": Instance.row,
    "moved": Instance.moved,
    "bend": Instance.bend,
    "moments": Instance.moments,
    "first": lambda _, rows: rows[0],
    "final": lambda _, rows: rows[-1],
    "chance_of_walk": lambda p: p.along(lambda x, _: x),
    "total": lambda p, f: p.along(lambda _, path: sum(f[i] for i in path)),
    "product": lambda p, f: p.along(lambda _, path: prod(f[i] for i in path)),
}
"""Functions of formulas that take a whole table, list or list of tables."""


# Facts: a relation to zero of left side minus right side.


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


# All solutions of e = g(e), g = mean(beta^2) / 2 with beta = r + gamma E(E_pi[Q]) - Q at temperature e.


def average(xs: Sequence[Any], values: Sequence[Any]) -> arb:
    """Rigorous enclosure (arb ball) of the mean of `values` weighted by `exp(-x)`, for given numbers x."""
    weights = [(-arb(x)).exp() for x in xs]
    return sum((w * v for w, v in zip(weights, values, strict=True)), arb(0)) / sum(weights, arb(0))


def variance(gaps: list[fmpq], a: fmpq, b: fmpq) -> arb:
    """Enclosure (arb ball) of Var(Q)/e^2 in a state under its Boltzmann policy, for temperatures e in [a, b].

    The state's actions lie `gaps` below its best one. On [0, b] the value is at most the sum of x^2 exp(-x),
    x = gap/e: each term is largest at x = 2, or at b.
    """
    if not a:
        tops = [arb(max(g / b, fmpq(2))) for g in gaps if g]
        return arb(0).union(sum((x**2 * (-x).exp() for x in tops), arb(0)))
    xs = [arb(g) / arb(a).union(arb(b)) for g in gaps]
    return average(xs, [(x - average(xs, xs)) ** 2 for x in xs])


class Temperatures:
    """Map g from a temperature e to the residual error of a table q under its Boltzmann policy at e.

    As dE_pi[Q]/de = -Var(Q)/e^2 <= 0, every beta falls in e, so that its values at two temperatures enclose
    it in between.
    """

    def __init__(self, point: Instance) -> None:
        """Compute the action gaps of an instance's table q, and its Bellman residual at temperature 0."""
        self.point, self.gamma, q = point, point.known["gamma"], point.known["q"]
        self.gaps = [[max(q[i] for i in own) - q[i] for i in own] for own in point.own]
        self.cold = point.value(parsed("T(q) - q"), {})

    def residual(self, e: fmpq | None) -> list[Any]:
        """Bellman residual beta per pair at temperature e; None means infinity, the uniform policy."""
        loss = [self.loss(gaps, e) for gaps in self.gaps]
        return [c - self.gamma * x for c, x in zip(self.cold, self.point.expect(loss), strict=True)]

    def loss(self, gaps: list[fmpq], e: fmpq | None) -> Any:
        """Loss `max_a Q - E_pi[Q]` in a state with the action gaps `gaps`, pi the Boltzmann policy at e."""
        return average([0 if e is None else g / e for g in gaps], gaps) if e != 0 else ZERO

    def side(self, e: fmpq) -> int:
        """Proved sign of `g(e) - e`, g(e) the residual error at temperature e; 0 if e = 0 is a solution."""
        return int(any(self.cold)) if e == 0 else sign(lambda: half_mean_square(self.residual(e)) - e)

    def between(self, a: fmpq, b: fmpq | None) -> list[arb]:
        """Enclosures (arb balls) of the Bellman residual beta per pair on [a, b]; b = None is infinity."""
        return [arb(x).union(arb(y)) for x, y in zip(self.residual(a), self.residual(b), strict=True)]

    def may_vanish(self, a: fmpq, b: fmpq) -> bool:
        """Whether [a, b] may hold a self-consistent temperature e: the enclosure of `g(e) - e` contains 0."""
        return bool((half_mean_square(self.between(a, b)) - arb(a).union(arb(b))).contains(0))

    def may_turn(self, a: fmpq, b: fmpq) -> bool:
        """Whether `g(e) - e` may be non-monotone in the temperature e on [a, b]: `g'(e) - 1` may vanish."""
        flow = self.point.expect([variance(gaps, a, b) for gaps in self.gaps])
        slope = -self.gamma / len(self.cold) * sum(map(arb.__mul__, self.between(a, b), flow))
        return bool(slope.contains(1))


def half_mean_square(beta: list[Any]) -> Any:
    """Residual error `mean(beta^2) / 2`, beta the Bellman residual of each state-action pair."""
    return sum(x * x for x in beta) / (2 * len(beta))


def isolate(point: Instance) -> None:
    """Prove that each interval [low, high] holds one self-consistent temperature, and there are no others.

    These are the solutions of e = g(e). The boxes that end at `ends`, from 0 on, cover what lies below the
    supremum of g. On a box g(e) - e has no zero, or is monotone: then it has one zero if its signs at the two
    ends differ, else none.
    """
    g, found = Temperatures(point), []
    ends, low, high = (point.known[name] for name in ("ends", "low", "high"))
    for a, b in pairwise([ZERO, *ends]):
        with ctx.workprec(256):
            need(a < b, "the `ends` of boxes do not rise", 2)
            if not g.may_vanish(a, b):
                continue
            need(not g.may_turn(a, b), f"g(e) - e may turn on the box to {b}")
        if g.side(a) != g.side(b):
            found.append((a, b, g.side(a)))
    need(half_mean_square(g.between(ends[-1], None)) < ends[-1], "the boxes end too early, below sup g")
    need(len(found) == len(low) == len(high), f"there are {len(found)} roots, not {len(low)}")
    for (a, b, left), x, y in zip(found, low, high, strict=True):
        holds = a == x == y if left == 0 else a <= x < y <= b and g.side(x) == left == -g.side(y)
        need(holds, "an interval [low, high] does not hold one root")


# Certificates and files.

CLAIMS = {f"{x} {key.split()[-1]}": rule for key, rule in TABLE["claims"].items() for x in key.split()[:-1]}
"""The parts and facts of every claim and form: a key of the table may name several claims."""
WRONG_SHAPE = ValueError, TypeError, LookupError, AttributeError, ArithmeticError, zlib.error, struct.error
TOO_MUCH = RecursionError, MemoryError


def check(entry: Any) -> None:
    """Prove every equation and inequality that one certificate claims.

    With features, a fact is proved for every direction; with tables, for every two that follow each other.
    """
    name = f"{entry['claim']} {entry['form']}"
    need(name in CLAIMS, f"no claim {name[:60]!r} in statements.toml", 2)
    parts, *facts = CLAIMS[name]
    ATOMS[:] = [("", ZERO)]  # generator 0 is h
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


def reject_number(text: str) -> None:
    """Reject a number of JSON that is not an integer: a float, NaN or Infinity."""
    raise Rejected(f"the number {text[:40]} is not an integer", 2)


def read_file(path: Path) -> Any:
    """Read a certificate file and check its schema and its hash."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    need(len(raw) <= MAX_BYTES, f"the file is larger than {MAX_BYTES} bytes", 2)
    data = json.loads(raw, parse_float=reject_number, parse_constant=reject_number, object_pairs_hook=Read)
    need(data["schema"] == SCHEMA, f"`schema` must be {SCHEMA}, of this version", 2)
    claimed = data["sha256"]
    body = {key: x for key, x in data.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    need(hashlib.sha256(text.encode()).hexdigest() == claimed, "the content does not match `sha256`", 2)
    return data


def recheck(path: Path) -> int:
    """Prove all certificates of a file and return their number.

    Raises:
        Rejected: if one is not true, or the file is not a file of certificates.
    """
    DEADLINE[0], where = time.monotonic() + MAX_SECONDS, ""
    Read.every.clear()
    try:
        data = read_file(path)
        entries, versions = data["certificates"], data["versions"]
        need(isinstance(entries, list) and 0 < len(entries) <= MAX_ITEMS, "no certificates, or too many", 2)
        need(all(isinstance(versions[key], str) for key in versions), "`versions` must hold texts", 2)
        for k, entry in enumerate(entries):
            where = f"certificate {k}: "
            check(entry)
        unread = [key for read in Read.every for key in read.unread]
        need(not unread, f"the file has a key that no claim uses: {unread[:1]}", 2)
    except Rejected as rejected:
        raise Rejected(where + rejected.args[0], rejected.args[1]) from None
    except OSError as error:
        raise Rejected(f"unreadable: {error.strerror}", 2) from None
    except (*WRONG_SHAPE, *TOO_MUCH) as error:
        raise Rejected(f"{where}malformed: {type(error).__name__}: {str(error)[:80]}", 2) from None
    return len(entries)


# The command.


def main_recheck(argv: Sequence[str]) -> int:
    """Check every certificate file named, print one line per file, and return the worst exit status."""
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    paths = list(map(Path, argv))
    runs = [path for path in paths if path.name == "results.json" and path.is_file()]
    beside = {path: sorted(path.parent.glob("certificates/*.json")) for path in runs}
    files = dict.fromkeys(file for path in paths for file in beside.get(path) or [path])
    return max(report(file, is_run=file in beside) for file in files)


def report(path: Path, *, is_run: bool) -> int:
    """Check one certificate file, print the outcome, and return the exit status.

    A run's `results.json` that comes here has no certificates beside it.
    """
    try:
        print(f"{path}: {recheck(path)} certificates, all true")  # noqa: T201
    except Rejected as rejected:
        why, status = rejected.args
        shown = ascii(why)[1:-1][:200] + ", and no certificates beside it" * is_run
        print(f"{path}: {('', 'not true', 'rejected')[status]}: {shown}", file=sys.stderr)  # noqa: T201
        return int(status)
    return 0


if __name__ == "__main__":
    sys.exit(main_recheck(sys.argv[1:]))
