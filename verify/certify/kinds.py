"""The three kinds of enclosures: a difference that vanishes, one that does not, one that is not negative."""

from collections.abc import Callable, Sequence

from flint import arb, ctx

from verify.balls import BITS, MAX_BITS, endpoints, hull
from verify.certificate import Certificate, Undecided
from verify.certify.instance import Exact

Differences = Callable[[Exact], Sequence[arb]]
"""Left side less right side, component by component, at the working precision."""


def certify_equal(
    claim: str, form: str, x: Exact, *, parts: str, sides: Differences
) -> Certificate | Undecided:
    """Enclosures of the difference at 64, 128 and 256 bits.

    They contain zero and their width falls below 2^(-bits/2).
    """
    result = {}
    for bits in BITS:
        with ctx.workprec(2 * bits):
            ball = hull(sides(x))
        if not ball.contains(0) or ball.rad() * 2 ** (bits // 2 + 2) > 1:
            return Undecided(claim, form, f"the difference is {ball.str(10)} at {2 * bits} bits")
        with ctx.workprec(bits):
            result[str(bits)] = endpoints(ball)
    return Certificate(claim, form, x.as_json(*parts.split()), result)


def certify_differs(
    claim: str, form: str, x: Exact, *, parts: str, sides: Differences
) -> Certificate | Undecided:
    """An enclosure of one component of the difference that excludes zero.

    The printed equality is false on the instance.
    """
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            for component, ball in enumerate(sides(x)):
                low, high = endpoints(ball)
                if (low[0] != "-" and low[0] != "0") or high[0] == "-":
                    result = {"enclosure": [low, high], "component": component}
                    return Certificate(claim, form, x.as_json(*parts.split()), result)
    return Undecided(claim, form, f"no component of the difference excludes zero at {MAX_BITS} bits")


def certify_at_least(
    claim: str, form: str, x: Exact, *, parts: str, sides: Differences
) -> Certificate | Undecided:
    """An enclosure of all differences, without negative numbers; each is positive, or exactly zero."""
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            balls = sides(x)
            if any(ball < 0 for ball in balls):
                return Undecided(claim, form, "a difference is negative")
            if all(ball > 0 or ball.is_zero() for ball in balls):
                low, high = endpoints(hull(balls))
                ends = ["0p0" if low.startswith("-") else low, high]
                return Certificate(claim, form, x.as_json(*parts.split()), {"enclosure": ends})
    return Undecided(claim, form, f"a difference is not separated from zero at {MAX_BITS} bits")
