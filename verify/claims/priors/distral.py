r"""Claims on Distral: both blocks of its objective in closed form, and their alternation.

The text of Teh et al. 2017 beyond its introduction could not be had; the objective was read in notes on the
paper. So the statements are ours.

Both sides: `regularised_optimum`, `prior_distilled` and the iterates of `distral`, against values, visits,
        mixtures and logarithms computed here and in `tools` by dense solves and term by term.
Bound:  rounding of linear solves, `tools.rounding`: 4 * 64 (S^2 + 8) u B/(1 - gamma)^2, B counting the
        actual size of the logarithms, along iterates too. A mixture's weights and its entries carry the
        rounding of visits, so that its error is compared times the sum of the weights.
Teeth:  `perturb` doubles the temperature of the posterior, flips the sign of the cost in J, or adds to the
visits.
"""

from itertools import islice

import numpy as np
from scipy.special import logsumexp

from verify.claims.priors.tools import (
    EXPONENTS,
    SIMPLE_TASKS,
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
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
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
                r"$w_i(s) = \sum_t\gamma^tP(s_t = s|\pi_i)$, not equal weights for all tasks",
                without=Check(unweighted_gap, SIMPLE_TASKS),
            ),
        ),
        figures=distral_figures,
        printed=False,
        not_certified=_TWO_MDPS,
    ),
)
