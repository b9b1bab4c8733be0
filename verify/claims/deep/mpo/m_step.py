r"""Claim that the deep agent's categorical M-step rests exactly at the exact iterates of MPO.

Both sides: `Enumerated`, the categorical `Learned` prior and `TargetQ` of `virel_deep.axes`, in float64, on
        batches of one-hot states; against the first six iterates of `virel_theory.variational.algorithms.mpo`
        with `trust` or without. Step k starts from the exact $\pi_{k-1}$ and $Q_{k-1}$. Compared are: the TD
        error of $Q_{k-1}$ under $\pi_{k-1}$ with zero (a complete critic step); loss and gradient in the logits at
        $\pi_k$ and at drawn logits with their formulas; the gradient at $\pi_k$ with zero; the divergence with
        `expected_kl` and, where the trust region binds, with the bound. The loss is convex in the logits, so that
        a complete M-step ends at $\pi_k$.
Multiplier: $\pi_k = (q_k + \lambda\pi_{k-1})/(1 + \lambda)$. $\lambda$ is the least-squares solution of
        $q_k - \pi_k = \lambda(\pi_k - \pi_{k-1})$, of which no state and action has a say alone. The residual is
        no larger than that of the true multiplier: $\pi_k$ is off by 2u, the residual by 2u (1 + lambda) an
        entry; its norm over S A entries, and the rounding of the quotient, (2 S A + 8) u, are at most
        (1 + lambda)(4 S A + 8) u.
Bound:  with Z the largest of $|\log\pi_{k-1}|$, $|\log\pi_k|$, $|Q|/\eta$ and the drawn logits. A log probability
        of the deep side is off by l = u (4 Z + A + 8): its logit, the normaliser, their difference. A weight is off by
        b = 2 u (4 Z + A + 8) as in `deep-mpo`. A gradient's entry is at most 1, and a sum over A actions and B rows:
        g = (1 + lambda)(b + l + u (2 A + B + 8) + (4 S A + 8) u). The loss is a mean of sums of A products of size 2 Z:
        2 Z A (b + u (B + 4)) + 2 l, times 1 + lambda; the divergence likewise.
        The divergence meets the bound within 1e-13 of it (`prior_trust_region`) and the rounding of the mixture's
        share w = 1/(1 + lambda), 4 u, which moves it by at most 2/(1 - w) as much of itself: 8 u (1 + lambda)/lambda
        of the bound. (This term was missing at first: with w an ulp below 1 equality can't be met.)
        Eta is a drawn share of $(1 + \max|r|)/(1 - \gamma)$, and iterates are followed while no probability is
        below 2^-200 (`walk`), as logits are finite.
        The TD error: the exact V solves its system with a residual of 32 S u |Q| (LU); probabilities are off by l,
        relative: (2 l + u (33 S + A + 16)) (|Q| + |r|).
Teeth:  `perturb` adds weights that sum to 1 once more, as an added penalty on actions does.
"""

from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import log_softmax

from verify.claims.deep.bridge import (
    Counts,
    batch,
    counts,
    expected_td_error,
    float64,
    no_values,
    table_network,
    table_slope,
    walk,
)
from verify.claims.deep.tools import tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.mpo import mpo
from virel_theory.variational.core.e_step import expected_kl
from virel_theory.variational.core.iterate import Iterate

ETAS = (0.25, 0.05, 1.0, 0.02, 4.0)
"""Temperatures in units of the largest value that an MDP could have."""
TRUSTS = (0.01, None, 0.001, 0.1, 1.0)


def relative_temperature(mdp: TabularMDP, share: float) -> float:
    """Temperature that is a share of `(1 + max|r|) / (1 - gamma)`, reward units."""
    return share * (1 + float(np.abs(mdp.reward).max())) / (1 - mdp.gamma)


