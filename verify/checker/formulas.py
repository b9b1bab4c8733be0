"""Instances of certificates, and the formulas of `statements.toml` that are made of their parts."""

import ast
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any

from flint import fmpq

from .algebra import (
    ZERO,
    H,
    absolute,
    add,
    at,
    divide,
    exp,
    indicator_of_zero,
    log,
    multiply,
    product,
    slope,
    total,
    xlog,
)
from .limits import MAX_ENTRIES, need, within
from .reading import numbers, unpacked

SOURCE = Path(__file__).parent.with_name("statements.toml").read_bytes()
"""The file of all formulas, which is trusted; the answer has its hash."""
TABLE = tomllib.loads(SOURCE.decode())
"""Parts of instances, definitions and claims: the formulas that are checked."""
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
OPERATORS = {ast.Add: add, ast.Sub: lambda x, y: add(x, -y), ast.Mult: multiply, ast.Div: divide}


# Instances: named values, and the formulas that are made of them.


class Many(list[Any]):
    """Table of numbers over all state-action pairs, states or trajectories ("walks"), or in a plain list."""

    def __init__(self, kind: str, items: Iterable[Any]) -> None:
        """Store a table's numbers in the order of its index set, whose name is `kind`."""
        super().__init__(items)
        self.kind = kind


@cache
def parsed(text: str) -> Any:
    """Parse a formula of `statements.toml` to its syntax tree, which is never executed."""
    return ast.parse(text, mode="eval").body


def definition(head: str, text: str) -> tuple[str, tuple[list[str], Any]]:
    """Parse a definition of `statements.toml` to its name, its arguments (there may be none) and formula."""
    name, *arguments = re.findall(r"\w+", head)
    return name, (arguments, parsed(text))


DEFINED = dict(definition(head, text) for head, text in TABLE["define"].items())
"""Definitions of `statements.toml` by name: their arguments, and the formula."""

