"""Power series with ball coefficients, cut off after the first power: derivatives by definition.

A number that moves with a parameter is `value + slope t`. Tables have an entry a pair, as everywhere.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from flint import arb, arb_series, fmpq

from verify.arithmetic.balls import Number
from verify.arithmetic.instance import Exact

Moving = arb_series


def moving(value: Number | int, slope: Number | int = 0) -> Moving:
    """`value + slope t`."""
    return arb_series([arb(value), arb(slope)], prec=2)


def total(terms: Iterable[Any]) -> Moving:
    """Their sum."""
    return sum(terms, moving(0))


def slope(x: Any) -> arb:
    """Coefficient of t; 0 of a number that does not move."""
    return x[1] if isinstance(x, arb_series) else arb(0)


def value(x: Any) -> arb:
    """What does not move."""
    return x[0] if isinstance(x, arb_series) else arb(x)


def stopped(table: Sequence[Any]) -> list[arb]:
    """A table that does not move."""
    return [value(x) for x in table]


def slopes(table: Sequence[Any]) -> list[arb]:
    """Coefficients of t."""
    return [slope(x) for x in table]


def by_state(x: Exact, table: Sequence[Any]) -> list[Moving]:
    """Sums over the actions of every state."""
    return [total(table[i] for i in own) for own in x.mdp.of_state]


def mean(x: Exact, pi: Sequence[Any], table: Sequence[Any]) -> list[Moving]:
    """E_pi[table] of every state."""
    return by_state(x, [p * f for p, f in zip(pi, table, strict=True)])


def ahead(x: Exact, v: Sequence[Any]) -> list[Moving]:
    """E[v(s')] of every pair."""
    return [total(p * v[t] for t, p in row) for row in x.mdp.rows]


def over_pairs(table: Sequence[Any]) -> Moving:
    """The mean over all pairs."""
    return total(table) / arb(len(table))


def softmax(x: Exact, logits: Sequence[Moving]) -> tuple[list[Moving], list[Moving]]:
    """Boltzmann policy and its logarithm, one entry a pair."""
    log_pi = list(logits)
    for own in x.mdp.of_state:
        top = max((logits[i] for i in own), key=lambda y: float(y[0].mid()))
        shifted = {i: logits[i] - top[0] for i in own}
        mass = total(y.exp() for y in shifted.values()).log()
        for i in own:
            log_pi[i] = shifted[i] - mass
    return [y.exp() for y in log_pi], log_pi


def along(x: Exact, j: int) -> list[fmpq]:
    """The direction b = features[j]."""
    return list(x.features[j])


def linear(x: Exact, j: int) -> list[Moving]:
    """Omega . features, omega_j moving by t."""
    return [
        moving(sum((w * f[i] for w, f in zip(x.omega, x.features, strict=True)), fmpq(0)), x.features[j][i])
        for i in range(x.mdp.n_pairs)
    ]


def in_every_direction(x: Exact, sides: Any) -> list[arb]:
    """`sides(j)`, a number or a table, for every direction j, one after the other."""
    out: list[arb] = []
    for j in range(len(x.features)):
        found = sides(j)
        out += found if isinstance(found, list) else [found]
    return out