def gap(
    *,
    mdp: TabularMDP,
    n: Counts,
    share: float,
    trust: float | None,
    logits: Array,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the deep M-step and its critic on enumerated actions: minus the exact ones; their slopes, zero."""
    eta, gaps = relative_temperature(mdp, share), []
    with float64():
        for old, step in walk(mdp, mpo(mdp, eta=eta, trust=trust, d=n / n.sum())):
            gaps += _gaps(mdp, n, old, step, trust, logits, perturb)
    return worst(*gaps)


def _gaps(
    mdp: TabularMDP, n: Counts, old: Array, step: Iterate, trust: float | None, logits: Array, perturb: float
) -> list[Gap]:
    """Gaps of one step: at the exact policy, at drawn logits, and of the critic."""
    price, best = _multiplier(old, step), np.log(step.policy)
    size = float(max(np.abs(x).max() for x in (best, logits, np.log(old), step.q / step.temperature)))
    d, (states, actions), rows = n / n.sum(), mdp.shape, int(n.sum())
    of_log = U * (4 * size + actions + 8)
    of_slope = (1 + price) * (3 * of_log + U * (2 * actions + rows + 16 + 4 * states * actions))
    of_kl = 2 * size * actions * (2 * of_log + U * (rows + 4)) + 2 * of_log
    gaps = []
    for table in (logits, best):
        log_pi = log_softmax(table, axis=1)
        loss, slope, kl = _deep_m_step(n, old, step, price, table, perturb)
        pull = np.exp(log_pi) - step.posterior + price * (np.exp(log_pi) - old)
        exact_kl = expected_kl(old, np.exp(log_pi), d=d)
        exact = price * exact_kl - float(d @ (step.posterior * log_pi).sum(axis=1))
        gaps += [
            Gap(np.abs(slope - d[:, None] * pull).max(), of_slope),
            Gap(abs(loss - exact), (1 + price) * of_kl),
            Gap(abs(kl - exact_kl), of_kl),
        ]
    gaps.append(Gap(np.abs(slope).max(), of_slope))
    if trust is not None:
        of_mixture = 8 * U * (1 + price) / price * trust if price > 0 else 0.0
        short = abs(kl - trust) if price > 0 else kl - trust
        gaps.append(Gap(short, of_kl + 1e-13 * trust + of_mixture))
    values = float(np.abs(step.q).max() + np.abs(mdp.reward).max())
    td_error = _deep_td_error(mdp, old, step)
    return [*gaps, Gap(np.abs(td_error).max(), (2 * of_log + U * (33 * states + actions + 16)) * values)]


def _multiplier(old: Array, step: Iterate) -> float:
    """Multiplier of the trust region at an exact iterate; 0 where it does not bind."""
    moved, left = step.policy - old, step.posterior - step.policy
    return max(float((moved * left).sum() / (moved**2).sum()), 0.0) if left.any() else 0.0


def _deep_m_step(
    n: Counts, old: Array, step: Iterate, price: float, table: Array, perturb: float
) -> tuple[float, Array, float]:
    """Loss of the deep M-step at a table of logits, its gradient `[S, A]`, and the divergence."""
    state, rows = batch(n)
    prior, posterior, objective = _deep_parts(old, step, price, table)
    weighted = posterior.infer(state, {}, objective)
    weighted = posterior.improve(weighted, tensor(step.q[rows]), objective.alpha)
    weighted = weighted._replace(log_weight=weighted.log_weight + np.log1p(perturb))
    found = prior.loss(state, weighted)
    return found.loss.item(), table_slope(found.loss, prior.networks["policy"]), found.kl.item()


def _deep_td_error(mdp: TabularMDP, old: Array, step: Iterate) -> Array:
    """Expected hard TD errors `[S, A]` of the exact values under the policy before the step."""
    _, posterior, objective = _deep_parts(old, step, 0.0, old)
    infer = partial(posterior.infer_next, noise={}, objective=objective)
    return expected_td_error(mdp, step.q, infer, step.temperature, evaluation="hard")


def _deep_parts(old: Array, step: Iterate, price: float, table: Array) -> tuple[Any, Any, Any]:
    """Prior with policy logits `table` and lagging copy `old`, the posterior that reweighs it, the objective."""
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.categorical import Enumerated  # noqa: PLC0415
    from virel_deep.axes.prior.categorical import Learned  # noqa: PLC0415
    from virel_deep.design.discrete import LearnedCategorical  # noqa: PLC0415

    bounded = {"trust": 1.0, "price": price} if price > 0 else {}  # the loss asks for the price alone
    prior = Learned(LearnedCategorical(**bounded), table_network(table), table_network(np.log(old)))
    objective = Objective(no_values, prior, tensor([step.temperature]))
    return prior, Enumerated(prior), objective


CLAIMS = (
    Claim(
        id="deep-mpo-m-step",
        title="The deep agent's M-step on enumerated actions rests at MPO's iterates",
        source="virel_deep categorical Learned, TargetQ: MPO, Eq. (5), (10), (12)",
        statement=r"L(\theta) = -E_d\sum_a q_k(a|s)\log\pi_\theta(a|s) + \lambda E_d KL(\pi_{k-1}\|\pi_\theta):"
        r"\quad \frac{\partial L}{\partial\theta_{s,a}} = d(s)\big(\pi_\theta - q_k + \lambda(\pi_\theta - \pi_{k-1})\big)(a|s),"
        r"\quad 0 \text{ at } \pi_k = \frac{q_k + \lambda\pi_{k-1}}{1 + \lambda};"
        r"\qquad E_{s'}[y] = Q_{k-1}(s, a) = r + \gamma E[Q_{k-1}(s', a')],\ a' \sim \pi_{k-1}",
        check=Check(
            gap,
            instances(
                mdp=mdps(),
                n=counts,
                share=st.sampled_from(ETAS),
                trust=st.sampled_from(TRUSTS),
                logits=q_tables,
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
