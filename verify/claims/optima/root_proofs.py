r"""Rigorous enclosure of all self-consistent temperatures, roots of $\varepsilon = g(\omega,\varepsilon)$.

g is the residual error $\frac{1}{2|H|}\sum\beta^2$ under $\mathcal T^{\pi_\varepsilon}$.

$[0, \infty)$ is cut into boxes. On each of them $F = g - \varepsilon$ has no zero, or is monotone; beyond the
last one $\varepsilon > \sup g$. A box on which F is monotone holds one root if the signs at its ends differ,
else none.

As $d E_{\pi_\varepsilon}[Q]/d\varepsilon = -Var/\varepsilon^2 \le 0$, every $\beta_h$ falls in $\varepsilon$,
so that a box's ends enclose it. The derivative is
$F' = -\frac{\gamma}{|H|}\sum_h\beta_h\,P\,Var/\varepsilon^2 - 1$.

In the box that starts at 0, $Var/\varepsilon^2 \le \sum_a x_a^2 e^{-x_a}$ with $x_a = gap_a/\varepsilon$,
because the partition sum is at least 1. Each term rises in $\varepsilon$ while $x_a \ge 2$, and is at most
its value at 2: nothing has to be cut off at 0.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, ctx, fmpq

from verify.arithmetic.balls import exp, total
from verify.arithmetic.instance import Exact
from verify.proofs.facts import Open

BITS = 192
"""Working precision in bits."""
MAX_BOXES = 3000
"""How many boxes are tried before a table is given up as too close to a fold."""
ROOT_BITS = 40
"""A root's interval is narrower than 2^-40 of its upper end, where signs are decided."""


@dataclass(frozen=True, eq=False)
class TemperatureBalls:
    """Residual error g(eps) of one instance as a function of the temperature eps, in arb ball arithmetic."""

    x: Exact

    def residuals(self, eps: fmpq | None) -> list[arb]:
        """Rigorous enclosures (arb balls) of the Bellman residual beta of every pair under pi_omega at `eps`.

        `None` stands for the limit at infinity, the uniform policy.
        """
        mdp, q = self.x.mdp, self.x.q
        v = []
        for own in mdp.of_state:
            top = max(q[i] for i in own)
            if eps is not None and eps == 0:
                v.append(arb(top))
                continue
            weights = [arb(1) if eps is None else exp((q[i] - top) / eps) for i in own]
            v.append(total(w * q[i] for w, i in zip(weights, own, strict=True)) / total(weights))
        return [
            r + mdp.gamma * total(p * v[t] for t, p in row) - q[i]
            for i, (r, row) in enumerate(zip(mdp.reward, mdp.rows, strict=True))
        ]

    def value(self, eps: fmpq) -> arb:
        """Rigorous enclosure (arb ball) of the residual error `g(eps)` under pi_omega at `eps`."""
        return total(b * b for b in self.residuals(eps)) / (2 * self.x.mdp.n_pairs)

    def supremum(self) -> arb:
        """Upper bound of g on [0, infinity]: every |beta| is largest at one of the two ends."""
        ends = zip(self.residuals(fmpq(0)), self.residuals(None), strict=True)
        return total((abs(a).max(abs(b))) ** 2 for a, b in ends) / (2 * self.x.mdp.n_pairs)

    def sign(self, eps: fmpq) -> int:
        """Sign of g(eps) - eps at `eps`; 0 if eps = 0 is a root or the precision does not decide."""
        difference = self.value(eps) - eps
        return 1 if difference > 0 else -1 if difference < 0 else 0

    def settled(self, a: fmpq, b: fmpq) -> bool:
        """Whether g(eps) - eps is shown to have no zero on [a, b], or to be monotone there."""
        beta = [x.union(y) for x, y in zip(self.residuals(a), self.residuals(b), strict=True)]
        g = total(x * x for x in beta) / (2 * self.x.mdp.n_pairs)
        if g > arb(b) or g < arb(a):
            return True
        slope = self._slope(beta, a, b)
        return bool(slope < 1 or slope > 1)

    def _slope(self, beta: list[arb], a: fmpq, b: fmpq) -> arb:
        """Rigorous enclosure (arb ball) of g' on [a, b], given enclosures `beta` of the residuals there."""
        mdp = self.x.mdp
        spread = [self._spread(own, a, b) for own in mdp.of_state]
        flow = [total(p * spread[t] for t, p in row) for row in mdp.rows]
        return -mdp.gamma / mdp.n_pairs * total(x * y for x, y in zip(beta, flow, strict=True))

    def _spread(self, own: tuple[int, ...], a: fmpq, b: fmpq) -> arb:
        """Enclosure (arb ball) of `Var(Q)/eps^2` over a state's pairs `own`, eps in [a, b], a >= 0."""
        top = max(self.x.q[i] for i in own)
        gaps = [top - self.x.q[i] for i in own]
        if a == 0:
            peaks = [max(g / b, fmpq(2)) for g in gaps if g > 0]
            return arb(0).union(total(y * y * exp(-y) for y in peaks))
        eps = arb(a).union(arb(b))
        weights = [exp(-g / eps) for g in gaps]
        mean = total(w * (g / eps) for w, g in zip(weights, gaps, strict=True)) / total(weights)
        return total(w * (g / eps - mean) ** 2 for w, g in zip(weights, gaps, strict=True)) / total(weights)


