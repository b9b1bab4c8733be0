"""Facts, the (in)equalities of a proof, and how they are proved: by enclosing left side minus right side.

A statement of `verify/statements.toml` is a list of formulas, and each of them is one `Fact` here: a relation
to zero and a function that computes the differences from the definitions. The checker (`verify/recheck.py`)
proves the same formulas by exact algebra and shares no code with these functions.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from flint import arb, ctx

from verify.arithmetic.balls import BITS, MAX_BITS, endpoints, hull
from verify.arithmetic.instance import Exact
from verify.proofs.certificate import Certificate, Undecided

Differences = Callable[[Exact], Sequence[arb]]
"""Left side minus right side of a formula on an instance: balls, one per component."""


class Fact(NamedTuple):
    """Equation or inequality of a statement: left side minus right side, and its relation to zero."""

    relation: str
    """`==`, `>=` and `>` are claimed of every difference, `!=` of one of them."""
    differences: Differences


def equal(sides: Differences) -> Fact:
    """Equation to prove: the two sides of a formula are equal in every component."""
    return Fact("==", sides)


def differs(sides: Differences) -> Fact:
    """Refutation of an identity: the two sides of a formula differ in some component."""
    return Fact("!=", sides)


def at_least(sides: Differences) -> Fact:
    """Inequality to prove: the left side of a formula is at least the right side in every component."""
    return Fact(">=", sides)


def above(sides: Differences) -> Fact:
    """Strict inequality to prove: the left side of a formula exceeds the right side in every component."""
    return Fact(">", sides)


class Open(Exception):
    """An equation or inequality could not be proved on an instance; the message gives the reason."""


def certify(
    claim: str, form: str, x: Exact, *, parts: Sequence[str], facts: Sequence[Fact]
) -> Certificate | Undecided:
    """Prove all (in)equalities on an exact instance; return a certificate, or `Undecided` if one fails.

    Args:
        claim: id of the claim.
        form: `printed`, `corrected` or `step-N`.
        x: the exact instance.
        parts: names of the parts of `x` that the certificate stores.
        facts: what is to be proved of the instance.
    """
    try:
        result = [CERTIFIERS[fact.relation](x, fact.differences) for fact in facts]
    except Open as why:
        return Undecided(claim, form, str(why))
    return Certificate(claim, form, x.as_json(*parts), result)


def _equal(x: Exact, sides: Differences) -> dict[str, Any]:
    """Enclose `left - right`, which should vanish, at 64, 128 and 256 bits, to prove `left == right`.

    Each contains zero, and its width is below `2^(-bits/2)`.
    """
    result = {}
    for bits in BITS:
        with ctx.workprec(2 * bits):
            ball = hull(sides(x))
        if not ball.contains(0) or ball.rad() * 2 ** (bits // 2 + 2) > 1:
            raise Open(f"the difference should vanish, but is {ball.str(10)} at {2 * bits} bits")
        with ctx.workprec(bits):
            result[str(bits)] = endpoints(ball)
    return result


def _differs(x: Exact, sides: Differences) -> dict[str, Any]:
    """Enclose one component of `left - right` away from zero, to prove `left != right`; say which one."""
    for bits in _precisions():
        with ctx.workprec(bits):
            for component, ball in enumerate(sides(x)):
                low, high = endpoints(ball)
                if (low[0] != "-" and low[0] != "0") or high[0] == "-":
                    return {"enclosure": [low, high], "component": component}
    raise Open(f"no component of the difference excludes zero at {MAX_BITS} bits")


def _at_least(x: Exact, sides: Differences, *, strictly: bool = False) -> dict[str, Any]:
    """Enclose `left - right` in an interval without negative numbers, to prove `left >= right` or `>`.

    Each difference is positive or, unless `strictly`, an exact zero.
    """
    for bits in _precisions():
        with ctx.workprec(bits):
            balls = sides(x)
            if any(ball < 0 or (strictly and ball.is_zero()) for ball in balls):
                raise Open("a difference is negative, or zero where it must be positive")
            if all(ball > 0 or ball.is_zero() for ball in balls):
                low, high = endpoints(hull(balls))
                low = "0p0" if low.startswith("-") else low
                if not strictly or low[0] != "0":
                    return {"enclosure": [low, high]}
    raise Open(f"a difference is not separated from zero at {MAX_BITS} bits")


def _precisions() -> list[int]:
    """Working precisions of ball arithmetic in bits, tried in turn, each twice the one before."""
    return [BITS[0] << k for k in range(7)]


CERTIFIERS: dict[str, Callable[[Exact, Differences], dict[str, Any]]] = {
    "==": _equal,
    "!=": _differs,
    ">=": _at_least,
    ">": lambda x, sides: _at_least(x, sides, strictly=True),
}
"""How the differences of each relation are enclosed."""
