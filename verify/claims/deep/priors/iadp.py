r"""Claim that the deep agent's IADP on enumerated actions rests exactly at the exact iterates.

Both sides: `Categorical`, the asymmetric prior and `TargetQ` (soft) of `virel_deep.axes`, in float64, on inputs
        (one-hot observation, one-hot state), to whose second part the prior is blind; against six iterates of
        `virel_theory.variational.algorithms.iadp` at drawn state weights d. Step k starts from the exact
        $\pi_{k-1}$, $p_{k-1}$ and $Q_k$. Compared are: the expected TD error of $Q_k$ under $\pi_{k-1}$ with zero
        (a complete critic step); the policy's loss at $\pi_k$ with $-\alpha E_d\log\sum_ap_{k-1}e^{Q_k/\alpha}$, its
        gradient with zero; loss, gradient and divergence of the prior's fit at $p_k$ and at drawn logits with their
        formulas, and the gradient at $p_k$ with zero.
Bound:  with L the largest of $|\log\pi|$ and $|\log p|$ before and after the step and the drawn logits, and
        $M = \max|Q| + 2\alpha L$, which bounds Q - alpha log(pi/p). A log probability is off by
        l = u (4 L + A + 8) on the deep side and, as the policies themselves are given, by u (L + 4) on the exact one.
        An exact posterior has logits $\log p + Q/\alpha$, whose sum and normaliser are off by
        e = 2 u (6 M/\alpha + A + 8), relative; the loss is stationary there, so that this counts once, in the gradient:
        b = l + e. A state value is a sum of A products of size M: v = (2 l + e + u (A + 8)) A M. The system of the
        exact V is solved with a residual of 32 S u M; successors add u (S + 16)(|r| + M). A loss is a mean over B rows
        of such values, v + u B M; an entry of its gradient at most 2 M times a probability's error and a sum,
        2 A M (2 b + u (B + 16)). The prior's gradient: b + l + u (2 A + B + 32) + 4 u S, the last for the mixture's
        shares; its loss: 2 L A (b + u (B + 8)) + 4 l.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp

from verify.claims.deep.bridge import (
    LEAST,
    N_STEPS,
    Counts,
    counts,
    float64,
    no_values,
    table_network,
    table_slope,
)
from verify.claims.deep.priors.blind import Ints, fitted, inputs, td_errors, triple_critic
from verify.claims.deep.tools import tensor
from verify.claims.priors.tools import WARM
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.iadp import iadp
from virel_theory.variational.core.iterate import Iterate


def gap(
    *,
    mdp: TabularMDP,
    n: Counts,
    cell: Ints,
    alpha: float,
    logits: Array,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the deep IADP: TD errors, losses and slopes minus the exact ones."""
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    before, gaps = (uniform, uniform), []
    steps = iadp(mdp, alpha=alpha, observation=cell, d=n / n.sum())
    with float64():
        for step, _ in zip(steps, range(N_STEPS), strict=False):
            if min(step.posterior.min(), step.prior.min()) < LEAST:
                break
            deep = _Deep(mdp, n, cell, alpha * (1 + 0.1 * perturb))
            gaps += _gaps(deep, before, step, logits[: len(np.unique(cell))])
            before = (step.policy, step.prior)
    return worst(*gaps)


def _gaps(deep: "_Deep", before: tuple[Array, Array], step: Iterate, logits: Array) -> list[Gap]:
    """Gaps of one step: critic, policy, and the prior's fit at the exact prior and at drawn logits."""
    (pi, p), alpha, mdp = before, step.temperature, deep.mdp
    states, actions = mdp.shape
    rows, d = int(deep.n.sum()), deep.n / deep.n.sum()
    size = float(max(np.abs(x).max() for x in (*map(np.log, (pi, p, step.policy, step.prior)), logits)))
    most = float(np.abs(step.q).max()) + 2 * alpha * size
    of_log, of_exact = U * (4 * size + actions + 8), 2 * U * (6 * most / alpha + actions + 8)
    of_value = (2 * of_log + of_exact + U * (actions + 8)) * actions * most
    of_weight, reward = of_log + of_exact, float(np.abs(mdp.reward).max())
    of_td = of_value + 32 * states * U * most + U * (states + 16) * (reward + most)
    of_slope = of_weight + of_log + U * (2 * actions + rows + 32 + 4 * states)
    of_fit = 2 * size * actions * (of_weight + U * (rows + 8)) + 4 * of_log

    td_error = deep.td_errors(step.q, pi, p)
    loss, slope = deep.policy_loss(step.q, step.policy, p)
    least = -alpha * float(d @ logsumexp(np.log(p) + step.q / alpha, axis=1))
    gaps = [
        Gap(np.abs(td_error).max(), of_td),
        Gap(abs(loss - least), of_value + U * rows * most),
        Gap(np.abs(slope).max(), 2 * actions * most * (2 * of_weight + U * (rows + 16))),
    ]
    for table in (logits, np.log(step.prior[np.unique(deep.cell, return_index=True)[1]])):
        log_p = log_softmax(table, axis=1)
        loss, slope, kl = deep.fit(step.policy, table)
        pull = np.zeros(log_p.shape)
        np.add.at(pull, deep.cell, d[:, None] * (np.exp(log_p)[deep.cell] - step.policy))
        exact = -float(d @ (step.policy * log_p[deep.cell]).sum(axis=1))
        apart = exact + float(d @ (step.policy * np.log(step.policy)).sum(axis=1))
        gaps += [
            Gap(np.abs(slope - pull).max(), of_slope),
            Gap(abs(loss - exact), of_fit),
            Gap(abs(kl - apart), of_fit),
        ]
    return [*gaps, Gap(np.abs(slope).max(), of_slope)]


