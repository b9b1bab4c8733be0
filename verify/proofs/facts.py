"""Facts and their enclosures: a difference that vanishes, one that does not, some that are not negative.

A `Fact` is a relation and the differences, left less right, of one formula of `verify/statements.toml`, from
the definitions in ball arithmetic. The checker proves the formula by other means.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb, ctx

from verify.arithmetic.balls import BITS, MAX_BITS, endpoints, hull
from verify.arithmetic.instance import Exact
from verify.proofs.certificate import Certificate, Undecided

Differences = Callable[[Exact], Sequence[arb]]
"""Left side less right side, component by component, at the working precision."""
Fact = tuple[str, Differences]
"""Relation of all differences to 0 (`==`, `>=`, `>`), or of one (`!=`)."""


class Open(Exception):
    """A fact that was not proved, and why."""


def certify(claim: str, form: str, x: Exact, *, parts: str, facts: Sequence[Fact]) -> Certificate | Undecided:
    """Enclosures for every fact, in their order; or why one has none."""
    try:
        result = [KINDS[relation](x, sides) for relation, sides in facts]
    except Open as why:
        return Undecided(claim, form, str(why))
    return Certificate(claim, form, x.as_json(*parts.split()), result)


def _equal(x: Exact, sides: Differences) -> dict[str, Any]:
    """Enclosures of the differences at 64, 128 and 256 bits.

    They contain zero and their width falls below 2^(-bits/2).
    """
    result = {}
    for bits in BITS:
        with ctx.workprec(2 * bits):
            ball = hull(sides(x))
        if not ball.contains(0) or ball.rad() * 2 ** (bits // 2 + 2) > 1:
            raise Open(f"the difference is {ball.str(10)} at {2 * bits} bits")
        with ctx.workprec(bits):
            result[str(bits)] = endpoints(ball)
    return result


def _differs(x: Exact, sides: Differences) -> dict[str, Any]:
    """An enclosure of one component of the difference that excludes zero."""
    for bits in _precisions():
        with ctx.workprec(bits):
            for component, ball in enumerate(sides(x)):
                low, high = endpoints(ball)
                if (low[0] != "-" and low[0] != "0") or high[0] == "-":
                    return {"enclosure": [low, high], "component": component}
    raise Open(f"no component of the difference excludes zero at {MAX_BITS} bits")


def _at_least(x: Exact, sides: Differences, *, strictly: bool = False) -> dict[str, Any]:
    """An enclosure of all differences without negative numbers: each positive or, not strictly, exactly 0."""
    for bits in _precisions():
        with ctx.workprec(bits):
            balls = sides(x)
            if any(ball < 0 or (strictly and ball.is_zero()) for ball in balls):
                raise Open("a difference is negative, or zero")
            if all(ball > 0 or ball.is_zero() for ball in balls):
                low, high = endpoints(hull(balls))
                low = "0p0" if low.startswith("-") else low
                if not strictly or low[0] != "0":
                    return {"enclosure": [low, high]}
    raise Open(f"a difference is not separated from zero at {MAX_BITS} bits")


def _precisions() -> list[int]:
    return [BITS[0] << k for k in range(7)]


KINDS: dict[str, Callable[[Exact, Differences], dict[str, Any]]] = {
    "==": _equal,
    "!=": _differs,
    ">=": _at_least,
    ">": lambda x, sides: _at_least(x, sides, strictly=True),
}
