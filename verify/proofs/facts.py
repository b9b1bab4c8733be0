"""Facts, the equations and inequalities of a statement, proved by enclosing left side minus right side.

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
    """Equation or inequality of a statement: its relation to zero, and the function for left minus right."""

    relation: str
    """`==`, `>=` and `>` are claimed of every difference, `!=` of one of them."""
    differences: Differences
    premise: bool = False
    """Whether it says what the instance is, as `q_star == T(q_star)` does, not what is claimed of it."""


def given(fact: Fact) -> Fact:
    """Premise: the same fact, marked as one that says what the instance is."""
    return fact._replace(premise=True)


def equal(sides: Differences) -> Fact:
    """Fact `left == right`: the differences left minus right that `sides` computes are all zero."""
    return Fact("==", sides)


def differs(sides: Differences) -> Fact:
    """Fact `left != right`, to refute an identity: one difference that `sides` computes is not zero."""
    return Fact("!=", sides)


def at_least(sides: Differences) -> Fact:
    """Fact `left >= right`: the differences left minus right that `sides` computes are all at least zero."""
    return Fact(">=", sides)


def above(sides: Differences) -> Fact:
    """Fact `left > right`: the differences left minus right that `sides` computes are all above zero."""
    return Fact(">", sides)


class Open(Exception):
    """Exception: an equation or inequality could not be proved on an instance; the message says why."""


def certify(
    claim: str, form: str, x: Exact, *, parts: Sequence[str], facts: Sequence[Fact]
) -> Certificate | Undecided:
    """Prove all facts of a statement on an exact instance; return a certificate, or `Undecided` if one fails.

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
    """Prove `left == right`, as far as balls can: enclose `left - right` around zero at 64, 128 and 256 bits.

    Each contains zero, and its width is below `2^(-bits/2)`.
    """
    result = {}
    for bits in BITS:
        with ctx.workprec(2 * bits):
            ball = hull(sides(x))
        if not ball.contains(0) or ball.rad() * 2 ** (bits // 2 + 2) > 1:
            raise Open(
                f"left minus right of an equation should be 0, but is {ball.str(10)} at {2 * bits} bits"
            )
        with ctx.workprec(bits):
            result[str(bits)] = endpoints(ball)
    return result


def _differs(x: Exact, sides: Differences) -> dict[str, Any]:
    """Prove `left != right`: enclose one component of `left - right` away from zero; say which one.

    A component that is undefined, as a quotient by zero is, proves nothing.
    """
    for bits in _precisions():
        with ctx.workprec(bits):
            for component, ball in enumerate(sides(x)):
                if not ball.is_finite():
                    continue
                low, high = endpoints(ball)
                if (low[0] != "-" and low[0] != "0") or high[0] == "-":
                    return {"enclosure": [low, high], "component": component}
    raise Open(f"left minus right of a `!=` is not proved to differ from 0 at {MAX_BITS} bits")


def _at_least(x: Exact, sides: Differences, *, strictly: bool = False) -> dict[str, Any]:
    """Prove `left >= right` or `>`: enclose `left - right` in an interval without negative numbers.

    Each difference is positive or, unless `strictly`, an exact zero.
    """
    for bits in _precisions():
        with ctx.workprec(bits):
            balls = sides(x)
            if any(ball < 0 or (strictly and ball.is_zero()) for ball in balls):
                raise Open("left minus right of an inequality is negative, or 0 where it must be positive")
            if all(ball > 0 or ball.is_zero() for ball in balls):
                low, high = endpoints(hull(balls))
                low = "0p0" if low.startswith("-") else low
                if not strictly or low[0] != "0":
                    return {"enclosure": [low, high]}
    raise Open(f"left minus right of an inequality has no proved sign at {MAX_BITS} bits")


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
