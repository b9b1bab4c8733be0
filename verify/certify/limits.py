"""Dirac limits with explicit bounds at a given temperature: Theorem 1 on finite sets.

T^{pi_omega} against T*.
"""

from typing import Any

from flint import arb, ctx, fmpq

from verify.balls import BITS, endpoints, exp, total
from verify.certificate import Certificate, Undecided
from verify.certify.instance import Exact, text
from verify.exact import fraction_of, fractions

MAX_EXPONENT = 10**6


def certify_dirac(claim: str, form: str, instance: dict[str, Any]) -> Certificate | Undecided:
    """|E[phi] - phi(a*)| <= osc(phi) (n - 1) exp(-D/eps): the left side times exp(D/eps), enclosed."""
    f, phi = fractions(instance["f"], name="f"), fractions(instance["phi"], name="phi")
    eps, top = fraction_of(instance["eps"]), max(f)
    best = f.index(top)
    gaps = [top - value for value in f]
    others = [i for i in range(len(f)) if i != best]
    delta = min((gaps[i] for i in others), default=fmpq(0))
    if others and delta == 0:
        return Undecided(claim, form, "the maximum is not unique")
    limit = (max(phi) - min(phi)) * len(others)
    for bits in (64 << k for k in range(7)):
        with ctx.workprec(bits):
            mass = total(exp(-g / eps) for g in gaps)
            scaled = total((phi[i] - phi[best]) * exp((delta - gaps[i]) / eps) for i in others) / mass
            ends = _clip(scaled, limit)
        if ends is not None:
            data = {"f": text(f), "phi": text(phi), "eps": str(eps)}
            return Certificate(claim, form, data, {"scaled": ends})
    return Undecided(claim, form, "the deviation is not separated from its bound")


def _clip(ball: arb, limit: fmpq) -> list[str] | None:
    """Endpoints cut to [-limit, limit] (the deviation lies in it: every weight is at most exp(-D/eps).

    The mass at least 1).
    """
    if ball > arb(limit) or ball < -arb(limit):
        return None
    low, high = endpoints(ball)
    return [
        low if ball - 2 ** (-20) > -arb(limit) else f"{-limit.p}p0",
        high if ball + 2 ** (-20) < arb(limit) else f"{limit.p}p0",
    ]


def certify_cold(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """0 <= T* Q - T^{pi_omega} Q <= gamma eps min(log A, (A - 1)/e): the loss over eps of every state.

    Enclosed.
    """
    out = []
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        xs = [(top - x.q[i]) / x.eps for i in own]
        if max(xs) > MAX_EXPONENT:
            return Undecided(claim, form, "the temperature is too small to evaluate")
        if not any(xs):
            out.append(["0p0", "0p0"])
            continue
        with ctx.workprec(BITS[-1]):
            weights = [exp(-y) for y in xs]
            loss = total(y * w for y, w in zip(xs, weights, strict=True)) / total(weights)
            n = len(own)
            below = loss < arb(n).log() and loss < (n - 1) / arb(1).exp()
            if not below:
                return Undecided(claim, form, "the loss is not separated from its bound")
            out.append(_positive(loss))
    return Certificate(claim, form, x.as_json("mdp", "q", "eps"), {"loss": out})


def _positive(ball: arb) -> list[str]:
    """Endpoints whose lower one is not below zero."""
    low, high = endpoints(ball)
    return ["0p0" if low.startswith("-") else low, high]
