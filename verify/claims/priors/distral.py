r"""Claims on Distral: both blocks of its objective in closed form, their alternation, and its limits.

The text of Teh et al. 2017 beyond its introduction could not be had; the objective was read in notes on the
paper. So the statements are ours.

Both sides: `regularised_optimum`, `prior_distilled` and the iterates of `distral`, against values, visits,
        mixtures and logarithms computed here and in `tools` by dense solves and term by term; soft policy
        iteration of `virel_theory.solvers` for rho = 0; plain policy iteration for V*.
Bound:  rounding of linear solves, `tools.rounding`: 4 * 64 (S^2 + 8) u B/(1 - gamma)^2. Objectives and
        values along iterates are evaluated at the iterates, whose logarithms are at most 2 * 8/(alpha (1 -
        gamma)) + K log A more per
        step: B counts their actual size. A mixture's weights and its entries carry the rounding of visits,
        so that its error is compared times the sum of the weights. The solvers that are compared add their
        own `error_bound`.
Teeth:  `perturb` doubles the temperature of the posterior, flips the sign of the cost in J, adds `perturb`
        to a value, or halves the right side of the rate.
"""

from itertools import islice

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.priors.tools import (
    EXPONENTS,
    SIMPLE_TASKS,
    SMALL,
    TASKS,
    TWO_TASKS,
    WARM,
    costs,
    mixture,
    objective,
    rounding,
    state_values,
    two_tasks,
    visits,
)
from verify.claims.priors.transfer_figure import distral_figures
from verify.engine.claim import Assumption, Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import instances
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.soft import soft_policy_iteration
from virel_theory.solvers.solve import policy_iteration
from virel_theory.variational.algorithms.distral import distral
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.core.m_steps import prior_distilled
from virel_theory.variational.parts.optimum import regularised_optimum

STEPS = 6


