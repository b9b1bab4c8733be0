r"""Claims on the limits of Distral's prior exponent: rho = 0 decouples the tasks, rho = 1 has no entropy.

The text of Teh et al. 2017 beyond its introduction could not be had. So the statements are ours.

Both sides: iterates of `distral`, against soft policy iteration of `virel_theory.solvers` in each task (rho = 0), and
        against plain policy iteration for V* with values computed in `tools` by dense solves (rho = 1).
Bound:  rounding of linear solves, `tools.rounding`, with the actual logarithms of the iterates. A solver's own
        `error_bound` is taken off what is compared with it. Iterates that stand still must have the same bits.
Teeth:  `perturb` is the exponent of the first statement, is added to a probability, or takes 90 % off the rate.
"""

from itertools import islice

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.priors.tools import SMALL, TASKS, WARM, costs, rounding, state_values, two_tasks
from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import instances
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.soft import soft_policy_iteration
from virel_theory.solvers.solve import policy_iteration
from virel_theory.variational.algorithms.distral import distral

STEPS = 6


def decoupled_gap(*, mdp: TabularMDP, reward_2: Array, d: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of rho = 0: values of `distral`'s second step minus each task's soft policy iteration."""
    tasks, gaps = two_tasks(mdp, reward_2, d), []
    step = list(islice(distral(tasks, alpha=alpha, exponent=perturb), 2))[-1]
    for task, q in zip(tasks, step.q, strict=True):
        alone = soft_policy_iteration(task, c=alpha, atol=1e-9, throw=False)
        soft = alpha * logsumexp(np.where(task.available, q / alpha, -np.inf), axis=1)
        bound = 4 * rounding(task, alpha, np.full(1, 1e-4))
        gaps.append(Gap(np.abs(soft - alone.value).max() - alone.error_bound, bound))
    return worst(*gaps)


def deterministic_gap(*, prize: float, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of "rho = 1 ends deterministic": 1 minus the largest probability, where the iterates stand still.

    Two bandits pay `prize` for the first and for the second action. If an iterate differs from the first one
    in a bit, the instance says nothing, and the gap is 0.
    """
    rows = ([prize, 0.0], [0.0, prize])
    tasks = [TabularMDP(np.ones((1, 2, 1)), np.array([row]), 0.0) for row in rows]
    first, *later = islice(distral(tasks, alpha=alpha, exponent=1.0), STEPS)
    stands = all((x.policy == first.policy).all() and (x.prior == first.prior).all() for x in later)
    return Gap((1 - first.policy.max()) * stands + perturb, 4 * U)


def rate_gap(*, mdp: TabularMDP, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the rate for one task: `0 <= V* - V_K <= alpha log A / ((1 - gamma) K)`, K = 1, ..., 6.

    V_K are the regularised values for the prior that the step began with. `perturb` takes 90 % off the right
    side.
    """
    best = policy_iteration(mdp, atol=1e-12, throw=False)
    prior, gaps = mdp.available / mdp.available.sum(axis=1, keepdims=True), []
    for x in islice(distral([mdp], alpha=alpha, exponent=1.0), STEPS):
        pi = x.policy[0]
        loss = best.value - state_values(mdp, pi, costs(pi, prior, alpha, 1.0))
        room = rate(mdp, alpha, x.step) * (1 - 0.9 * perturb)
        bound = 4 * rounding(mdp, alpha, pi, prior)
        gaps += [Gap(-loss.min() - best.error_bound, bound), Gap(loss.max() - room - best.error_bound, bound)]
        prior = x.prior
    return worst(*gaps)


def rate(mdp: TabularMDP, alpha: float, k: int) -> float:
    """Right side of the rate for one task, `alpha log A / ((1 - gamma) k)`."""
    return float(alpha * np.log(mdp.n_actions) / ((1 - mdp.gamma) * k))


_ITERATES = NoProof("iterates of an algorithm in logarithms of logarithms, beyond the checker's algebra")

CLAIMS = (
    Claim(
        id="distral-decoupled",
        title="Distral without the prior is soft Q-learning in each task",
        source="ours, on Teh et al. 2017",
        statement=r"\rho = 0:\quad V_i = \alpha\log\sum_ae^{Q_i/\alpha},\ \text{the soft optimum of task } i \text{ alone}",
        check=Check(decoupled_gap, instances(**TASKS, alpha=WARM), n_random=50),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=_ITERATES,
    ),
    Claim(
        id="distral-deterministic",
        title="Distral without entropy ends deterministic",
        source="ours, on Teh et al. 2017",
        statement=r"\rho = 1:\quad \lim_k\max_a\pi_i^k(a|s) = 1",
        check=Check(
            deterministic_gap,
            st.fixed_dictionaries(
                {"prize": st.sampled_from([1.0, 2.0, 3.0]), "alpha": st.sampled_from([1.0, 2.0, 0.5])}
            ),
        ),
        expected=Verdict.REFUTED,
        printed=False,
        weight=Weight.REMARK,
        correction=Correction(
            statement=r"N = 1,\ \rho = 1,\ \pi_0^0 \text{ uniform}:\quad 0 \le V^*(s) - V_K(s) \le \frac{\alpha\log A}{(1 - \gamma)K}",
            derivation=r"Two bandits that pay for different actions keep $\pi_0 = (1/2, 1/2)$, and each policy stays at $e^{1/\alpha}/(e^{1/\alpha} + 1)$: "
            r"J, maximised over the policies, is concave in $\pi_0$ and symmetric, so that this is its maximum. For one task, M copies the posterior "
            r"(where it comes): $\log\pi_0^k = \log\pi_0^{k-1} + (Q_k - V_k)/\alpha$. Let $D_k$ be the sum of $\gamma^tE[KL(\pi^*\|\pi_0^k)]$ along $\pi^*$ from s. "
            r"Then $D_k = D_{k-1} - (V^*(s) - V_k(s))/\alpha$, as $\sum_t\gamma^tE_{\pi^*}[Q_k - V_k] = V^*(s) - V_k(s)$. "
            r"Summed, $\sum_{k \le K}(V^* - V_k) \le \alpha D_0 \le \alpha\log A/(1 - \gamma)$, and $V_k$ never falls; $V_k \le V^*$ because the cost is not negative.",
            check=Check(rate_gap, instances(mdp=SMALL, alpha=WARM), n_random=50),
        ),
        not_certified=NoProof("a rate along iterates in logarithms of logarithms", form="corrected"),
    ),
)
