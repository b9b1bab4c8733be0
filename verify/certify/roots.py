r"""All roots of $\varepsilon = g(\omega,\varepsilon)$, with a proof that there are no others.

Under $\mathcal T^{\pi_\varepsilon}$, $g = \frac{1}{2|H|}\sum\beta^2$.

$[0, \infty)$ is cut into boxes on each of which $F = g - \varepsilon$ has one sign, or falls, or rises;
beyond the last box $\varepsilon > \sup g$. A maximal run of boxes on which F falls (or rises) holds one
root if the signs at its ends differ, else none. With $d E_{\pi_\varepsilon}[Q]/d\varepsilon =
-Var/\varepsilon^2 \le 0$ every $\beta_h$ falls in $\varepsilon$, so a box's ends enclose it, and $F' =
-\frac{\gamma}{|H|}\sum_h\beta_h\,P\,Var/\varepsilon^2 - 1$. Box at 0: $Var/\varepsilon^2 \le \sum_a x_a^2
e^{-x_a}$, $x_a = gap_a/\varepsilon$ (the partition sum is at least 1), each term rising in $\varepsilon$
while $x_a \ge 2$ and at most its value at 2: no cut-off is needed.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, ctx, fmpq

from verify.balls import dyadic, exp, total
from verify.certificate import Certificate, Undecided
from verify.certify.instance import Exact

BITS = 192
MAX_BOXES = 3000
ROOT_BITS = 40


@dataclass(frozen=True, eq=False)
class TemperatureBalls:
    """The map g of one instance."""

    x: Exact

    def residuals(self, eps: fmpq | None) -> list[arb]:
        """Every pair's residual at a temperature; `None` is the uniform policy, the limit at infinity."""
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
        """G at a temperature."""
        return total(b * b for b in self.residuals(eps)) / (2 * self.x.mdp.n_pairs)

    def supremum(self) -> arb:
        """Upper bound of g: every |beta| is largest at an end."""
        ends = zip(self.residuals(fmpq(0)), self.residuals(None), strict=True)
        return total((abs(a).max(abs(b))) ** 2 for a, b in ends) / (2 * self.x.mdp.n_pairs)

    def sign(self, eps: fmpq) -> int:
        """Sign of F; 0 at a root at 0, or if the working precision does not tell."""
        difference = self.value(eps) - eps
        return 1 if difference > 0 else -1 if difference < 0 else 0

    def label(self, a: fmpq, b: fmpq) -> str:
        """'+', '-', 'falls' or 'rises' if proved on [a, b], else ''."""
        beta = [x.union(y) for x, y in zip(self.residuals(a), self.residuals(b), strict=True)]
        g = total(x * x for x in beta) / (2 * self.x.mdp.n_pairs)
        if g > arb(b):
            return "+"
        if g < arb(a):
            return "-"
        slope = self._slope(beta, a, b)
        return "falls" if slope < 1 else "rises" if slope > 1 else ""

    def _slope(self, beta: list[arb], a: fmpq, b: fmpq) -> arb:
        mdp = self.x.mdp
        spread = [self._spread(own, a, b) for own in mdp.of_state]
        flow = [total(p * spread[t] for t, p in row) for row in mdp.rows]
        return -mdp.gamma / mdp.n_pairs * total(x * y for x, y in zip(beta, flow, strict=True))

    def _spread(self, own: tuple[int, ...], a: fmpq, b: fmpq) -> arb:
        """Var(Q)/eps^2 on [a, b]."""
        top = max(self.x.q[i] for i in own)
        gaps = [top - self.x.q[i] for i in own]
        if a == 0:
            peaks = [max(g / b, fmpq(2)) for g in gaps if g > 0]
            return arb(0).union(total(y * y * exp(-y) for y in peaks))
        eps = arb(a).union(arb(b))
        weights = [exp(-g / eps) for g in gaps]
        mean = total(w * (g / eps) for w, g in zip(weights, gaps, strict=True)) / total(weights)
        return total(w * (g / eps - mean) ** 2 for w, g in zip(weights, gaps, strict=True)) / total(weights)


def certify_roots(claim: str, form: str, x: Exact, *, need: str = "") -> Certificate | Undecided:
    """Boxes and enclosures of all roots.

    `need`: '', 'several', 'odd', 'positive': what the statement says of them.
    """
    with ctx.workprec(BITS):
        g = TemperatureBalls(x)
        boxes = _boxes(g)
        if boxes is None:
            return Undecided(claim, form, f"a root is too close to a fold for {MAX_BOXES} boxes")
        roots = _roots(g, boxes)
    if roots is None:
        return Undecided(claim, form, "a sign between boxes is not decided")
    held = {"": True, "several": len(roots) > 1, "odd": len(roots) % 2 == 1, "positive": roots[-1][0] > 0}
    if not held[need]:
        return Undecided(claim, form, f"{len(roots)} roots: not {need}")
    result = {
        "boxes": [[dyadic(b), label] for _, b, label in boxes],
        "roots": [[dyadic(low), dyadic(high)] for low, high in roots],
    }
    return Certificate(claim, form, x.as_json("mdp", "q"), result)


def _boxes(g: TemperatureBalls) -> list[tuple[fmpq, fmpq, str]] | None:
    top = _short(float(g.supremum().upper()) * 1.0078 + 2.0**-20)
    stack, done, seen = [(fmpq(0), top)], list[tuple[fmpq, fmpq, str]](), 0
    while stack:
        a, b = stack.pop()
        seen += 1
        if seen > MAX_BOXES or b < fmpq(1, 2**200):
            return None
        label = g.label(a, b)
        if not label:
            cut = (a + b) / 2 if a else b / 8
            middle = _short(float(Fraction(int(cut.p), int(cut.q))))
            if not a < middle < b:
                return None
            stack += [(middle, b), (a, middle)]
        else:
            done.append((a, b, label))
    return done


def _roots(g: TemperatureBalls, boxes: list[tuple[fmpq, fmpq, str]]) -> list[tuple[fmpq, fmpq]] | None:
    runs: list[tuple[fmpq, fmpq, str]] = []
    for a, b, label in boxes:
        runs[-1:] = (
            [(runs[-1][0], b, label)] if runs and runs[-1][2] == label else [*runs[-1:], (a, b, label)]
        )
    found = []
    for a, b, label in runs:
        if label in "+-":
            continue
        left, right = g.sign(a), g.sign(b)
        if a == 0 and g.value(a).contains(0):
            found.append((fmpq(0), fmpq(0)))
        elif left == 0 or right == 0:
            return None
        elif left != right:
            found.append(_refine(g, a, b, left))
    return found


def _refine(g: TemperatureBalls, low: fmpq, high: fmpq, left: int) -> tuple[fmpq, fmpq]:
    """Bisect to a relative width of 2^-40, or as far as signs are decided."""
    while high - low > high / 2**ROOT_BITS:
        middle = (low + high) / 2
        sign = g.sign(middle)
        if sign == 0:
            break
        low, high = (middle, high) if sign == left else (low, middle)
    return low, high


def _short(x: float) -> fmpq:
    """A dyadic rational of about 24 bits near `x`."""
    m, e = math.frexp(x)
    return fmpq(round(m * 2**24)) * fmpq(2) ** (e - 24)
