"""Proofs on episodes and lotteries: Marino et al. (5)-(12), pseudo-likelihood and MERL."""

import math
from functools import partial
from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.exact import ExactMDP, fraction_of
from verify.arithmetic.instance import Exact, exactly
from verify.claims.methods import episode_facts as facts
from verify.claims.methods import example_facts
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, TWO_STEPS, UP_TO_THREE_STEPS


def two_steps(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP, policies) with episodes of two steps, `horizon` = 2."""
    return exactly(instance).with_parts(horizon=fmpq(2))


def episodes(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP, policy) with episodes of `horizon` steps, a number that it gives."""
    horizon = fmpq(instance["horizon"])
    return exactly({k: v for k, v in instance.items() if k != "horizon"}).with_parts(horizon=horizon)


def lottery(instance: dict[str, Any]) -> Exact:
    """Exact instance of an MDP with a lottery that pays in the second step, and a safe reward, at temperature `c`.

    `share` places the safe reward between the lottery's mean and its certainty equivalent, up to 1/4096.
    """
    p, prize, c, share = (instance[name] for name in ("p", "prize", "c", "share"))
    equivalent = c * math.log(p * math.exp(prize / c) + 1 - p)
    safe = fmpq(round((p * prize + share * (equivalent - p * prize)) * 4096), 4096)
    chance, one, zero = fraction_of(p), fmpq(1), fmpq(0)
    end = ((2, one),)
    mdp = ExactMDP(
        n_states=3,
        n_actions=2,
        pairs=((0, 0), (0, 1), (1, 0), (2, 0)),
        rows=(((1, chance), (2, one - chance)), end, end, end),
        reward=(zero, safe, fraction_of(prize), zero),
        gamma=zero,
        initial=(one, zero, zero),
    )
    return Exact(mdp, {"c": fraction_of(c), "horizon": fmpq(2)})


def merl_example(instance: dict[str, Any]) -> Exact:
    """Exact instance of the VIREL talk's MERL counterexample with Q*: `k1` actions in s1, discount, temperature.

    States are s0, s1, s2 and one that absorbs for each action of s1.
    """
    k1, one = instance["k1"], fmpq(1)
    edges = [
        (0, 0, 1),
        (0, 1, 2),
        *((1, a, 3 + a) for a in range(k1)),
        *((s, 0, s) for s in range(2, 3 + k1)),
    ]
    mdp = ExactMDP(
        n_states=3 + k1,
        n_actions=max(2, k1),
        pairs=tuple((s, a) for s, a, _ in edges),
        rows=tuple(((t, one),) for _, _, t in edges),
        reward=tuple(fmpq(int(edge == (0, 1, 2))) for edge in edges),
        gamma=fraction_of(instance["gamma"]),
        initial=(one, *[fmpq(0)] * (2 + k1)),
    )
    return Exact(mdp, {"c": fraction_of(instance["c"]), "q_star": exact.optimal_values(mdp)})


def _merl_examples(*, past_the_threshold: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Hypothesis strategy that draws MERL counterexamples, with `k1^-gamma exp(1/c) < 1` if it is asked for."""
    drawn = st.fixed_dictionaries(
        {
            "k1": st.integers(2, 12),
            "gamma": st.sampled_from((0.5, 0.25, 0.75, 0.9)),
            "c": st.sampled_from((1.0, 2.0, 4.0, 0.5, 1.5, 3.0, 5.0, 8.0, 10.0)),
        }
    )
    margin = 0.01 if past_the_threshold else -math.inf
    return drawn.filter(lambda x: x["gamma"] * math.log(x["k1"]) > 1 / x["c"] + margin)


WITH_PRIOR, UNIFORM_PRIOR = ("mdp", "pi", "prior", "alpha"), ("mdp", "pi", "alpha", "horizon")
EPISODE, LOTTERY = ("mdp", "pi", "c", "horizon"), ("mdp", "c", "horizon")
IS_MERL_EXAMPLE = (
    given(equal(example_facts.rewards_of_one)),
    given(equal(example_facts.one_reward)),
    given(equal(example_facts.reward_at_start)),
    given(equal(example_facts.two_actions_at_start)),
    given(equal(example_facts.soft_fixed_point)),
)
"""Facts on the MDP of the talk's counterexample: two actions at the start, of which one pays 1 and nothing else does; soft values."""
WORSE_LOTTERY = (
    given(equal(example_facts.two_actions_at_start)),
    given(equal(example_facts.one_pays_later)),
    given(equal(example_facts.safe_is_sure)),
    given(above(example_facts.safe_above_mean)),
    given(above(example_facts.equivalent_above_safe)),
)
_two_steps = {"prepare": two_steps}

JOBS: Jobs = {
    "design-05": (
        refuted("printed", ("mdp", "pi"), differs(facts.mass_printed)),
        proved("corrected", ("mdp", "pi", "horizon"), TWO_STEPS, equal(facts.mass), **_two_steps),
    ),
    "design-06": (
        proved(
            "printed",
            (*WITH_PRIOR, "horizon"),
            TWO_STEPS,
            equal(facts.evidence_gap),
            at_least(facts.evidence_bound),
            **_two_steps,
        ),
    ),
    "design-07": (
        proved("printed", (*WITH_PRIOR, "horizon"), TWO_STEPS, equal(facts.by_steps), **_two_steps),
    ),
    "design-10": (
        refuted("printed", WITH_PRIOR, differs(partial(facts.soft_values, start=2))),
        proved("corrected", WITH_PRIOR, equal(partial(facts.soft_values, start=1))),
    ),
    "design-12": (
        refuted("printed", UNIFORM_PRIOR, TWO_STEPS, differs(facts.maximum_entropy_printed), **_two_steps),
        proved("corrected", UNIFORM_PRIOR, TWO_STEPS, equal(facts.maximum_entropy), **_two_steps),
    ),
    "pseudo-likelihood-marginal": (
        proved("printed", EPISODE, UP_TO_THREE_STEPS, equal(facts.marginal_evidence), prepare=episodes),
    ),
    "pseudo-likelihood-jensen": (
        proved("printed", EPISODE, UP_TO_THREE_STEPS, at_least(facts.jensen), prepare=episodes),
    ),
    "pseudo-likelihood-risk-seeking": (
        proved(
            "printed",
            LOTTERY,
            TWO_STEPS,
            *WORSE_LOTTERY,
            above(example_facts.fitted_lottery),
            prepare=lottery,
        ),
    ),
    "merl-counterexample": (
        proved(
            "printed",
            ("mdp", "c"),
            *IS_MERL_EXAMPLE,
            equal(example_facts.merl),
            prepare=merl_example,
            instances=_merl_examples(past_the_threshold=False),
        ),
    ),
    "merl-counterexample-threshold": (
        proved(
            "printed",
            ("mdp", "q_star", "c"),
            *IS_MERL_EXAMPLE,
            IS_OPTIMUM,
            given(above(example_facts.merl_premise)),
            above(example_facts.merl_threshold),
            above(example_facts.best_at_start),
            prepare=merl_example,
            instances=_merl_examples(past_the_threshold=True),
        ),
    ),
}
