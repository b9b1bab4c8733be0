"""Proof of the statements on the gap of inference, in ball arithmetic: divergence, contraction, exact step."""

from typing import Any

from flint import arb, fmpq
from hypothesis import strategies as st

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.claims.priors.proofs import with_exponent, without_ties
from verify.proofs.facts import at_least, equal
from verify.proofs.job import Jobs, proved
from verify.strategies import instances, mdps, policies, q_tables, temperatures


def log_masses(x: Exact) -> list[arb]:
    """Logarithm of `sum_a p e^(Q/alpha)` in each state."""
    return [total(x.prior[i] * exp(x.q[i] / x.alpha) for i in own).log() for own in x.mdp.of_state]


def log_best(x: Exact) -> list[arb]:
    """Logarithm of the posterior per pair: that of `p e^(Q/alpha)` minus that of the mass."""
    masses = log_masses(x)
    return [log(x.prior[i]) + x.q[i] / x.alpha - masses[s] for i, (s, _) in enumerate(x.mdp.pairs)]


def gap_minus_divergence(x: Exact) -> list[arb]:
    """Zero if the gap of a policy is `alpha KL(pi || posterior)`: soft maximum minus objective minus it."""
    masses, best, out = log_masses(x), log_best(x), []
    for mass, own in zip(masses, x.mdp.of_state, strict=True):
        objective = total(x.pi[i] * (x.q[i] - x.alpha * log(x.pi[i] / x.prior[i])) for i in own)
        divergence = total(x.pi[i] * (log(x.pi[i]) - best[i]) for i in own)
        out.append(x.alpha * mass - objective - x.alpha * divergence)
    return out


def divergence(x: Exact) -> list[arb]:
    """Nonnegative: `alpha KL(pi || posterior)` per state; an exact zero in a state with one action."""
    best = log_best(x)
    return [
        x.alpha * total(x.pi[i] * (log(x.pi[i]) - best[i]) for i in own) if len(own) > 1 else arb(0)
        for own in x.mdp.of_state
    ]


def centred(x: Exact, values: list[arb]) -> list[arb]:
    """Values per pair minus their mean over the actions of the state."""
    means = [total(values[i] for i in own) / len(own) for own in x.mdp.of_state]
    return [value - means[s] for value, (s, _) in zip(values, x.mdp.pairs, strict=True)]


def contraction(x: Exact) -> list[arb]:
    """Zero if a mirror step of length share/alpha shrinks log-ratios by 1 - share: both, centred, subtracted."""
    best, left = log_best(x), fmpq(1) - x.share
    target = [log(p) + q / x.alpha for p, q in zip(x.prior, x.q, strict=True)]
    moved = [left * log(p) + x.share * t for p, t in zip(x.pi, target, strict=True)]
    after = centred(x, [m - b for m, b in zip(moved, best, strict=True)])
    before = centred(x, [log(p) - b for p, b in zip(x.pi, best, strict=True)])
    return [a - left * b for a, b in zip(after, before, strict=True)]


def exact_step(x: Exact) -> list[arb]:
    """Zero if one mirror step of length 1/alpha is exact: its log-ratio to the posterior, centred."""
    best = log_best(x)
    target = [log(p) + q / x.alpha for p, q in zip(x.prior, x.q, strict=True)]
    return centred(x, [t - b for t, b in zip(target, best, strict=True)])


def is_apart(instance: dict[str, Any]) -> bool:
    """Whether `pi` is not the posterior, in any state with a choice."""
    return without_ties(instance | {"share": 1.0})


SMALL = instances(
    mdp=mdps(max_states=2, max_actions=3, masked=True),
    q=q_tables,
    pi=policies,
    prior=policies,
    alpha=temperatures().filter(lambda alpha: alpha >= 0.1),
    share=st.sampled_from([0.5, 1.0, 0.25]),
).filter(is_apart)

JOBS: Jobs = {
    "iterative-gap": (
        proved(
            "printed",
            ("mdp", "q", "pi", "prior", "alpha", "share"),
            equal(gap_minus_divergence),
            at_least(divergence),
            equal(contraction),
            equal(exact_step),
            prepare=with_exponent,
            instances=SMALL,
        ),
    ),
}
