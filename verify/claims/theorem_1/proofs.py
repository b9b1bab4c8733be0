r"""Proof of Theorem 1 on a finite set: $|E_\pi[\phi] - \phi(a^*)| \le osc(\phi)(n - 1)e^{-D/\varepsilon}$.

D is the smallest gap of f to its maximum. The differences are written so that whatever cancels exactly has
been cancelled: where the bound is attained they are exact zeros, and elsewhere their leading term decides.
"""

from functools import partial
from typing import Any

from flint import arb, fmpq

from verify.arithmetic.balls import exp, total
from verify.arithmetic.exact import fraction_of, fractions
from verify.arithmetic.instance import Exact, without_mdp
from verify.proofs.facts import at_least, equal, given
from verify.proofs.job import Jobs, proved


def finite_set(instance: dict[str, Any]) -> Exact:
    """Exact instance without an MDP: values `f` and `phi` on a finite set, and the temperature `eps`."""
    f, phi = (fractions(instance[name], name=name) for name in ("f", "phi"))
    return without_mdp(f=f, phi=phi, eps=fraction_of(instance["eps"]))


def maximisers(x: Exact) -> list[arb]:
    """Zero if f has a unique maximum: number of its maximisers minus 1."""
    return [arb(list(x.f).count(max(x.f)) - 1)]


def dirac(x: Exact, *, side: int) -> list[arb]:
    r"""Nonnegative if Theorem 1 holds on a finite set: bound minus `side (E_pi[phi] - phi(a*))`, side +-1.

    The bound is `osc(phi) (n - 1) exp(-D/eps)`; `side` is 1 and -1. With $w_a = e^{-gap_a/\varepsilon}$, $w^*
    = 1$, $M = \sum w$ and $b = osc(\phi)(n - 1)$, it is $(b\,w_D - side\sum(\phi_a - \phi^*)w_a + b\,w_D\sum
    w_a)/M$, the sums over a that are not best. The coefficients of the first two terms are added exactly
    where gaps are equal.
    """
    top, best = max(x.f), list(x.f).index(max(x.f))
    others = [
        (top - f, p - x.phi[best]) for i, (f, p) in enumerate(zip(x.f, x.phi, strict=True)) if i != best
    ]
    if not others:
        return [arb(0)]
    lead, bound = min(gap for gap, _ in others), (max(x.phi) - min(x.phi)) * len(others)
    coefficients = {lead: bound}
    for gap, p in others:
        coefficients[gap] = coefficients.get(gap, fmpq(0)) - side * p
    mass = total(exp(-gap / x.eps) for gap, _ in others)
    first = total(c * exp(-gap / x.eps) for gap, c in coefficients.items() if c)
    return [(first + bound * exp(-lead / x.eps) * mass) / (1 + mass)]


JOBS: Jobs = {
    "theorem-1-finite": (
        proved(
            "printed",
            ("f", "phi", "eps"),
            given(equal(maximisers)),
            at_least(partial(dirac, side=1)),
            at_least(partial(dirac, side=-1)),
            prepare=finite_set,
        ),
    ),
}
