"""Proofs on episodes and lotteries: Marino et al. (5)-(12), pseudo-likelihood and MERL."""

import math
from functools import partial
from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic.exact import fraction_of
from verify.arithmetic.instance import Exact, exactly, without_mdp
from verify.claims.methods import episode_facts as facts
from verify.proofs.facts import above, at_least, differs, equal
from verify.proofs.job import Jobs, proved, refuted


def two_steps(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP, policies) with episodes of two steps, `horizon` = 2."""
    return exactly(instance).with_parts(horizon=fmpq(2))


def episodes(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP, policy) with episodes of `horizon` steps, a number that it gives."""
    horizon = fmpq(instance["horizon"])
    return exactly({k: v for k, v in instance.items() if k != "horizon"}).with_parts(horizon=horizon)


def lottery(instance: dict[str, Any]) -> Exact:
    """Exact instance of a lottery against a safe reward: `chance`, `prize`, `share`, temperature `c`.

    `share` places the safe reward between the lottery's mean and its certainty equivalent.
    """
    names = {"chance": "p", "prize": "prize", "share": "share", "c": "c"}
    return without_mdp(**{name: fraction_of(instance[key]) for name, key in names.items()})


def merl_example(instance: dict[str, Any]) -> Exact:
    """Exact instance of the VIREL talk's MERL counterexample: `k1` actions in s1, discount, temperature.

    `facts.merl` writes its MDP out.
    """
    names = {"k1": "k1", "discount": "gamma", "c": "c"}
    return without_mdp(**{name: fraction_of(instance[key]) for name, key in names.items()})


def _past_the_threshold() -> st.SearchStrategy[dict[str, Any]]:
    """Hypothesis strategy that draws MERL counterexamples with `k1^-gamma exp(1/c) < 1`."""
    drawn = st.fixed_dictionaries(
        {
            "k1": st.integers(2, 40),
            "gamma": st.sampled_from((0.5, 0.25, 0.75)),
            "c": st.sampled_from((1.0, 2.0, 4.0, 0.5)),
        }
    )
    return drawn.filter(lambda x: x["gamma"] * math.log(x["k1"]) > 1 / x["c"] + 0.01)


WITH_PRIOR, UNIFORM_PRIOR = ("mdp", "pi", "prior", "alpha"), ("mdp", "pi", "alpha", "horizon")
EPISODE, LOTTERY, MERL = (
    ("mdp", "pi", "c", "horizon"),
    ("chance", "prize", "share", "c"),
    ("k1", "discount", "c"),
)
WORSE_LOTTERY = (
    above(facts.proper_lottery),
    above(facts.safe_above_mean),
    above(facts.equivalent_above_safe),
)
_two_steps = {"prepare": two_steps}
_merl = {"prepare": merl_example}

JOBS: Jobs = {
    "design-05": (
        refuted("printed", ("mdp", "pi"), differs(facts.mass_printed)),
        proved("corrected", ("mdp", "pi", "horizon"), equal(facts.mass), **_two_steps),
    ),
    "design-06": (
        proved(
            "printed",
            (*WITH_PRIOR, "horizon"),
            equal(facts.evidence_gap),
            at_least(facts.evidence_bound),
            **_two_steps,
        ),
    ),
    "design-07": (proved("printed", (*WITH_PRIOR, "horizon"), equal(facts.by_steps), **_two_steps),),
    "design-10": (
        refuted("printed", WITH_PRIOR, differs(partial(facts.soft_values, start=2))),
        proved("corrected", WITH_PRIOR, equal(partial(facts.soft_values, start=1))),
    ),
    "design-12": (
        refuted("printed", UNIFORM_PRIOR, differs(facts.maximum_entropy_printed), **_two_steps),
        proved("corrected", UNIFORM_PRIOR, equal(facts.maximum_entropy), **_two_steps),
    ),
    "pseudo-likelihood-marginal": (
        proved("printed", EPISODE, equal(facts.marginal_evidence), prepare=episodes),
    ),
    "pseudo-likelihood-jensen": (proved("printed", EPISODE, at_least(facts.jensen), prepare=episodes),),
    "pseudo-likelihood-risk-seeking": (
        proved("printed", LOTTERY, *WORSE_LOTTERY, above(facts.fitted_lottery), prepare=lottery),
    ),
    "merl-counterexample": (proved("printed", MERL, equal(facts.merl), **_merl),),
    "merl-counterexample-threshold": (
        proved(
            "printed",
            MERL,
            above(facts.merl_premise),
            above(facts.merl_threshold),
            prepare=merl_example,
            instances=_past_the_threshold(),
        ),
    ),
}
