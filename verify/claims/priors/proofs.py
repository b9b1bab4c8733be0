"""Proofs of the claims on learned priors in ball arithmetic, on small instances of their own.

Joint probabilities of two variables are stored as the pairs of an MDP: the state is the action a, the action
is the hidden part or latent g, and the pair leads to the state g. So sums over g are sums over a state's
actions, and sums over a are what flows into a state.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic.exact import ExactMDP, fraction_of
from verify.arithmetic.instance import Exact, exactly, without_mdp
from verify.claims.priors import facts
from verify.proofs.facts import above, at_least, equal, given
from verify.proofs.job import Jobs, as_drawn, proved, refuted
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures


def with_exponent(instance: dict[str, Any]) -> Exact:
    """Exact instance whose part `share` is the prior exponent."""
    x = exactly({name: part for name, part in instance.items() if name != "share"})
    return x.with_parts(share=fraction_of(instance["share"]))


def two_bandits(instance: dict[str, Any]) -> Exact:
    """Exact instance without an MDP: the prize of two bandits and the temperature."""
    return without_mdp(**{name: fraction_of(value) for name, value in instance.items()})


def without_ties(instance: dict[str, Any]) -> bool:
    """Whether `pi` is not the posterior in any state with a choice, where an inequality would be an equality."""
    mdp, q, alpha, rho = (instance[name] for name in ("mdp", "q", "alpha", "share"))
    on = mdp.available
    log_weights = np.where(on, q / alpha + rho * np.log(np.where(on, instance["prior"], 1.0)), -np.inf)
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    gap = np.abs(weights / weights.sum(axis=1, keepdims=True) - instance["pi"]).max(axis=1)
    return bool((gap[on.sum(axis=1) > 1] > 1e-6).all())


def shares(weights: Sequence[int]) -> tuple[fmpq, ...]:
    """Rational probabilities in the ratio of positive integers."""
    return tuple(fmpq(w, sum(weights)) for w in weights)


@st.composite
def joint(draw: st.DrawFn) -> Exact:
    """Exact instance with joint probabilities `weight` of action and hidden part, `prior` and `d`."""
    n = draw(st.integers(1, 3))
    pairs = tuple((a, g) for a in range(n) for g in range(n))
    rows = tuple(((g, fmpq(1)),) for _, g in pairs)
    mdp = ExactMDP(n, n, pairs, rows, (fmpq(0),) * n**2, fmpq(0), shares([1] * n))

    def counts(size: int) -> list[int]:
        return draw(st.lists(st.integers(1, 5), min_size=size, max_size=size))

    prior = tuple(p for _ in range(n) for p in shares(counts(n)))
    return Exact(mdp, {"weight": shares(counts(n**2)), "prior": prior, "d": shares(counts(n))})


BLOCKS = instances(
    mdp=mdps(max_states=2, max_actions=3, masked=True),
    q=q_tables,
    pi=policies,
    pi_theta=policies,
    prior=policies,
    d=distributions,
    alpha=temperatures().filter(lambda alpha: alpha >= 0.1),
    share=st.sampled_from([1.0, 0.5, 0.25, 0.75]),
).filter(without_ties)

JOBS: Jobs = {
    "distral-blocks": (
        proved(
            "printed",
            ("mdp", "q", "pi", "pi_theta", "prior", "d", "alpha", "share"),
            given(at_least(facts.room_for_exponent)),
            equal(facts.at_posterior),
            at_least(facts.above_any_policy),
            equal(facts.lost_by_prior),
            at_least(facts.loss_of_prior),
            prepare=with_exponent,
            instances=BLOCKS,
        ),
    ),
    "distral-deterministic": (
        refuted(
            "printed",
            ("prize", "alpha"),
            equal(facts.prior_moves),
            above(facts.can_lose),
            above(facts.leans),
            prepare=two_bandits,
        ),
    ),
    "iadp-information": (
        proved(
            "printed",
            ("mdp", "weight", "d"),
            given(equal(facts.total_mass)),
            equal(facts.information),
            at_least(facts.cost_above_information),
            prepare=as_drawn,
            instances=joint(),
        ),
    ),
    "hdp-bound": (
        proved(
            "printed",
            ("mdp", "weight", "prior", "d"),
            given(equal(facts.total_mass)),
            equal(facts.chain),
            at_least(facts.bound_by_levels),
            at_least(facts.bound_by_high_level),
            prepare=as_drawn,
            instances=joint(),
        ),
    ),
}
