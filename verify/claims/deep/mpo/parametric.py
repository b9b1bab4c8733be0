r"""Claim that the deep agent's categorical policy loss rests at the exact iterates of MPO without an M-step.

Both sides: `Categorical` posterior and categorical `Previous` prior of `virel_deep.axes`, in float64, on batches of
        one-hot states. (a) At temperature 0 and the exact multiplier lambda_k as price, as the row
        `mpo-parametric` has it; against six iterates of `mpo_parametric` of
        `virel_theory.variational.algorithms.mpo`. (b) At a temperature eta and without a trust region; against the
        iterates of `mpo` at eta: over all tables, (7) with $KL(\pi\|\pi_{k-1})$ has the solution of (8). Compared are
        loss and gradient in the logits at $\pi_k$ and at drawn logits with their formulas (`one_step_objective`,
        `expected_kl`), the gradient at $\pi_k$ with zero, the divergence there with the budget (a), the loss there
        with $-E_d$ `soft_maximum` (b). Step k starts from the exact $\pi_{k-1}$ and $Q_{k-1}$.
Bound:  with Z the largest of $|\log\pi_{k-1}|$, $|\log\pi_k|$ and the drawn logits, and T = max|Q| + 2 alpha Z +
        lambda the size of a term of the loss in a state, per unit of probability. A log probability is off by
        l = u (4 Z + A + 8), a probability by as much, relative; the logarithm's error is multiplied by alpha,
        which T / Z contains if Z >= 1. Sums have A actions and B rows: T (4 l + u (2 A + B + 16)) for gradients; for
        the loss, whose divergence has terms of size 2 Z, (1 + 2 Z) times that.
        Exactness of $\pi_k$: in (a) rows are normalised at a root tau of relative error 2^-50 = 4 u: pi is off by
        8 u, relative, so that $\pi(Q - V)$ is off by 16 u max|Q| and $\lambda(\pi - p)$ by 8 u lambda. lambda is
        lambda = pi (nu - Q) / p, of which one error of 16 u, relative, is left: in all 64 u T. In (b) as in
        `deep-mpo`: (8 Z + 2 A + 16 + 2 max|Q|/eta) u, times T.
        The budget is met within 1e-13 of it and the rounding of a divergence.
        Iterates are followed while no probability is below 2^-200 (`walk`): under a budget of 1 they fall faster than
        exponentially, and logits are finite.
Teeth:  `perturb` makes price and temperature of the deep side a tenth larger.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy.special import log_softmax

from verify.claims.deep.bridge import (
    Counts,
    batch,
    counts,
    float64,
    no_values,
    table_network,
    table_slope,
    walk,
)
from verify.claims.deep.mpo.m_step import ETAS, relative_temperature
from verify.claims.deep.tools import tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.mpo import mpo, mpo_parametric
from virel_theory.variational.core.e_step import expected_kl, one_step_objective, soft_maximum

BUDGETS = (0.1, 0.01, 0.001, 1.0)


class Program(NamedTuple):
    """One E-step: best policy for values `q` at prices of both divergences from the old policy, all `[S, A]`."""

    q: Array
    old: Array
    best: Array
    alpha: float
    """Price of KL(new, old), the temperature."""
    price: float
    """Price of KL(old, new), the multiplier of the trust region."""


def gap(
    *, mdp: TabularMDP, n: Counts, share: float, trust: float, logits: Array, perturb: float = 0.0
) -> Gap:
    """Gap of the deep policy loss and gradient: minus the exact ones; the gradient at exact iterates, zero."""
    d, eta, gaps = n / n.sum(), relative_temperature(mdp, share), []
    with float64():
        for old, step in walk(mdp, mpo_parametric(mdp, trust=trust, d=d)):
            program = Program(step.q, old, step.policy, 0.0, step.temperature)
            found, kl = _gaps(n, program, logits, perturb)
            gaps += found
            if step.temperature > 0:
                gaps.append(Gap(abs(kl - trust), 1e-13 * trust + _sizes(n, program, logits)[1]))
        for old, step in walk(mdp, mpo(mdp, eta=eta, d=d)):
            program = Program(step.q, old, step.policy, eta, 0.0)
            gaps += _gaps(n, program, logits, perturb)[0]
            loss, _, _ = _deep(n, program, np.log(step.policy), perturb)
            value = float(d @ soft_maximum(step.q, prior=old, alpha=eta))
            gaps.append(Gap(abs(loss + value), _sizes(n, program, logits)[2]))
    return worst(*gaps)


def _gaps(n: Counts, program: Program, logits: Array, perturb: float) -> tuple[list[Gap], float]:
    """Gaps of one step at drawn logits and at the exact policy, and the deep divergence there."""
    d, (of_slope, of_kl, of_loss), gaps = n / n.sum(), _sizes(n, program, logits), []
    q, old, best, alpha, price = program
    for table in (logits, np.log(best)):
        log_pi = log_softmax(table, axis=1)
        pi = np.exp(log_pi)
        loss, slope, kl = _deep(n, program, table, perturb)
        cost = alpha * (log_pi - np.log(old)) - q
        pull = pi * (cost - (pi * cost).sum(axis=1, keepdims=True)) + price * (pi - old)
        exact_kl = expected_kl(old, pi, d=d)
        exact = price * exact_kl - float(d @ one_step_objective(q, pi=pi, prior=old, alpha=alpha))
        gaps += [
            Gap(np.abs(slope - d[:, None] * pull).max(), of_slope),
            Gap(abs(loss - exact), of_loss),
            Gap(abs(kl - exact_kl), of_kl),
        ]
    return [*gaps, Gap(np.abs(slope).max(), of_slope)], kl


def _sizes(n: Counts, program: Program, logits: Array) -> tuple[float, float, float]:
    """Bounds on gradients, divergences and losses; the module derives them."""
    q, old, best, alpha, price = program
    z = max(1.0, *(float(np.abs(x).max()) for x in (np.log(old), np.log(best), logits)))
    (_, actions), rows = q.shape, int(n.sum())
    values = float(np.abs(q).max())
    size = values + 2 * alpha * z + price
    spent = 2 * values / alpha if alpha > 0 else 0.0
    one = U * (4 * (4 * z + actions + 8) + 2 * actions + rows + 16 + 64 + 8 * z + 2 * actions + 16 + spent)
    return size * one, (1 + 2 * z) * one, (1 + 2 * z) * size * one


def _deep(n: Counts, program: Program, table: Array, perturb: float) -> tuple[float, Array, float]:
    """Deep policy loss with its trust region at a table of logits, the gradient `[S, A]`, the divergence."""
    state, rows = batch(n)
    posterior, prior, objective = _deep_parts(program, table, perturb)
    here = posterior.infer(state, {}, objective)
    bounded = prior.loss(state, here)
    loss = posterior.loss(here, tensor(program.q[rows]), objective.alpha) + bounded.loss
    return loss.item(), table_slope(loss, posterior.networks["policy"]), bounded.kl.item()


def _deep_parts(program: Program, table: Array, perturb: float) -> tuple[Any, Any, Any]:
    """Posterior with policy logits `table`, its old copy as the prior, and the objective."""
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.categorical import Categorical  # noqa: PLC0415
    from virel_deep.axes.prior.categorical import Lagging  # noqa: PLC0415
    from virel_deep.axes.prior.previous import Previous  # noqa: PLC0415
    from virel_deep.design.discrete import PreviousCategorical  # noqa: PLC0415

    more = 1 + 0.1 * perturb
    bounded = {"trust": 1.0, "price": program.price * more} if program.price > 0 else {}
    prior = Previous(PreviousCategorical(**bounded), Lagging(table_network(np.log(program.old))))
    objective = Objective(no_values, prior, tensor([program.alpha * more]))
    return Categorical(table_network(table)), prior, objective


CLAIMS = (
    Claim(
        id="deep-mpo-parametric",
        title="The deep agent's policy loss rests at the iterates of parametric MPO",
        source="virel_deep Categorical, categorical Previous: MPO, Eq. (7), (12), App. D.4",
        statement=r"L(\theta) = E_d E_{\pi_\theta}\Big[\alpha\log\frac{\pi_\theta}{\pi_{k-1}} - Q_{k-1}\Big]"
        r" + \lambda E_d KL(\pi_{k-1}\|\pi_\theta):\quad \nabla_\theta L = 0 \text{ at } \pi_\theta = \pi_k ="
        r" \frac{\lambda_k\pi_{k-1}}{\nu_{k,s} - Q_{k-1}}\ (\alpha = 0,\ \lambda = \lambda_k),\quad"
        r" E_d KL(\pi_{k-1}\|\pi_k) = \epsilon;\qquad \text{and at } \pi_k \propto \pi_{k-1}e^{Q_{k-1}/\alpha}\ (\lambda = 0),"
        r"\quad L = -\alpha E_d\log\sum_a\pi_{k-1}e^{Q_{k-1}/\alpha}",
        check=Check(
            gap,
            instances(
                mdp=mdps(),
                n=counts,
                share=st.sampled_from(ETAS),
                trust=st.sampled_from(BUDGETS),
                logits=q_tables,
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