def with_roots(x: Exact) -> Exact:
    """Add to an exact instance intervals `[low, high]` of all roots of eps = g(eps), and box `ends`.

    All are dyadic numbers.

    Raises: Open: if a root is too close to a fold, or to where two boxes meet.
    """
    with ctx.workprec(BITS):
        g = TemperatureBalls(x)
        ends = _boxes(g)
        roots = _roots(g, [fmpq(0), *ends])
    return x.with_parts(ends=ends, low=[low for low, _ in roots], high=[high for _, high in roots])


def _boxes(g: TemperatureBalls) -> list[fmpq]:
    """Ends of intervals that cover all roots; on each `g(eps) - eps` is proved zero-free or monotone."""
    top = _short(float(g.supremum().upper()) * 1.0078 + 2.0**-20)
    stack, done, seen = [(fmpq(0), top)], list[fmpq](), 0
    while stack:
        a, b = stack.pop()
        seen += 1
        if seen > MAX_BOXES or b < fmpq(1, 2**200):
            raise Open(
                f"a self-consistent temperature is too close to a fold: not isolated by {MAX_BOXES} intervals"
            )
        if g.settled(a, b):
            done.append(b)
            continue
        cuts = [_short(_float(cut)) for cut in ([(a + b) / 2, (2 * a + b) / 3] if a else [b / 8, b / 7])]
        cut = next((cut for cut in cuts if a < cut < b and g.sign(cut)), None)
        if cut is None:
            raise Open(
                "a self-consistent temperature is too close to where two search intervals meet: "
                f"no cut of [{_float(a):g}, {_float(b):g}] has a decided sign"
            )
        stack += [(cut, b), (a, cut)]
    return done


def _roots(g: TemperatureBalls, ends: list[fmpq]) -> list[tuple[fmpq, fmpq]]:
    """Intervals of the roots of g(eps) = eps: one per search box at whose ends g(eps) - eps changes sign."""
    signs = [g.sign(end) for end in ends]
    if not g.value(ends[0]).contains(0) and signs[0] == 0:
        raise Open(f"the sign of the residual error at temperature 0 is not decided at {BITS} bits")
    found = []
    for a, b, left, right in zip(ends, ends[1:], signs, signs[1:], strict=False):
        if left == 0:
            found.append((a, a))
        elif left != right:
            found.append(_refine(g, a, b, left))
    return found


def _refine(g: TemperatureBalls, low: fmpq, high: fmpq, left: int) -> tuple[fmpq, fmpq]:
    """Bisect the interval of a root of g(eps) = eps to relative width 2^-40, or while signs are decided."""
    while high - low > high / 2**ROOT_BITS:
        middle = (low + high) / 2
        sign = g.sign(middle)
        if sign == 0:
            break
        low, high = (middle, high) if sign == left else (low, middle)
    return low, high


def _float(x: fmpq) -> float:
    return float(Fraction(int(x.p), int(x.q)))


def _short(x: float) -> fmpq:
    """Round the float `x` to a dyadic rational with about 24 significant bits."""
    m, e = math.frexp(x)
    return fmpq(round(m * 2**24)) * fmpq(2) ** (e - 24)