class _Deep:
    """Parts of the deep agent as tables: the policy's over states, the prior's over observations."""

    def __init__(self, mdp: TabularMDP, n: Counts, cell: Ints, alpha: float) -> None:
        self.mdp, self.n, self.alpha = mdp, n, alpha
        self.cell = np.unique(cell, return_inverse=True)[1]
        self.sizes = (int(self.cell.max()) + 1, mdp.n_states)
        self.state = inputs(self.cell, np.arange(mdp.n_states), self.sizes)

    def _prior(self, table: Array) -> Any:
        """Prior with logits `table` per observation, the same in its lagging copy."""
        from virel_deep.axes.prior.blind import Categorical, Sight  # noqa: PLC0415
        from virel_deep.design.priors import AsymmetricCategorical  # noqa: PLC0415

        settings = AsymmetricCategorical(blind_last=self.sizes[1])
        network, target = (table_network(table) for _ in range(2))
        sight = Sight(settings, sum(self.sizes), device=network.flat.device)
        return Categorical(settings, network, target, sight)

    def _parts(self, pi: Array, p: Array) -> tuple[Any, Any]:
        """Posterior with probabilities `pi [S, A]`, and the objective with the prior `p [S, A]`."""
        from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
        from virel_deep.axes.posterior.categorical import Categorical  # noqa: PLC0415

        table = np.concatenate([np.zeros((self.sizes[0], pi.shape[1])), np.log(pi)])
        first = np.unique(self.cell, return_index=True)[1]
        prior = self._prior(np.log(p[first]))
        return Categorical(table_network(table)), Objective(no_values, prior, tensor([self.alpha]))

    def td_errors(self, q: Array, pi: Array, p: Array) -> Array:
        """Expected soft TD errors `[S, A]` of values `q` under a policy and a prior."""
        posterior, objective = self._parts(pi, p)
        table = np.zeros((*self.sizes, q.shape[1]))
        table[self.cell, np.arange(len(q))] = q

        def infer(at: Any) -> Any:
            return posterior.infer_next(at, {}, objective).detach()

        critic = triple_critic(table)
        return td_errors(self.mdp, q, self.state, critic, infer, objective, evaluation="soft")

    def _batch(self) -> tuple[Any, Ints]:
        rows = np.repeat(np.arange(len(self.n)), self.n)
        return tensor(self.state[rows]), rows

    def policy_loss(self, q: Array, pi: Array, p: Array) -> tuple[float, Array]:
        """Policy loss at probabilities `pi`, and its gradient in the rows of the states."""
        state, rows = self._batch()
        posterior, objective = self._parts(pi, p)
        here = posterior.infer(state, {}, objective)
        loss = posterior.loss(here, tensor(q[rows]), objective.alpha)
        return loss.item(), table_slope(loss, posterior.networks["policy"])[self.sizes[0] :]

    def fit(self, pi: Array, table: Array) -> tuple[float, Array, float]:
        """Loss of the prior's fit to `pi` at a table of logits, its slope, and the divergence."""
        state, _ = self._batch()
        posterior, objective = self._parts(pi, pi)
        here = posterior.infer(state, {}, objective._replace(prior=self._prior(table)))
        return fitted(self._prior(table), state, here)


def cells(mdp: TabularMDP) -> st.SearchStrategy[Ints]:
    """Observations `[S]`, half as many as states."""
    n, cells = mdp.n_states, (mdp.n_states + 1) // 2
    return st.integers(0, cells**n - 1).map(lambda k: np.array([k // cells**s % cells for s in range(n)]))


CLAIMS = (
    Claim(
        id="deep-iadp",
        title="The deep agent's IADP on enumerated actions rests at IADP's iterates",
        source="virel_deep Categorical, AsymmetricCategorical, TargetQ: Galashov et al. 2019",
        statement=r"E_{s'}[y] = r + \gamma E_{s'}\Big[\sum_{a'}\pi_{k-1}\big(Q_k - \alpha\log(\pi_{k-1}/p_{k-1})\big)\Big] = Q_k;\qquad "
        r"\nabla E_d\sum_a\pi\big(\alpha\log(\pi/p_{k-1}) - Q_k\big) = 0 \text{ at } \pi_k \propto p_{k-1}e^{Q_k/\alpha};\qquad "
        r"\nabla\big(-E_d\sum_a\pi_k\log p(a|x^D)\big) = 0 \text{ at } p_k",
        check=Check(
            gap,
            instances(
                mdp=mdps(max_states=4, max_actions=3), n=counts, cell=cells, alpha=WARM, logits=q_tables
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