def blocks_gap(
    *,
    mdp: TabularMDP,
    reward_2: Array,
    d: Array,
    pi: Array,
    pi_theta: Array,
    prior: Array,
    alpha: float,
    exponent: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of both blocks: optimum against any policy and its soft maximum; distilled policy against any prior."""
    tasks, given = two_tasks(mdp, reward_2, d), [pi, pi_theta]
    gaps = [
        _posterior_gap(task, x, prior, alpha, exponent, perturb) for task, x in zip(tasks, given, strict=True)
    ]
    weights = [visits(task, x) for task, x in zip(tasks, given, strict=True)]
    best = prior_distilled(np.stack(given), weights=np.stack(weights))
    others = [best + (prior - best) / n for n in (1, 16)]  # near the best one too, where J is flat
    here, *there = (_total(tasks, given, p, alpha, exponent) for p in (best, *others))
    return worst(*gaps, Gap(max(there) - here, 4 * rounding(mdp, alpha, pi, pi_theta, prior, best)))


def _posterior_gap(
    task: TabularMDP, pi: Array, prior: Array, alpha: float, rho: float, perturb: float
) -> Gap:
    """By how much any policy exceeds the optimum, and the optimum's values differ from the soft maximum of Q."""
    q, _ = regularised_optimum(task, prior=prior, alpha=alpha, exponent=rho)
    best = posterior_policy(q, prior=prior, alpha=alpha * (1 + perturb), exponent=rho)
    v = state_values(task, best, costs(best, prior, alpha, rho))
    other = state_values(task, pi, costs(pi, prior, alpha, rho))
    scores = np.where(task.available, q / alpha + rho * np.log(np.where(prior > 0, prior, 1.0)), -np.inf)
    soft = alpha * logsumexp(scores, axis=1)
    bound = 4 * rounding(task, alpha, pi, prior, best)
    return worst(Gap((other - v).max(), bound), Gap(np.abs(v - soft).max(), bound))


def _total(tasks: list[TabularMDP], policies: list[Array], prior: Array, alpha: float, rho: float) -> float:
    return sum(objective(t, x, prior, alpha, rho) for t, x in zip(tasks, policies, strict=True))


def monotone_gap(
    *, mdp: TabularMDP, reward_2: Array, d: Array, alpha: float, exponent: float, perturb: float = 0.0
) -> Gap:
    """Gap of the ascent: largest fall of J between half-steps of `distral`; with `perturb`, J adds the cost."""
    tasks = two_tasks(mdp, reward_2, d)
    prior = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    values, gaps = [], []
    for x in islice(distral(tasks, alpha=alpha, exponent=exponent), STEPS):
        values += [
            _total(tasks, list(x.policy), p, alpha * (1 - 2 * perturb), exponent) for p in (prior, x.prior)
        ]
        size = 4 * rounding(mdp, alpha, x.policy, prior, x.prior)
        gaps += [Gap(values[-2] - values[-1], size), _iterate_gap(tasks, x, prior, alpha, size)]
        gaps += [Gap(values[-3] - values[-2], size)] if len(values) > 2 else []
        prior = x.prior
    return worst(*gaps)


def _iterate_gap(tasks: list[TabularMDP], x: Iterate, prior: Array, alpha: float, size: float) -> Gap:
    """Gap of an iterate's distilled policy, divergence and return, from its policies' visits."""
    weights = [(1 - t.gamma) * visits(t, pi) for t, pi in zip(tasks, x.policy, strict=True)]
    kl = np.mean([w @ costs(pi, prior, 1.0, 1.0) for w, pi in zip(weights, x.policy, strict=True)])
    values = [state_values(t, pi, np.zeros(t.n_states)) for t, pi in zip(tasks, x.policy, strict=True)]
    value = np.mean([t.initial @ v for t, v in zip(tasks, values, strict=True)])
    off = np.abs(x.prior - mixture(list(x.policy), weights)) * np.asarray(sum(weights))[:, None]
    return worst(
        Gap(off.max(), size * (1 + 1 / alpha)),
        Gap(max(abs(x.kl - kl), abs(x.value - value)), size * (1 + 1 / alpha)),
        Gap(np.abs(x.policy - x.posterior).max() + abs(x.temperature - alpha), 0.0),
    )


def decoupled_gap(*, mdp: TabularMDP, reward_2: Array, d: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of rho = 0: values of `distral`'s second step minus each task's soft policy iteration."""
    tasks, gaps = two_tasks(mdp, reward_2, d), []
    step = list(islice(distral(tasks, alpha=alpha, exponent=perturb), 2))[-1]
    for task, q in zip(tasks, step.q, strict=True):
        alone = soft_policy_iteration(task, c=alpha, atol=1e-9, throw=False)
        soft = alpha * logsumexp(np.where(task.available, q / alpha, -np.inf), axis=1)
        bound = alone.error_bound + 4 * rounding(task, alpha, np.full(1, 1e-4))
        gaps.append(Gap(np.abs(soft - alone.value).max(), bound))
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
        bound = best.error_bound + 4 * rounding(mdp, alpha, pi, prior)
        gaps += [Gap(-loss.min(), bound), Gap(loss.max() - room, bound)]
        prior = x.prior
    return worst(*gaps)


def rate(mdp: TabularMDP, alpha: float, k: int) -> float:
    """Right side of the rate for one task, `alpha log A / ((1 - gamma) k)`."""
    return float(alpha * np.log(mdp.n_actions) / ((1 - mdp.gamma) * k))


def distilled_gap(
    *,
    mdp: TabularMDP,
    reward_2: Array,
    d: Array,
    pi: Array,
    pi_theta: Array,
    prior: Array,
    alpha: float,
    exponent: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of what a prior loses: J at the mixture minus J at `prior`, against the weighted KL divergence."""
    tasks, given = two_tasks(mdp, reward_2, d), [pi, pi_theta]
    weights = [visits(task, x) + perturb for task, x in zip(tasks, given, strict=True)]
    best = prior_distilled(np.stack(given), weights=np.stack(weights))
    lost = _total(tasks, given, best, alpha, exponent) - _total(tasks, given, prior, alpha, exponent)
    log_ratio = np.log(np.where(best > 0, best, 1.0)) - np.log(np.where(prior > 0, prior, 1.0))
    right = lost_by_prior(np.asarray(sum(weights)), (best * log_ratio).sum(axis=1), alpha, exponent)
    return Gap(abs(lost - right), 4 * rounding(mdp, alpha, pi, pi_theta, prior, best))


def lost_by_prior(weights: Array, divergence: Array, alpha: float, rho: float) -> float:
    """Right side for the distilled policy, `alpha rho sum_s w(s) KL(s)`."""
    return float(alpha * rho * (weights @ divergence))


def unweighted_gap(
    *,
    mdp: TabularMDP,
    reward_2: Array,
    d: Array,
    pi: Array,
    pi_theta: Array,
    prior: Array,
    alpha: float,
    exponent: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of "the plain mean of the policies is best": J at the visit-weighted mixture minus J at the mean."""
    tasks, given = two_tasks(mdp, reward_2, d), [pi, pi_theta]
    weighted = mixture(given, [visits(task, x) for task, x in zip(tasks, given, strict=True)])
    plain = mixture(given, [np.ones(mdp.n_states)] * 2)
    gain = _total(tasks, given, weighted, alpha, exponent) - _total(tasks, given, plain, alpha, exponent)
    return Gap(gain + perturb, 4 * rounding(mdp, alpha, pi, pi_theta, prior))


_ITERATES = NoProof("iterates of an algorithm in logarithms of logarithms, beyond the checker's algebra")
_TWO_MDPS = NoProof("two MDPs in one instance; the identity per state is certified with `distral-blocks`")

CLAIMS = (
    Claim(
        id="distral-blocks",
        title="Distral's objective: best policies and best prior in closed form",
        source="ours, on Teh et al. 2017",
        statement=r"\max_{\pi_i}J_i:\ \pi_i = \frac{\pi_0^\rho e^{Q_i/\alpha}}{\sum_a\pi_0^\rho e^{Q_i/\alpha}},\ "
        r"V_i = \alpha\log\sum_a\pi_0^\rho e^{Q_i/\alpha}; \qquad "
        r"\max_{\pi_0}\sum_iJ_i:\ \pi_0(a|s) = \frac{\sum_iw_i(s)\pi_i(a|s)}{\sum_iw_i(s)},\ w_i(s) = \sum_t\gamma^tP(s_t = s|\pi_i)",
        check=Check(blocks_gap, TWO_TASKS, n_random=100),
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="distral-monotone",
        title="Distral's alternation never lowers its objective",
        source="ours, on Teh et al. 2017",
        statement=r"J(\pi^{k+1}, \pi_0^{k+1}) \ge J(\pi^{k+1}, \pi_0^k) \ge J(\pi^k, \pi_0^k)",
        check=Check(monotone_gap, instances(**TASKS, alpha=WARM, exponent=EXPONENTS), n_random=40),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=_ITERATES,
    ),
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
    Claim(
        id="distral-distilled",
        title="the distilled policy weighs tasks by their discounted visits",
        source="ours, on Teh et al. 2017",
        statement=r"J(\pi, \bar\pi) - J(\pi, p) = \alpha\rho\sum_s\sum_iw_i(s)\,KL(\bar\pi(\cdot|s)\|p(\cdot|s)), \qquad "
        r"\bar\pi = \frac{\sum_iw_i\pi_i}{\sum_iw_i},\ w_i(s) = \sum_t\gamma^tP(s_t = s|\pi_i)",
        check=Check(distilled_gap, TWO_TASKS),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "weights are visits",
                r"w_i(s) = \sum_t\gamma^tP(s_t = s|\pi_i), not equal weights for all tasks",
                without=Check(unweighted_gap, SIMPLE_TASKS),
            ),
        ),
        figures=distral_figures,
        printed=False,
        not_certified=_TWO_MDPS,
    ),
)
