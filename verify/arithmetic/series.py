"""First-order power series `value + derivative t + O(t^2)` in arb balls, to enclose derivatives in t.

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
    """First-order series `value + slope t` in a parameter t, its two coefficients in ball arithmetic."""
    return arb_series([arb(value), arb(slope)], prec=2)


def total(terms: Iterable[Any]) -> Jet:
    """Sum of plain numbers and first-order series in t."""
    return sum(terms, jet(0))


def slope(x: Any) -> arb:
    """Derivative in t of a first-order series, as an enclosure (arb ball); 0 for a plain number."""
    return x[1] if isinstance(x, arb_series) else arb(0)


def value(x: Any) -> arb:
    """Value at t = 0 of a first-order series, as an enclosure (arb ball); a plain number is its own value."""
    return x[0] if isinstance(x, arb_series) else arb(x)


def values(table: Sequence[Any]) -> list[arb]:
    """Values at t = 0 of a table of first-order series in t: the stop-gradient of VIREL's App. F.3."""
    return [value(x) for x in table]


def slopes(table: Sequence[Any]) -> list[arb]:
    """Derivatives in t of a table of first-order series in t: one enclosure (arb ball) per entry."""
    return [slope(x) for x in table]


def by_state(x: Exact, table: Sequence[Any]) -> list[Jet]:
    """Sum over the actions of each state, of a table of first-order series in t."""
    return [total(table[i] for i in own) for own in x.mdp.of_state]


def mean(x: Exact, pi: Sequence[Any], table: Sequence[Any]) -> list[Jet]:
    """Expectation `sum_a pi(a|s) f(s, a)` per state; policy pi and table f are first-order series in t."""
    return by_state(x, [p * f for p, f in zip(pi, table, strict=True)])


def ahead(x: Exact, v: Sequence[Any]) -> list[Jet]:
    """Expectation `E[v(s')]` over the next state, per pair (s, a); the v(s') are first-order series in t."""
    return [total(p * v[t] for t, p in row) for row in x.mdp.rows]


def over_pairs(table: Sequence[Any]) -> Jet:
    """Mean over all state-action pairs of a table of first-order series in t."""
    return total(table) / arb(len(table))


def softmax(x: Exact, logits: Sequence[Jet]) -> tuple[list[Jet], list[Jet]]:
    """Softmax policy of a table of logits, and its logarithm, as first-order series in t per pair (s, a)."""
    log_pi = list(logits)
    for own in x.mdp.of_state:
        top = max((logits[i] for i in own), key=lambda y: float(y[0].mid()))
        shifted = {i: logits[i] - top[0] for i in own}
        mass = total(y.exp() for y in shifted.values()).log()
        for i in own:
            log_pi[i] = shifted[i] - mass
    return [y.exp() for y in log_pi], log_pi


def along(x: Exact, j: int) -> list[fmpq]:
    """Values of feature j per pair (s, a): derivative of `Q = sum_n omega_n features_n` in omega_j."""
    return list(x.features[j])


def linear(x: Exact, j: int) -> list[Jet]:
    """Linear `Q = sum_n omega_n features_n` per pair (s, a), as first-order series in omega_j."""
    return [
        jet(sum((w * f[i] for w, f in zip(x.omega, x.features, strict=True)), fmpq(0)), x.features[j][i])
        for i in range(x.mdp.n_pairs)
    ]


def in_every_direction(x: Exact, sides: Any) -> list[arb]:
    """Components of a formula for all parameters omega_j: `sides(j)`, number or table, concatenated."""
    out: list[arb] = []
    for j in range(len(x.features)):
        found = sides(j)
        out += found if isinstance(found, list) else [found]
    return out
