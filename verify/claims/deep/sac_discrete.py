r"""Claim that the deep agent's SAC on enumerated actions is exact soft policy iteration.

Both sides: `TargetQ` (soft) and the `Categorical` posterior of `virel_deep.axes` with a uniform prior, in float64;
        against six iterates of `soft_policy_iteration_steps` with prior exponent 0 (an entropy bonus, which the deep
        agent's uniform prior is too). Step k has the exact $Q_{k-1}$ as critic and the logits $Q_{k-2}/\alpha$ of the
        step before. Compared are: the expected TD error of $Q_{k-1}$ under $\pi_{k-1}$ with zero; at $\pi_k$, which
        is softmax(Q_{k-1}/alpha), that TD error with `bellman_soft` minus $Q_{k-1}$, probabilities with the exact
        $\pi_k$, the loss with $-\alpha E_d\log\sum_a e^{Q/\alpha}$, its gradient with zero; at drawn logits the loss
        with `one_step_objective`, the gradient with its formula.
Bound:  logits x are differences from the largest, divided by alpha, at most 3u of themselves off, a log
        probability l by u (3 |x| + A + 8). As $|x|e^x \le 1/e$, a mean over the policy of an error u |x| is at
        most u A / e, whatever alpha. With M = max|Q| + alpha (1 + log A + the largest old, or drawn, logit),
        terms Q - alpha l of means are at most 3 M, and a state value is off by (12 A + 32) u M. With the reward
        R, the mean over S successors, and the same on the other side: t = 2 (12 A + S + 48) u (3 M + 2 R). The
        exact policy comes from logits that are not shifted: its probabilities are off by 2 u max|Q|/alpha more,
        relative. So the exact $Q_{k-1}$ belongs to a policy that far away, which adds 6 u M
        max$|Q_{k-2}|$/alpha; the system of V is solved with a residual of 32 S u M. A loss, or an entry of a
        gradient, is a mean of B terms as above: 2 (12 A + B + 48) u 3 M. A probability is off by
        u (3/e + A + 8) on either side.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any

import numpy as np
from scipy.special import log_softmax

from verify.claims.deep.bridge import (
    N_STEPS,
    Counts,
    batch,
    counts,
    expected_td_error,
    float64,
    no_values,
    table_network,
    table_slope,
)
from verify.claims.deep.tools import tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_soft
from virel_theory.variational.algorithms.classical import soft_policy_iteration_steps
from virel_theory.variational.core.e_step import one_step_objective, soft_maximum
from virel_theory.variational.core.iterate import Iterate


def gap(*, mdp: TabularMDP, n: Counts, alpha: float, logits: Array, perturb: float = 0.0) -> Gap:
    """Gap of the deep soft critic and policy: targets, losses, gradients minus the exact ones, all zero."""
    old, q, gaps = np.zeros(mdp.shape), np.zeros(mdp.shape), []
    steps = soft_policy_iteration_steps(mdp, alpha=alpha, exponent=0.0)
    with float64():
        for step, _ in zip(steps, range(N_STEPS), strict=False):
            new = (step.q - step.q.max(axis=1, keepdims=True)) / alpha
            gaps += _critic_gaps(mdp, q, step.q, (old, new), alpha, perturb)
            gaps += _policy_gaps(mdp, n, step, (new, logits), alpha, perturb)
            old, q = new, step.q
    return worst(*gaps)


def _critic_gaps(
    mdp: TabularMDP, before: Array, q: Array, tables: tuple[Array, Array], alpha: float, perturb: float
) -> list[Gap]:
    """Gaps of the soft targets: under the old policy a fixed point, under the new one the soft operator.

    `before` are the values that the old policy was made from.
    """
    states, actions = mdp.shape
    size = _size(q, alpha, tables[0])
    bound = 2 * U * (12 * actions + states + 48) * (3 * size + 2 * float(np.abs(mdp.reward).max()))
    of_system = U * (32 * states + 6 * float(np.abs(before).max()) / alpha) * size
    at_old, at_new = (_deep_td_error(mdp, q, table, alpha, perturb) for table in tables)
    exact = bellman_soft(mdp, q, c=alpha) - q
    return [Gap(np.abs(at_old).max(), bound + of_system), Gap(np.abs(at_new - exact).max(), bound)]


def _policy_gaps(
    mdp: TabularMDP, n: Counts, step: Iterate, tables: tuple[Array, Array], alpha: float, perturb: float
) -> list[Gap]:
    """Gaps of probabilities, losses and gradients at the new policy and at drawn logits."""
    d, q, gaps = n / n.sum(), step.q, []
    bound = 2 * U * (12 * mdp.n_actions + int(n.sum()) + 48) * 3 * _size(q, alpha, tables[1])
    for table in tables:
        log_pi = log_softmax(table, axis=1)
        pi = np.exp(log_pi)
        loss, slope, found = _deep_loss(n, q, table, alpha, perturb)
        objective = one_step_objective(q, pi=pi, prior=step.prior, alpha=alpha, exponent=0.0)
        cost = alpha * log_pi - q
        exact = d[:, None] * pi * (cost - (pi * cost).sum(axis=1, keepdims=True))
        gaps += [Gap(abs(loss + d @ objective), bound), Gap(np.abs(slope - exact).max(), bound)]
        if table is tables[0]:
            least = -float(d @ soft_maximum(q, prior=step.prior, alpha=alpha, exponent=0.0))
            of_pi = 2 * U * (2 + mdp.n_actions + 8 + float(np.abs(q).max()) / alpha)
            gaps += [
                Gap(abs(loss - least), bound),
                Gap(np.abs(slope).max(), bound),
                Gap(np.abs(found - step.policy).max(), of_pi),
            ]
    return gaps


def _size(q: Array, alpha: float, logits: Array) -> float:
    """Size M of the values and of the entropy's terms, reward units."""
    return float(np.abs(q).max() + alpha * (1 + np.log(q.shape[1]) + np.abs(logits).max()))


