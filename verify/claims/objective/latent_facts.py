"""Facts on hidden variables, left side minus right side: Fellows et al. (9), Marino et al. (2)-(4).

The joint is p(x, z) or the likelihood p(x|z), and w any distribution of z.
"""

from collections.abc import Sequence
from typing import Any

from flint import arb, fmpq

from verify.arithmetic.balls import log, total, xlogy
from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import dot


def marginal(x: Exact) -> list[arb]:
    """Zero if Fellows et al. (9) holds: log-evidence `log p(x)` minus lower bound minus KL to posterior."""
    evidence = sum(x.joint, fmpq(0))
    lower = total(xlogy(q, joint / q) for q, joint in zip(x.w, x.joint, strict=True) if q)
    kl = total(xlogy(q, q / (joint / evidence)) for q, joint in zip(x.w, x.joint, strict=True))
    return [log(evidence) - (lower + kl)]


def _elbo_of(x: Exact, w: Sequence[Any]) -> arb:
    """Lower bound (3) of Marino et al. at a distribution w: `E_w[log p(x|z)] - KL(w || p(z))`."""
    fit = total(u * log(likely) for u, likely in zip(w, x.joint, strict=True))
    return fit - total(u * log(u / p) for u, p in zip(w, x.p_z, strict=True) if u)


def design_marginal(x: Exact) -> list[arb]:
    """Zero if Marino et al. (2), (3) hold: `log p(x)` minus their lower bound minus the KL to p(z|x)."""
    evidence = dot(x.p_z, x.joint)
    posterior = [p * likely / evidence for p, likely in zip(x.p_z, x.joint, strict=True)]
    kl = total(xlogy(w, w / p) for w, p in zip(x.w, posterior, strict=True))
    return [log(evidence) - (_elbo_of(x, x.w) + kl)]


def design_bound(x: Exact) -> list[arb]:
    """Nonnegative if Marino et al. (3) is a lower bound: `log p(x)` minus it; an exact 0 at the posterior."""
    evidence = dot(x.p_z, x.joint)
    if all(w == p * likely / evidence for w, p, likely in zip(x.w, x.p_z, x.joint, strict=True)):
        return [arb(0)]
    return [log(evidence) - _elbo_of(x, x.w)]


def boltzmann_attains(x: Exact) -> list[arb]:
    """Zero if Marino et al. (4) attains their bound: (3) at `p(z) exp(log p(x|z))`, normalised, minus `log p(x)`."""
    weights = [p * log(likely).exp() for p, likely in zip(x.p_z, x.joint, strict=True)]
    best = [w / total(weights) for w in weights]
    return [_elbo_of(x, best) - log(dot(x.p_z, x.joint))]
