"""Proofs of App. G: MPO's posterior, its objective (42), its M-step and its E-step (43)."""

from collections.abc import Sequence
from typing import Any

from flint import arb, fmpq

from verify.arithmetic.balls import log, total, xlogy
from verify.arithmetic.instance import Exact
from verify.claims.objective.facts import likelihood, weights
from verify.claims.objective.proofs import OWN_TEMPERATURE, with_optimum
from verify.claims.residual_gradients.actor_facts import mpo_e_step
from verify.claims.residual_gradients.proofs import soft_logits
from verify.proofs.draws import small, tiny
from verify.proofs.facts import at_least, differs, equal
from verify.proofs.job import Jobs, proved, refuted
from verify.strategies import distributions, policies, q_tables, temperatures


def prior_posterior(x: Exact) -> list[arb]:
    """Zero if App. G's action posterior is as printed: Bayes' rule with the prior pi_phi minus that form."""
    n, y, w = fmpq(1, x.mdp.n_states), likelihood(x), weights(x)
    joint = [z * p * n for z, p in zip(y, x.pi_phi, strict=True)]
    out = []
    for own in x.mdp.of_state:
        state, closed = total(joint[i] for i in own), total(w[i] * x.pi_phi[i] for i in own)
        out += [joint[i] / state - w[i] * x.pi_phi[i] / closed for i in own]
    return out


def remainder(x: Exact, pi: Sequence[fmpq], phi: Sequence[fmpq], *, q: int = 1) -> arb:
    """App. G's lower bound of the log-evidence minus MPO's objective (42), at policy `pi`, prior `phi`.

    With `q` = 0, at Q = 0 in place of Q.
    """
    y = [z if q else arb(1) for z in likelihood(x)]
    out = arb(0)
    for i, (s, _) in enumerate(x.mdp.pairs):
        u = x.d[s] * pi[i]
        if u:
            out += u * log(y[i] * phi[i] / u) - u * (q * x.q[i] / x.eps - log(pi[i] / phi[i]))
    return out


def evidence(x: Exact) -> list[arb]:
    """Nonnegative if App. G's bound is below the log-evidence `log sum y pi_phi`: KL(d pi_theta || posterior).

    It is an exact zero where Q is constant in each state, so that y = 1, and d pi_theta is pi_phi/S.
    """
    joint = [y * p for y, p in zip(likelihood(x), x.pi_phi, strict=True)]
    u = [x.d[s] * p for (s, _), p in zip(x.mdp.pairs, x.pi_theta, strict=True)]
    flat = all(len({x.q[i] for i in own}) == 1 for own in x.mdp.of_state)
    if flat and all(w * x.mdp.n_states == p for w, p in zip(u, x.pi_phi, strict=True)):
        return [arb(0)]
    return [total(xlogy(w, w * total(joint) / z) for w, z in zip(u, joint, strict=True))]


def eq_42(x: Exact) -> list[arb]:
    """Zero if (42) is the lower bound up to a constant: both change alike from one pair of policies to another."""
    return [remainder(x, x.pi_theta, x.pi_phi) - remainder(x, x.pi, x.prior)]


def eq_42_omega_printed(x: Exact) -> list[arb]:
    """Zero if (42) as printed drops no term in omega: `lower bound - (42)` minus its value at Q = 0."""
    return [remainder(x, x.pi_theta, x.pi_phi) - remainder(x, x.pi_theta, x.pi_phi, q=0)]


def eq_42_omega(x: Exact) -> list[arb]:
    """Zero if (42) corrected holds: `lower bound - ((42) + E_d[log(y(s)/d(s))])`, y = exp(-max Q/eps)."""
    states = total(-d * t / x.eps - xlogy(d, d) for d, t in zip(x.d, x.mdp.best(x.q), strict=True))
    return [remainder(x, x.pi_theta, x.pi_phi) - states]


def best_prior(x: Exact) -> list[arb]:
    """Nonnegative if pi_phi = pi_theta is the best prior: MPO's (42) there minus (42) at any pi_phi.

    It is an exact zero where they are equal.
    """
    if x.pi_theta == x.pi_phi:
        return [arb(0)]
    return [
        total(
            x.d[s] * xlogy(x.pi_theta[i], fmpq(1) * x.pi_theta[i] / x.pi_phi[i])
            for i, (s, _) in enumerate(x.mdp.pairs)
        )
    ]


_TWO: dict[str, Any] = {"q": q_tables, "pi_theta": policies, "pi_phi": policies, "d": distributions}
_TWO_POLICIES = small(**_TWO, eps=temperatures())
_FOUR_POLICIES = small(**_TWO, pi=policies, prior=policies, eps=temperatures())
TWO_POLICIES = ("mdp", "q", "pi_theta", "pi_phi", "d", "eps")

JOBS: Jobs = {
    "app-g-posterior": (
        proved("printed", ("mdp", "q", "pi_phi", "eps"), equal(prior_posterior), instances=_TWO_POLICIES),
    ),
    "eq-42": (
        proved(
            "printed",
            ("mdp", "q", "pi_theta", "pi_phi", "pi", "prior", "d", "eps"),
            at_least(evidence),
            equal(eq_42),
            instances=_FOUR_POLICIES,
        ),
    ),
    "eq-42-omega": (
        refuted(
            "printed",
            ("mdp", "q_star", *TWO_POLICIES[1:]),
            *OWN_TEMPERATURE,
            differs(eq_42_omega_printed),
            prepare=with_optimum,
        ),
        proved("corrected", TWO_POLICIES, equal(eq_42_omega), instances=_TWO_POLICIES),
    ),
    "app-g-m-step-prior": (proved("printed", TWO_POLICIES, at_least(best_prior), instances=_TWO_POLICIES),),
    "eq-43": (
        proved(
            "printed",
            ("mdp", "q", "features", "omega", "pi_phi", "d", "eps"),
            equal(mpo_e_step),
            prepare=soft_logits,
            instances=tiny(q=q_tables, theta=q_tables, pi_phi=policies, d=distributions, eps=temperatures()),
        ),
    ),
}
