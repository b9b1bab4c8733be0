"""All solutions of e = g(e), `g = mean(beta^2) / 2`, `beta = r + gamma E(E_pi[Q]) - Q` at temperature e."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from flint import arb, ctx, fmpq

from .algebra import ZERO, sign, total
from .formulas import Instance, parsed
from .limits import need


def average(xs: Sequence[Any], values: Sequence[Any]) -> arb:
    """Rigorous enclosure (arb ball) of the mean of `values` weighted by `exp(-x)`, for given numbers x."""
    weights = [(-arb(x)).exp() for x in xs]
    return sum((w * v for w, v in zip(weights, values, strict=True)), arb(0)) / sum(weights, arb(0))


def variance(gaps: list[fmpq], a: fmpq, b: fmpq) -> arb:
    """Enclosure (arb ball) of Var(Q)/e^2 in a state under its Boltzmann policy, for temperatures e in [a, b].

    The state's actions lie `gaps` below its best one. On [0, b] the value is at most the sum of x^2 exp(-x),
    x = gap/e: each term is largest at x = 2, or at b.
    """
    if not a:
        tops = [arb(max(g / b, fmpq(2))) for g in gaps if g]
        return arb(0).union(sum((x**2 * (-x).exp() for x in tops), arb(0)))
    xs = [arb(g) / arb(a).union(arb(b)) for g in gaps]
    return average(xs, [(x - average(xs, xs)) ** 2 for x in xs])


class Temperatures:
    """Map g from a temperature e to the residual error of a table q under its Boltzmann policy at e.

    As dE_pi[Q]/de = -Var(Q)/e^2 <= 0, every beta falls in e, so that its values at two temperatures enclose
    it in between.
    """

    def __init__(self, point: Instance) -> None:
        """Compute the action gaps of an instance's table q, and its Bellman residual at temperature 0."""
        self.point, self.gamma, q = point, point.known["gamma"], point.known["q"]
        self.gaps = [[max(q[i] for i in own) - q[i] for i in own] for own in point.own]
        self.cold = point.value(parsed("T(q) - q"), {})

    def residual(self, e: fmpq | None) -> list[Any]:
        """Bellman residual beta per pair at temperature e; None means infinity, the uniform policy."""
        loss = [self.loss(gaps, e) for gaps in self.gaps]
        return [c - self.gamma * x for c, x in zip(self.cold, self.point.expect(loss), strict=True)]

    def loss(self, gaps: list[fmpq], e: fmpq | None) -> Any:
        """Loss `max_a Q - E_pi[Q]` in a state with the action gaps `gaps`, pi the Boltzmann policy at e."""
        return average([0 if e is None else g / e for g in gaps], gaps) if e != 0 else ZERO

    def side(self, e: fmpq) -> int:
        """Proved sign of `g(e) - e`, g(e) the residual error at temperature e; 0 if e = 0 is a solution."""
        return int(any(self.cold)) if e == 0 else sign(lambda: half_mean_square(self.residual(e)) - e)

    def between(self, a: fmpq, b: fmpq | None) -> list[arb]:
        """Enclosures (arb balls) of the Bellman residual beta per pair on [a, b]; b = None is infinity."""
        return [arb(x).union(arb(y)) for x, y in zip(self.residual(a), self.residual(b), strict=True)]

    def may_vanish(self, a: fmpq, b: fmpq) -> bool:
        """Whether [a, b] may hold a self-consistent temperature e: the enclosure of `g(e) - e` contains 0."""
        return bool((half_mean_square(self.between(a, b)) - arb(a).union(arb(b))).contains(0))

    def may_turn(self, a: fmpq, b: fmpq) -> bool:
        """Whether `g(e) - e` may be non-monotone in the temperature e on [a, b]: `g'(e) - 1` may vanish."""
        flow = self.point.expect([variance(gaps, a, b) for gaps in self.gaps])
        slope = -self.gamma / len(self.cold) * sum(map(arb.__mul__, self.between(a, b), flow))
        return bool(slope.contains(1))


def half_mean_square(beta: list[Any]) -> Any:
    """Residual error `mean(beta^2) / 2`, beta the Bellman residual of each state-action pair."""
    return total(x * x for x in beta) / (2 * len(beta))


def isolate(point: Instance) -> None:
    """Prove that each interval [low, high] holds one self-consistent temperature, and there are no others.

    These are the solutions of e = g(e). The boxes that end at `ends`, from 0 on, cover what lies below the
    supremum of g. On a box g(e) - e has no zero, or is monotone: then it has one zero if its signs at the two
    ends differ, else none.
    """
    g, found = Temperatures(point), []
    ends, low, high = (point.known[name] for name in ("ends", "low", "high"))
    for a, b in pairwise([ZERO, *ends]):
        with ctx.workprec(256):
            need(a < b, "the `ends` of boxes do not rise", 2)
            if not g.may_vanish(a, b):
                continue
            need(not g.may_turn(a, b), f"g(e) - e may turn on the box to {b}")
        if g.side(a) != g.side(b):
            found.append((a, b, g.side(a)))
    need(half_mean_square(g.between(ends[-1], None)) < ends[-1], "the boxes end too early, below sup g")
    need(len(found) == len(low) == len(high), f"there are {len(found)} roots, not {len(low)}")
    for (a, b, left), x, y in zip(found, low, high, strict=True):
        holds = a == x == y if left == 0 else a <= x < y <= b and g.side(x) == left == -g.side(y)
        need(holds, "an interval [low, high] does not hold one root")
