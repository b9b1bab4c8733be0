"""Instances of claims, on which formulas are evaluated."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

from .errors import Wrong
from .numbers_with_h import Calculus, Pair, Rationals, Table
from .reading import Model, exactly, list_of, model_of, number_of, obeys
from .table import Tree, definitions, statements


class Point(Calculus):
    """Instance of a claim, on which formulas are evaluated in an arithmetic."""

    def __init__(self, data: Any, names: Sequence[str], arithmetic: Rationals | None = None) -> None:
        """Read the parts of an instance."""
        super().__init__(arithmetic)
        self.round = 0
        self.model: Model | None = None
        self.known: dict[str, Any] = {"h": Pair(Fraction(0), Fraction(1))}
        exactly(data, *names)
        for name in names:
            index, *must = statements()["parts"][name].split()
            if index == "mdp":
                self.model = model_of(data[name], packed=bool(must))
                self.known |= {
                    "r": self.table("pairs", self.model.rewards),
                    "p0": self.table("states", self.model.initial),
                    "gamma": Pair(self.model.gamma),
                }
            else:
                self.known[name] = self.part(data[name], index, must)
        self.base = dict(self.known)

    def table(self, over: str, numbers: Sequence[Fraction]) -> Table:
        """Table of fractions."""
        return Table(over, [Pair(x) for x in numbers])

    def part(self, data: Any, index: str, must: list[str]) -> Any:
        """Read one part over an index set, and check what must hold of it."""
        if index == "rows":
            if not isinstance(data, list):
                raise Wrong("not a list of tables")
            return [self.part(x, must[0], must[1:]) for x in data]
        xs = [number_of(data)] if index == "one" else list_of(data)
        size = {"one": 1, "pairs": self.count("pairs"), "states": self.count("states")}.get(index, len(xs))
        groups = (
            [[xs[i] for i in own] for own in self.own()] if index == "pairs" and len(xs) == size else [xs]
        )
        if len(xs) != size or not all(obeys(rule, group) for rule in must for group in groups):
            raise Wrong("a part breaks a rule")
        return Pair(xs[0]) if index == "one" else self.table(index, xs)

    def own(self) -> list[list[int]]:
        """Pairs of each state."""
        return self.model.by_state if self.model else []

    def count(self, index: str) -> int:
        """Size of an index set."""
        if self.model is None:
            return 0
        return len(self.model.rows if index == "pairs" else self.model.initial)

    @property
    def rounds(self) -> int:
        """How often every fact is claimed: per direction, or per step of a list of tables."""
        if "features" in self.base:
            return len(self.base["features"])
        return len(self.base["tables"]) - 1 if "tables" in self.base else 1

    def lifted(self, function: Callable[..., Pair], *args: Any) -> Any:
        """Apply a function of numbers to tables, entry by entry."""
        kinds = {x.over for x in args if isinstance(x, Table)}
        if not kinds:
            return function(*args)
        if len(kinds) > 1 and kinds != {"pairs", "states"}:
            raise Wrong(f"tables over {' and '.join(sorted(kinds))} do not meet")
        kind = "pairs" if "pairs" in kinds else kinds.pop()
        size = max(len(x) for x in args if isinstance(x, Table) and x.over == kind)
        spread = [self.spread(x, kind, size) for x in args]
        return Table(kind, [function(*row) for row in zip(*spread, strict=True)])

    def spread(self, x: Any, kind: str, size: int) -> list[Pair]:
        """A number or a table as a table over an index set."""
        if not isinstance(x, Table):
            return [x] * size
        if x.over == kind:
            return x
        assert self.model is not None
        return [x[s] for s in self.model.states]

    def needed(self) -> Model:
        """The instance's MDP."""
        if self.model is None:
            raise Wrong("no MDP")
        return self.model

    def walks(self) -> list[tuple[Fraction, list[int]]]:
        """Probability of the transitions, and pairs, of every trajectory of `horizon` steps."""
        model, steps = self.needed(), int(self.base["horizon"].a) if "horizon" in self.base else 1
        out = [(p, [i]) for s, p in enumerate(model.initial) for i in model.by_state[s]]
        for _ in range(steps - 1):
            out = [
                (chance * p, [*path, i])
                for chance, path in out
                for t, p in model.rows[path[-1]]
                for i in model.by_state[t]
            ]
            if len(out) >= 10_000:
                raise Wrong("too many trajectories")
        return out

    def along(self, fold: Callable[[Sequence[Pair]], Pair], f: Table) -> Table:
        """Fold a table over the pairs of each trajectory."""
        return Table("walks", [fold([f[i] for i in path]) for _, path in self.walks()])

    def onward(self, v: Table) -> Table:
        """Expectation over the next state."""
        rows = self.needed().rows
        return Table("pairs", [self.sum([self.times(Pair(p), v[t]) for t, p in row]) for row in rows])

    def inward(self, f: Table) -> Table:
        """Sum of a table over the pairs that lead to each state, by their probabilities."""
        flows = [
            (t, self.times(Pair(p), x)) for x, row in zip(f, self.needed().rows, strict=True) for t, p in row
        ]
        n = self.count("states")
        return Table("states", [self.sum([x for t, x in flows if t == s]) for s in range(n)])

    def per_state(self, fold: Callable[[Sequence[Pair]], Pair], f: Table) -> Table:
        """Fold a table over the pairs of each state."""
        return Table("states", [fold([f[i] for i in own]) for own in self.own()])

    def greedy(self, f: Table) -> Table:
        """Policy that takes the first maximiser in every state."""
        out = Table("pairs", [Pair(Fraction(0))] * len(f))
        for own in self.own():
            best = self.largest([f[i] for i in own])
            out[next(i for i in own if f[i] is best)] = Pair(Fraction(1))
        return out

    def combined(self, c: Table, rows: list[Table]) -> Any:
        """Linear combination of tables."""
        terms = [self.lifted(self.times, x, row) for x, row in zip(c, rows, strict=True)]
        return reduce(lambda x, y: self.lifted(self.plus, x, y), terms)

    def moved(self, c: Table) -> Table:
        """Parameters, the one of this round moved by h."""
        return Table(
            "list", [self.plus(x, self.known["h"]) if i == self.round else x for i, x in enumerate(c)]
        )

    def mean(self, f: Table) -> Pair:
        """Mean of a table."""
        return self.over(self.sum(f), Pair(Fraction(len(f))))

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Functions of whole tables, by name."""
        plus, times = self.plus, self.times
        return {
            "sum": self.sum,
            "mean": self.mean,
            "count": lambda f: Pair(Fraction(len(f))),
            "max": self.largest,
            "min": lambda f: self.minus(
                Pair(Fraction(0)), self.largest([self.minus(Pair(Fraction(0)), x) for x in f])
            ),
            "by": lambda f: self.per_state(self.sum, f),
            "top": lambda f: self.per_state(self.largest, f),
            "E": self.onward,
            "into": self.inward,
            "lowest": self.greedy,
            "dot": self.combined,
            "row": lambda rows, *k: rows[self.round + sum(int(x.a) for x in k)],
            "moved": self.moved,
            "bend": lambda c, rows, hessians: [
                self.lifted(plus, f, self.combined(c, g)) for f, g in zip(rows, hessians, strict=True)
            ],
            "moments": lambda rows, f: Table("list", [self.mean(self.lifted(times, x, f)) for x in rows]),
            "first": lambda rows: rows[0],
            "final": lambda rows: rows[-1],
            "chance_of_walk": lambda: Table("walks", [Pair(p) for p, _ in self.walks()]),
            "total": lambda f: self.along(self.sum, f),
            "product": lambda f: self.along(self.product, f),
        }

    def of_each(self) -> dict[str, Callable[..., Pair]]:
        """Functions of numbers, by name."""
        return {
            "+": self.plus,
            "-": self.minus,
            "*": self.times,
            "/": self.over,
            "exp": self.exp,
            "log": self.log,
            "xlog": self.xlog,
            "abs": self.absolute,
            "zero": lambda x: Pair(Fraction(int(self.sign(x) == 0))),
            "odd": self.odd,
            "at": lambda x: Pair(x.a),
            "D": lambda x: Pair(x.b),
        }

    def evaluate(self, tree: Tree, local: dict[str, Any]) -> Any:
        """Value of a formula; `local` are the arguments of the definition that it stands in."""
        kind = tree[0]
        if kind == "number":
            return Pair(Fraction(tree[1]))
        if kind == "name":
            return self.named(tree[1], local)
        if kind != "call":
            return self.lifted(self.of_each()[kind], *(self.evaluate(x, local) for x in tree[1:]))
        name, args = tree[1], [self.evaluate(x, local) for x in tree[2]]
        if name in definitions():
            names, inner = definitions()[name]
            return self.evaluate(inner, dict(zip(names, args, strict=True)))
        if name in self.of_each():
            return self.lifted(self.of_each()[name], *args)
        return self.functions()[name](*args)

    def named(self, name: str, local: dict[str, Any]) -> Any:
        """Value of a name: an argument, a part, or a definition, which is evaluated once per round."""
        if name in local:
            return local[name]
        if name not in self.known:
            self.known[name] = self.evaluate(definitions()[name][1], {})
        return self.known[name]

    def differences(self, fact: Tree) -> list[Pair]:
        """Left minus right of a fact, over all rounds."""
        out: list[Pair] = []
        for j in range(self.rounds):
            self.round, self.known = j, dict(self.base)
            x = self.evaluate(("-", fact[1], fact[2]), {})
            out += x if isinstance(x, list) and not isinstance(x, Pair) else [x]
        if not out:
            raise Wrong("a fact that claims nothing")
        for x in out:
            self.sign(x)
        return out
