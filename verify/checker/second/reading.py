"""Reading: every key of a certificate must be one that is wanted."""

import base64
import itertools
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from .errors import Wrong


def exactly(data: Any, *keys: str) -> dict[str, Any]:
    """The data, which must be an object with these keys."""
    if not isinstance(data, dict) or set(data) != set(keys):
        raise Wrong(f"not an object with the keys {', '.join(keys)}")
    return data


def number_of(text: Any) -> Fraction:
    """Fraction from a text such as -3/4."""
    if not isinstance(text, str) or not re.fullmatch(r"-?\d+(/\d+)?", text, re.ASCII) or len(text) > 6002:
        raise Wrong("not a fraction")
    top, *below = text.split("/")
    if len(top) > 3001 or (below[:1] and below[0].startswith("0")):
        raise Wrong("not a fraction")
    return Fraction(int(top), *map(int, below))


def array_of(data: Any, letter: str) -> list[Any]:
    """Numbers of a packed array."""
    raw = zlib.decompress(base64.b64decode(data, validate=True))
    return [x for (x,) in struct.iter_unpack("<" + letter, raw)]


def list_of(data: Any) -> list[Fraction]:
    """Fractions from a list of texts, or from packed floats."""
    if isinstance(data, str):
        return [Fraction(x) for x in array_of(data, "d")]
    if not isinstance(data, list):
        raise Wrong("not a list")
    return [number_of(x) for x in data]


@dataclass
class Model:
    """MDP: per pair its state, reward and successors; the initial distribution; the discount."""

    states: list[int]
    rewards: list[Fraction]
    rows: list[list[tuple[int, Fraction]]]
    initial: list[Fraction]
    gamma: Fraction

    def __post_init__(self) -> None:
        """Check what holds of any MDP."""
        n = len(self.initial)
        targets = [t for row in self.rows for t, _ in row]
        ok = set(self.states) == set(range(n)) and set(targets) <= set(range(n)) and all(self.rows)
        ok = ok and all(len({t for t, _ in row}) == len(row) for row in self.rows) and 0 <= self.gamma < 1
        if not ok or any(p <= 0 for row in self.rows for _, p in row):
            raise Wrong("not an MDP")

    @cached_property
    def by_state(self) -> list[list[int]]:
        """Numbers of the pairs of each state."""
        out: list[list[int]] = [[] for _ in self.initial]
        for i, s in enumerate(self.states):
            out[s].append(i)
        return out


def sums_to_one(xs: Sequence[Fraction], slack: Fraction = Fraction(0)) -> bool:
    """Whether numbers are probabilities that sum to 1, or to at most `slack` more or less."""
    return all(x >= 0 for x in xs) and -slack <= sum(xs) - 1 <= slack


def obeys(rule: str, xs: list[Fraction]) -> bool:
    """Whether numbers obey a rule of `statements.toml`."""
    if rule == "chances":
        return sums_to_one(xs)
    if rule == "positive":
        return all(x > 0 for x in xs)
    if rule == "whole":
        return xs[0].denominator == 1 and xs[0] < 100
    return rule == "discount" and 0 <= xs[0] < 1


def model_of(data: Any, *, packed: bool) -> Model:
    """MDP of a certificate, in fractions, or packed floats, where sums of chances are 1 within 1e-8."""
    exactly(data, "n_states", "n_actions", "gamma", "initial", "pairs")
    if packed:
        x = exactly(data["pairs"], "s", "a", "size", "to", "p", "r")
        states, actions, sizes, to = (array_of(x[key], "i") for key in ("s", "a", "size", "to"))
        p, ends = list_of(x["p"]), list(itertools.accumulate(sizes))
        if len(p) != len(to) or not ends or ends[-1] != len(to) or min(sizes) < 1:
            raise Wrong("sizes of rows do not fit")
        rows = [list(zip(to[e - n : e], p[e - n : e], strict=True)) for e, n in zip(ends, sizes, strict=True)]
        rewards = list_of(x["r"])
    else:
        states, actions, r, successors = map(list, zip(*data["pairs"], strict=True))
        rewards, rows = list_of(r), [[(t, number_of(p)) for t, p in row] for row in successors]
    initial, gamma = list_of(data["initial"]), number_of(data["gamma"])
    whole = [data["n_states"], data["n_actions"], *states, *actions, *(t for row in rows for t, _ in row)]
    key = list(zip(states, actions, strict=True))
    ok = all(type(i) is int for i in whole) and len(initial) == data["n_states"] and len(rewards) == len(rows)
    ok = ok and key == sorted(set(key)) and all(0 <= a < data["n_actions"] for a in actions)
    slack = Fraction(1, 10**8) if packed else Fraction(0)
    if not ok or not all(sums_to_one(xs, slack) for xs in (initial, *([p for _, p in x] for x in rows))):
        raise Wrong("not an MDP in order")
    return Model(states, rewards, rows, initial, gamma)
