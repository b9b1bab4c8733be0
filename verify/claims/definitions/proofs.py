"""Proofs on Fellows et al. (2), norms of the Bellman residual, and on definitions by linear algebra.

`|beta|^p = exp(p log|beta|)` need not be rational, and is enclosed; all else is exact. Each function returns
left side minus right side.
"""

from typing import Any

from flint import arb, fmpq

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.projection.proofs import AT_REST
from verify.claims.residual_gradients.critic_facts import log_slope
from verify.claims.residual_gradients.proofs import NO_REWARD, SELF_CONSISTENT
from verify.proofs.facts import equal
from verify.proofs.job import Jobs, featured, proved
from verify.proofs.shared_facts import dot, rational


def residual_norms(instance: dict[str, Any]) -> Exact:
    """Exact instance for norms of the Bellman residual `beta`: d(h) as `weight`, factor c, exponent p."""
    x = exactly({name: instance[name] for name in ("mdp", "c", "p_norm")})
    weight = exact.table_of(x.mdp, instance["d"], name="d")
    return x.with_parts(beta=exact.table_of(x.mdp, instance["beta"], name="beta"), weight=weight)


def mean_of_powers(x: Exact) -> list[arb]:
    """Zero if the residual error with a sum over pairs, `c/p sum|beta|^p`, is |H| times that with a mean."""
    powers = _powers(x)
    total, means = sum(powers, arb(0)), sum((y / x.mdp.n_pairs for y in powers), arb(0))
    return [(total - x.mdp.n_pairs * means) * (x.c / x.p_norm)]


@rational
def half_mean(x: Exact) -> list[fmpq]:
    """Zero if the residual error by the sum, `c/2 sum beta^2`, is |H| times `c/(2 |H|) sum beta^2`."""
    return [x.c / 2 * dot(x.beta, x.beta) - x.mdp.n_pairs * _half_mean(x)]


@rational
def mean_square(x: Exact) -> list[fmpq]:
    """Zero if the residual error by the mean, `c E_D[beta^2]`, is twice `c/(2 |H|) sum beta^2`."""
    return [x.c * dot(x.beta, x.beta) / x.mdp.n_pairs - 2 * _half_mean(x)]


@rational
def uniform_weights(x: Exact) -> list[fmpq]:
    """Zero if the residual error with weights d(h) = 1/|H|, `c sum d(h) beta^2`, is `c E_D[beta^2]`."""
    weight = fmpq(1, x.mdp.n_pairs)
    return [x.c * sum((weight * b * b for b in x.beta), fmpq(0)) - x.c * dot(x.beta, x.beta) / x.mdp.n_pairs]


def power_zero(x: Exact) -> list[arb]:
    """Zero if `sum|beta|^p`, beta the Bellman residual, is 0 iff beta is 0: difference of truths.

    Truth values are 1 and 0.
    """
    return [arb(int(all(y.is_zero() for y in _powers(x))) - int(not any(x.beta)))]


@rational
def weighted_zero(x: Exact) -> list[int]:
    """Zero if `sum d(h) beta^2`, beta the Bellman residual, is 0 iff beta is 0: difference of truths.

    Truth values are 1 and 0.
    """
    return [int(sum(w * b * b for w, b in zip(x.weight, x.beta, strict=True)) == 0) - int(not any(x.beta))]


@rational
def mean_zero(x: Exact) -> list[int]:
    """Zero if `c/(2 |H|) sum beta^2`, beta the Bellman residual, is 0 iff beta is 0: difference of truths.

    Truth values are 1 and 0.
    """
    return [int(_half_mean(x) == 0) - int(not any(x.beta))]


def _powers(x: Exact) -> list[arb]:
    """Powers `|beta|^p` of the Bellman residual, one per pair; exactly 0 where the residual is."""
    return [(x.p_norm * arb(abs(b)).log()).exp() if b else arb(0) for b in x.beta]


def _half_mean(x: Exact) -> fmpq:
    """Residual error by the half mean over pairs, `c/(2 |H|) sum beta^2`, beta the Bellman residual."""
    out: fmpq = x.c * dot(x.beta, x.beta) / (2 * x.mdp.n_pairs)
    return out


JOBS: Jobs = {
    "eq-02": (
        proved(
            "printed",
            ("mdp", "beta", "weight", "c", "p_norm"),
            equal(mean_of_powers),
            equal(half_mean),
            equal(mean_square),
            equal(uniform_weights),
            equal(power_zero),
            equal(weighted_zero),
            equal(mean_zero),
            prepare=residual_norms,
        ),
    ),
    "def-projection": (AT_REST,),
    "def-masked-projection": (AT_REST,),
    "def-score": (featured("printed", SELF_CONSISTENT, NO_REWARD, equal(log_slope)),),
}