ROUNDING = fmpq(1, 10**8)
"""How far from 1 the sum of packed probabilities may be: 10 million rounded ones are within 6e-9."""
RULES: dict[str, Callable[[Any], bool]] = {
    "positive": lambda p: min(p) > 0,
    "chances": lambda p: min(p) >= 0 and total(p) == 1,
    "about": lambda p: min(p) >= 0 and abs(total(p) - 1) <= ROUNDING,
    "whole": lambda p: p[0].q == 1 and p[0] < 100,
    "discount": lambda p: 0 <= p[0] < 1,
}
"""Conditions on a part: on all its numbers, or on those of each state if it is over pairs."""
MUST_BE = {
    "positive": "above 0",
    "chances": "probabilities that sum to 1",
    "about": "probabilities that sum to 1 within 1e-8",
    "whole": "a whole number below 100",
    "discount": "at least 0 and below 1",
}
"""The same conditions in words."""


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
            with within(f"`{name}`"):
                self.known[name] = self.read(data[name], kind, rules)
        self.walks = [(x, [i]) for s, x in enumerate(self.known.get("p0", [])) for i in self.own[s]]
        for _ in range(1, int(self.known.get("horizon", 1))):
            n_walks = sum(len(self.own[t]) for _, path in self.walks for t, _ in self.rows[path[-1]])
            need(n_walks < MAX_ENTRIES, f"the MDP must have fewer than {MAX_ENTRIES} trajectories", 2)
            ahead = [(multiply(x, w), path, t) for x, path in self.walks for t, w in self.rows[path[-1]]]
            self.walks = [(x, [*path, i]) for x, path, t in ahead for i in self.own[t]]

    def read(self, data: Any, kind: str, rules: Sequence[str] = ()) -> Any:
        """Read one part of an instance, such as a table q, over the index set `kind`; check its rules."""
        if kind == "mdp":
            return self.read_mdp(data, exact=not rules)
        if kind == "rows":
            return [self.read(x, rules[0], rules[1:]) for x in data]
        size = {"one": 1, "pairs": len(self.of), "states": len(self.own)}.get(kind)
        x = numbers([data] if kind == "one" else data, size)
        groups = [[x[i] for i in own] for own in self.own] if kind == "pairs" else [x]
        for rule in rules:
            for p in groups:
                need(RULES[rule](p), f"must be {MUST_BE[rule]}; found {', '.join(map(str, p))[:60]}", 2)
        return x[0] if kind == "one" else Many(kind, x)

    def read_mdp(self, m: Any, *, exact: bool) -> None:
        """Read an MDP from fractions, or from packed floats whose sums are 1 within `ROUNDING`."""
        if exact:
            of, act, r, rows = map(list, zip(*m["pairs"], strict=True))
            size, (to, p) = [*map(len, rows)], map(list, zip(*(x for row in rows for x in row), strict=True))
        else:
            of, act, size, to = (unpacked(m["pairs"][key], "i") for key in ("s", "a", "size", "to"))
            r, p = m["pairs"]["r"], m["pairs"]["p"]
        n, p, spans = m["n_states"], numbers(p, len(to)), list(pairwise(accumulate(size, initial=0)))
        ok = all(type(x) is int for x in (n, m["n_actions"], *of, *act, *to)) and 0 < n <= len(of)
        need(ok, "numbers of states and actions must be whole, with a pair for each state", 2)
        ok = set(of) == set(range(n)) >= set(to)
        need(ok, f"`pairs` must be of all states from 0 to {n - 1}, and lead to these alone", 2)
        need(
            0 <= min(act) <= max(act) < m["n_actions"],
            "actions must be from 0 to `n_actions` - 1",
            2,
        )
        need(all(x < y for x, y in pairwise(zip(of, act, strict=True))), "`pairs` must be in rising order", 2)
        need(len(to) <= MAX_ENTRIES or not exact, f"more than {MAX_ENTRIES} transitions", 2)
        need(spans[-1][1] == len(to) and min(p) > 0, "chances must be above 0, one for each successor", 2)
        self.of, self.own = of, [list(own) for _, own in groupby(range(len(of)), key=of.__getitem__)]
        self.rows = [list(zip(to[i:j], p[i:j], strict=True)) for i, j in spans]
        need(all(len(dict(row)) == len(row) > 0 for row in self.rows), "a row is empty or has duplicates", 2)
        rule = "chances" if exact else "about"
        need(all(RULES[rule]([p for _, p in row]) for row in self.rows), "a row's sum is not 1", 2)
        for name, x, *how in (("r", r, "pairs"), ("gamma", m["gamma"], "one", "discount")):
            with within(f"`{name}`"):
                self.known[name] = self.read(x, how[0], how[1:])
        with within("`initial`"):
            self.known["p0"] = self.read(m["initial"], "states", [rule])

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
        need(len(kinds) == 1 or kinds == {"pairs", "states"}, f"tables over {sorted(kinds)} do not meet", 2)
        kind = "pairs" if len(kinds) == 2 else kinds.pop()
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
        return Many("pairs", [total(multiply(w, v[t]) for t, w in row) for row in self.rows])

    def into(self, f: Any) -> Many:
        """Sum `sum_h f(h) p(s'|h)` of a table f over all state-action pairs h, per next state s'."""
        out = Many("states", [ZERO] * len(self.own))
        for x, row in zip(f, self.rows, strict=True):
            for t, w in row:
                out[t] = add(out[t], multiply(w, x))
        return out

    def lowest(self, f: Any) -> Many:
        """Greedy policy of a table f of action values; it takes the first maximiser in every state."""
        return Many("pairs", [fmpq(i == max(own, key=f.__getitem__)) for own in self.own for i in own])

    def dot(self, c: Any, rows: Any) -> Any:
        """Linear combination `sum_n c_n row_n` of tables, such as a linear Q from its features."""
        terms = [self.each(multiply, *x) for x in zip(c, rows, strict=True)]
        return self.each(lambda *x: total(x), *terms)

    def row(self, rows: Any, k: fmpq = ZERO) -> Any:
        """Table number `j + k` in a list of tables, where j is the feature or step that `check` is at."""
        return rows[self.known["j"] + int(k)]

    def moved(self, c: Any) -> Many:
        """Parameters c of Q with the infinitesimal h added to the j-th, to differentiate in it."""
        return Many("list", [x + H * int(i == self.known["j"]) for i, x in enumerate(c)])

    def bend(self, c: Any, rows: Any, hessians: Any) -> list[Any]:
        """Gradient of a quadratic Q at parameters c: tables `row_i + sum_n c_n hessian_in`, one per i."""
        return [self.each(add, f, self.dot(c, g)) for f, g in zip(rows, hessians, strict=True)]

    def moments(self, rows: Any, f: Any) -> Many:
        """Mean over all state-action pairs of the product `row * f`, for each table `row` in a list."""
        return Many("list", [self.dot(f, row) / len(f) for row in rows])


WHOLE: dict[str, Callable[..., Any]] = {
    "sum": lambda _, f: total(f),
    "mean": lambda _, f: total(f) / len(f),
    "count": lambda _, f: fmpq(len(f)),
    "max": lambda _, f: max(f),
    "min": lambda _, f: min(f),
    "by": lambda p, f: p.over(f, total),
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
    "total": lambda p, f: p.along(lambda _, path: total(f[i] for i in path)),
    "product": lambda p, f: p.along(lambda _, path: product(f[i] for i in path)),
}
"""Functions of formulas that take a whole table, list or list of tables."""
