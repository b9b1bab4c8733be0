"""Claims on the VIREL talk's counterexample to maximum-entropy RL (MERL), on an MDP that fits its formula.

s0 -a1-> s1, where s1 has k1 actions, each to a state without choice or reward; s0 -a2-> s2, reward 1, then
nothing.

Both sides: the closed form of the talk (`merl_counterexample_probability`) against the policy of the soft
        fixed point.
Bound:  a logit error x changes a probability by at most x/4. The fixed point is within `error_bound` in
        each of two values, so the logit within 2 error_bound/c. Rounding of the logit (size at most 2 (1/c
        + log k1)), of exp and of the quotient adds 32 u (1 + 1/c + log k1). The threshold is strict: the
        probability must differ from 1/2 by its own error, which is possible, as the logits of the instances are
        above 0.01 in size, which puts it 0.002 from 1/2. The optimal policy is exact: rewards 0 and 1,
        deterministic, finite horizon.
Teeth:  `perturb` takes the probability of the other action.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.methods.merl_figure import figures
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import U
from virel_theory.methods.merl import merl_counterexample_probability, merl_policy
from virel_theory.models.draw import merl_counterexample
from virel_theory.operators.bellman import bellman_optimal
from virel_theory.operators.policies import greedy_policy
from virel_theory.solvers.soft import soft_value_iteration


def closed_form_gap(*, k1: int, gamma: float, c: float, perturb: float = 0.0) -> Gap:
    """Gap of MERL's pi(a1|s0), soft fixed point, to the VIREL talk's `1/(k1^-gamma exp(1/c) + 1)`, zero."""
    probability, bound = _soft_probability(k1, gamma, c, perturb)
    return Gap(abs(probability - merl_counterexample_probability(k1, gamma=gamma, c=c)), bound)


def threshold_gap(*, k1: int, gamma: float, c: float, perturb: float = 0.0) -> Gap:
    """Gap of the VIREL talk's threshold: 1/2 minus MERL's pi(a1|s0) if `k1^-gamma exp(1/c) < 1`, below 0.

    Its pi(a1|s0) minus 1/2 must exceed the error, while pi*(a2|s0) = 1. Where k1^-gamma exp(1/c) > 1, 1/2 must
    exceed pi(a1|s0): the threshold is attained.
    """
    probability, bound = _soft_probability(k1, gamma, c, perturb)
    if k1**-gamma * np.exp(1 / c) > 1:
        return Gap(probability - 0.5, -bound)
    mdp = merl_counterexample(k1, gamma=gamma)
    q = np.where(mdp.available, 0.0, -np.inf)
    for _ in range(3):  # three decisions reach the absorbing states, whose value is 0
        q = bellman_optimal(mdp, q)
    return worst(Gap(0.5 - probability, -bound), Gap(1 - greedy_policy(q)[0, 1], 0.0))


def _soft_probability(k1: int, gamma: float, c: float, perturb: float) -> tuple[float, float]:
    mdp = merl_counterexample(k1, gamma=gamma)
    soft = soft_value_iteration(mdp, c=c, atol=1e-9 * (1 + c), throw=True)
    probability = float(merl_policy(soft.q, c=c)[0, 0])
    bound = soft.error_bound / (2 * c) + 32 * U * (1 + 1 / c + np.log(k1))
    return probability + perturb * (1 - 2 * probability), bound


_K1 = st.integers(1, 40)
_GAMMA = st.sampled_from((0.5, 0.0, 0.25, 0.75, 0.9))
_C = st.sampled_from((1.0, 0.5, 2.0, 4.0, 0.25, 10.0, 0.1))
_ALL = st.fixed_dictionaries({"k1": _K1, "gamma": _GAMMA, "c": _C})
_READING = (
    "The figure of the slide cannot be read in our copy, and the talk's objective has no discount: the MDP is one that fits the"
    " formula ($s_1$ leads by $k_1$ actions to states without choice or reward), with rewards and entropies discounted alike."
)

CLAIMS = (
    Claim(
        id="merl-counterexample",
        title="MERL policy of the counterexample",
        source="Talk, MERL counterexample",
        statement=r"\pi^*_{merl}(a_1|s_0) = \frac{1}{k_1^{-\gamma}\exp(1/c) + 1}",
        reading=_READING,
        check=Check(closed_form_gap, _ALL),
        expected=Verdict.HOLDS,
        figures=figures,
    ),
    Claim(
        id="merl-counterexample-threshold",
        title="MERL prefers the worse action; the optimal policy is not recovered",
        source="Talk, MERL counterexample",
        statement=r"k_1^{-\gamma}\exp(1/c) < 1 \Rightarrow \pi^*_{merl}(a_1|s_0) > 1/2,"
        r"\quad \text{while } \pi^*(a_2|s_0) = 1",
        reading=_READING,
        check=Check(
            threshold_gap, _ALL.filter(lambda x: abs(x["gamma"] * np.log(x["k1"]) - 1 / x["c"]) > 0.01)
        ),
        expected=Verdict.HOLDS,
    ),
)
