"""Truncated power series in balls, `value + derivative t + O(t^2)`: derivatives by their definition.

A number that depends on the parameter t is such a pair, a `Jet`. A table has one entry per pair `(s, a)`, as
everywhere in `verify.arithmetic`; a list over states has one entry per state.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from flint import arb, arb_series, fmpq

from verify.arithmetic.balls import Number
from verify.arithmetic.instance import Exact

Jet = arb_series
"""A ball for the value and one for the derivative with respect to t."""


def jet(value: Number | int, slope: Number | int = 0) -> Jet:
    """`value + slope t`."""
    return arb_series([arb(value), arb(slope)], prec=2)


def total(terms: Iterable[Any]) -> Jet:
    """Sum of jets and numbers."""
    return sum(terms, jet(0))


def slope(x: Any) -> arb:
    """Derivative of a jet; 0 for a number, which does not depend on t."""
    return x[1] if isinstance(x, arb_series) else arb(0)


def value(x: Any) -> arb:
    """Value of a jet at t = 0; a number is its own value."""
    return x[0] if isinstance(x, arb_series) else arb(x)


def values(table: Sequence[Any]) -> list[arb]:
    """Values of a table of jets at t = 0; the paper's stop-gradient."""
    return [value(x) for x in table]


def slopes(table: Sequence[Any]) -> list[arb]:
    """Derivatives of a table of jets."""
    return [slope(x) for x in table]


def by_state(x: Exact, table: Sequence[Any]) -> list[Jet]:
    """Sum of a table over the actions of every state."""
    return [total(table[i] for i in own) for own in x.mdp.of_state]


def mean(x: Exact, pi: Sequence[Any], table: Sequence[Any]) -> list[Jet]:
    """`E_pi[table]` per state."""
    return by_state(x, [p * f for p, f in zip(pi, table, strict=True)])


def ahead(x: Exact, v: Sequence[Any]) -> list[Jet]:
    """`E[v(s')]` per pair."""
    return [total(p * v[t] for t, p in row) for row in x.mdp.rows]


def over_pairs(table: Sequence[Any]) -> Jet:
    """Mean of a table over all pairs."""
    return total(table) / arb(len(table))


def softmax(x: Exact, logits: Sequence[Jet]) -> tuple[list[Jet], list[Jet]]:
    """Softmax policy over the logits and its logarithm, one entry per pair."""
    log_pi = list(logits)
    for own in x.mdp.of_state:
        top = max((logits[i] for i in own), key=lambda y: float(y[0].mid()))
        shifted = {i: logits[i] - top[0] for i in own}
        mass = total(y.exp() for y in shifted.values()).log()
        for i in own:
            log_pi[i] = shifted[i] - mass
    return [y.exp() for y in log_pi], log_pi


def along(x: Exact, j: int) -> list[fmpq]:
    """Direction j of the features, a table b: the derivative of Q in omega_j."""
    return list(x.features[j])


def linear(x: Exact, j: int) -> list[Jet]:
    """`Q = sum_n omega_n features_n` per pair, with its derivative in omega_j."""
    return [
        jet(sum((w * f[i] for w, f in zip(x.omega, x.features, strict=True)), fmpq(0)), x.features[j][i])
        for i in range(x.mdp.n_pairs)
    ]


def in_every_direction(x: Exact, sides: Any) -> list[arb]:
    """The numbers or tables `sides(j)` of all directions j of the features, one after the other."""
    out: list[arb] = []
    for j in range(len(x.features)):
        found = sides(j)
        out += found if isinstance(found, list) else [found]
    return out