def _deep_td_error(mdp: TabularMDP, q: Array, table: Array, alpha: float, perturb: float) -> Array:
    """Expected soft TD errors `[S, A]` of the critic `q` under the policy with logits `table`."""
    more = alpha * (1 + 0.1 * perturb)
    posterior, objective = _deep_parts(table, more)

    def infer(state: Any) -> Any:
        return posterior.infer_next(state, {}, objective).detach()

    return expected_td_error(mdp, q, infer, more, evaluation="soft")


def _deep_loss(n: Counts, q: Array, table: Array, alpha: float, perturb: float) -> tuple[float, Array, Array]:
    """Deep policy loss at a table of logits, its gradient `[S, A]`, and the probabilities `[S, A]`."""
    state, rows = batch(n)
    posterior, objective = _deep_parts(table, alpha * (1 + 0.1 * perturb))
    here = posterior.infer(state, {}, objective)
    loss = posterior.loss(here, tensor(q[rows]), objective.alpha)
    first = np.cumsum(n) - n
    pi = here.log_weight.detach()[0].exp().numpy()[first]
    return loss.item(), table_slope(loss, posterior.networks["policy"]), pi


def _deep_parts(table: Array, alpha: float) -> tuple[Any, Any]:
    """Posterior with policy logits `table`, and the objective under a uniform prior."""
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.categorical import Categorical  # noqa: PLC0415
    from virel_deep.axes.prior.constant import Uniform  # noqa: PLC0415

    return Categorical(table_network(table)), Objective(no_values, Uniform(), tensor([alpha]))


CLAIMS = (
    Claim(
        id="deep-sac-discrete",
        title="The deep agent's SAC on enumerated actions is soft policy iteration",
        source="virel_deep Categorical, TargetQ: Haarnoja et al. 2018, Eq. (2)-(4), (10)",
        statement=r"E_{s'}[y] = r + \gamma E_{s'}\Big[\sum_{a'}\pi(a'|s')\big(Q(s', a') - \alpha\log\pi(a'|s')\big)\Big]:\quad"
        r" = Q_{k-1} \text{ at } (\pi_{k-1}, Q_{k-1}),\quad = T_{soft}Q_{k-1} \text{ at } \pi_k;\qquad"
        r" E_d\sum_a\pi(\alpha\log\pi - Q_{k-1}) = \alpha E_d\Big[KL(\pi\|\pi_k) - \log\sum_a e^{Q_{k-1}/\alpha}\Big],\quad"
        r" \pi_k \propto e^{Q_{k-1}/\alpha}",
        check=Check(
            gap,
            instances(mdp=mdps(), n=counts, alpha=temperatures(), logits=q_tables),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
