"""Claim on Marino et al. (11): is the Boltzmann posterior at Q_pi the optimum of J?

Only if Q_pi is that of pi^B itself. Two steps: s0 leads to one of two states, each with two rewards; uniform prior.

Both sides: J of a two-step policy from its definition; the largest J, `alpha log E_p[exp(V/alpha)]` by backward
        induction, a closed form without a policy.
Bound:  rounding: four numbers of size B = 1 + max|r|/alpha: 64 u alpha B.
Teeth:  `perturb` adds to J of the posterior, or to its first step.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from virel_theory.checks import Array, U

Rewards = Sequence[Sequence[float]]


def objective(first: Array, second: Array, rewards: Array, alpha: float) -> float:
    """J of (7) for two steps: first action probabilities `[2]`, second ones `[2, 2]`, prior 1/2 each."""
    ends = np.sum(second * (rewards - alpha * np.log(2 * second)), axis=1)
    return float(np.sum(first * (ends - alpha * np.log(2 * first))))


def largest(rewards: Array, alpha: float) -> float:
    """Largest J over all policies: the soft maximum `alpha log E_p[exp(./alpha)]`, twice."""
    ends = alpha * (logsumexp(rewards / alpha, axis=1) - np.log(2))
    return float(alpha * (logsumexp(ends / alpha) - np.log(2)))


def printed_gap(*, rewards: Rewards, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of (11) at Q_pi of the uniform pi: the largest J minus J of the posterior, at most 0."""
    table = np.array(rewards)
    first = softmax(table.mean(axis=1) / alpha)
    found = objective(first, softmax(table / alpha, axis=1), table, alpha) - perturb
    return Gap(largest(table, alpha) - found, _bound(table, alpha))


def fixed_point_gap(*, rewards: Rewards, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of (11) at Q of the posterior itself: |largest J - J|, zero; J of three other policies, below it."""
    table = np.array(rewards)
    second = softmax(table / alpha, axis=1)
    ends = np.sum(second * (table - alpha * np.log(2 * second)), axis=1)
    at_fixed_point = objective(softmax(ends / alpha), second, table, alpha) + perturb
    top, bound = largest(table, alpha), _bound(table, alpha)
    others = [objective(np.array([p, 1 - p]), second, table, alpha) for p in (0.25, 0.5, 0.75)]
    return worst(Gap(abs(top - at_fixed_point), bound), Gap(max(others) - top, bound))


def _bound(rewards: Array, alpha: float) -> float:
    return float(64 * U * alpha * (1 + np.abs(rewards).max() / alpha))


_ROW = st.tuples(st.integers(-3, 3), st.integers(-3, 3)).map(list)
_INSTANCES = st.fixed_dictionaries(
    {"rewards": st.tuples(_ROW, _ROW).map(list), "alpha": st.sampled_from((1.0, 0.5, 2.0))}
)

CLAIMS = (
    Claim(
        id="design-11-optimum",
        title="The Boltzmann posterior at Q_pi is optimal",
        source="Marino et al., Eq. (11)",
        statement=r"\pi^B(a|s,O) = \frac{p_\theta(a|s)\exp(Q_\pi(s,a)/\alpha)}{\int p_\theta\exp(Q_\pi/\alpha)da}",
        reading=r"It maximises $\mathcal J$, whatever $\pi$ the values $Q_\pi$ belong to.",
        check=Check(printed_gap, _INSTANCES, recorded={"rewards": [[3, -3], [1, 1]], "alpha": 1.0}),
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        correction=Correction(
            statement=r"\pi^B = \arg\max_\pi \mathcal J \iff Q_\pi = Q_{\pi^B} \text{ in (11)}",
            derivation=r"(11) is the best posterior for one step, with the values of later steps fixed. From $s_0$ one action leads to rewards"
            r" (3, -3), the other to (1, 1); $\alpha = 1$. Under the uniform $\pi$, $Q_\pi = (0, 1)$, and (11) gives the first action"
            r" 0.269 ($\mathcal J = 1.24$); the soft values are (2.31, 1), which give 0.787 ($\mathcal J = 1.86$, the largest).",
            check=Check(fixed_point_gap, _INSTANCES),
        ),
        not_certified=NoProof("a fixed point of soft values"),
    ),
)
