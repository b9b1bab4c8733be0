r"""Claim that the deep agent's Distral on enumerated actions rests exactly at the exact iterates, two tasks.

Both sides: `Tilted`, the distilled prior and `TargetQ` (optimal) of `virel_deep.axes`, in float64, on inputs
        (one-hot state, one-hot task), to whose second part the prior is blind; against six iterates of
        `virel_theory.variational.algorithms.distral`. Step k starts from the exact $p_{k-1}$ and $Q_i$.
        Compared are: the expected TD error of $Q_i$ with zero (a complete critic step); the posterior's weights
        with $\pi_i$; loss, gradient and divergence of the prior's fit at $p_k$ and at drawn logits with their
        formulas, states weighed by the visits $w_i(s)$; the gradient at $p_k$ with zero. The loss is convex in
        the logits, so that a complete M-step ends at $p_k$.
Bound:  with L the largest of $|\log p_{k-1}|$, $|\log p_k|$ and the drawn logits, and
        $Z = \max|Q|/\alpha + L$, which bounds scores $\rho\log p + Q/\alpha$. A log probability of the prior is
        off by l = u (4 L + A + 8): its logit, the normaliser, their difference. A score is off by l + 3 u Z, its
        normalised logarithm by u (8 Z + A + 8) more; the exact side by as much without l: a weight, at most 1,
        by b = l + 2 u (12 Z + A + 8). A state value has the same logarithms, to which log A is added and taken
        away: $\alpha$ (l + 2 u (6 Z + 4 \log A + A + 8)). The exact $Q$ is off by 64 (S + 8) u of
        $(\max|r| + \alpha L)/(1 - \gamma)^2$ (`regularised_optimum`), which counts twice; the mean over S successors
        and the sums add u (S + 16)(|r| + 2 |Q| + \alpha L). A gradient's entry is at most 1, and a sum over
        A actions and B rows: b + l + u (2 A + B + 32). Loss and divergence are means of sums of A products of size
        2 Z: 2 Z A (b + u (B + 8)) + 4 l.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any

import numpy as np
from scipy.special import log_softmax

from verify.claims.deep.bridge import LEAST, N_STEPS, float64, table_network
from verify.claims.deep.priors.blind import fitted, inputs, td_errors, triple_critic
from verify.claims.deep.tools import tensor
from verify.claims.priors.tools import EXPONENTS, WARM, rewards, two_tasks
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.distral import distral
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.parts.optimum import visit_distribution


def gap(
    *,
    mdp: TabularMDP,
    reward_2: Array,
    d: Array,
    alpha: float,
    exponent: float,
    logits: Array,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the deep Distral: TD errors, weights, losses and slopes minus the exact ones."""
    tasks, gaps = two_tasks(mdp, reward_2, d), []
    old = np.full(mdp.shape, 1 / mdp.n_actions)
    steps = distral(tasks, alpha=alpha, exponent=exponent)
    with float64():
        for step, _ in zip(steps, range(N_STEPS), strict=False):
            if min(step.posterior.min(), step.prior.min()) < LEAST:
                break
            gaps += _gaps(tasks, old, step, exponent, logits, perturb)
            old = step.prior
    return worst(*gaps)


def _gaps(
    tasks: list[TabularMDP], old: Array, step: Iterate, rho: float, logits: Array, perturb: float
) -> list[Gap]:
    """Gaps of one step: critics, weights, and the prior's fit at the exact prior and at drawn logits."""
    states, actions = old.shape
    alpha, rows = step.temperature, states * len(tasks)
    size = float(max(np.abs(x).max() for x in (np.log(old), np.log(step.prior), logits)))
    scores, values = size + float(np.abs(step.q).max()) / alpha, float(np.abs(step.q).max())
    of_log = U * (4 * size + actions + 8)
    of_weight = of_log + 2 * U * (12 * scores + actions + 8)
    largest = max(float(np.abs(t.reward).max()) for t in tasks) + alpha * size
    of_value = alpha * (of_log + 2 * U * (6 * scores + 4 * np.log(actions) + actions + 8))
    of_optimum = 128 * (states + 8) * U * largest / (1 - tasks[0].gamma) ** 2
    of_td = of_value + of_optimum + U * (states + 16) * (largest + 2 * values)
    of_slope = of_weight + of_log + U * (2 * actions + rows + 32)
    of_loss = 2 * scores * actions * (of_weight + U * (rows + 8)) + 4 * of_log

    deep = _Deep(old, step, rho, alpha * (1 + 0.1 * perturb))
    gaps = [Gap(np.abs(deep.td_errors(t, i)).max(), of_td) for i, t in enumerate(tasks)]
    gaps.append(Gap(np.abs(deep.weights() - step.posterior).max(), of_weight))
    w = np.stack([visit_distribution(t, pi=pi) for t, pi in zip(tasks, step.policy, strict=True)])
    w /= w.sum()
    for table in (logits, np.log(step.prior)):
        log_p = log_softmax(table, axis=1)
        loss, slope, kl = deep.fit(table, w)
        pull = (w[:, :, None] * (np.exp(log_p) - step.posterior)).sum(axis=0)
        exact = -float((w[:, :, None] * step.posterior * log_p).sum())
        apart = exact + float((w[:, :, None] * step.posterior * np.log(step.posterior)).sum())
        gaps += [
            Gap(np.abs(slope - pull).max(), of_slope),
            Gap(abs(loss - exact), of_loss),
            Gap(abs(kl - apart), of_loss),
        ]
    return [*gaps, Gap(np.abs(slope).max(), of_slope)]


class _Deep:
    """Parts of the deep agent at one step, as tables over states and tasks."""

    def __init__(self, old: Array, step: Iterate, rho: float, alpha: float) -> None:
        from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
        from virel_deep.axes.posterior.tilted import Tilted  # noqa: PLC0415

        self.sizes, self.rho, self.step = (old.shape[0], len(step.q)), rho, step
        self.critic = triple_critic(step.q.transpose(1, 0, 2))
        self.posterior, self.alpha = Tilted(old.shape[1]), tensor([alpha])
        self.objective = Objective(self._q_of, self._prior(np.log(old)), self.alpha)

    def _prior(self, table: Array) -> Any:
        from virel_deep.axes.prior.blind import Categorical, Sight  # noqa: PLC0415
        from virel_deep.design.priors import Distilled  # noqa: PLC0415

        settings, network = Distilled(blind_last=self.sizes[1], exponent=self.rho), table_network(table)
        sight = Sight(settings, sum(self.sizes), device=network.flat.device)
        return Categorical(settings, network, None, sight, exponent=self.rho)

    def _q_of(self, state: Any, action: Any) -> Any:
        from virel_deep.axes.value import smaller_q  # noqa: PLC0415

        return smaller_q(self.critic, state, action)

    def td_errors(self, task: TabularMDP, i: int) -> Array:
        """Expected TD errors `[S, A]` in task i."""
        numbers = np.arange(self.sizes[0])
        state = inputs(numbers, np.full_like(numbers, i), self.sizes)

        def infer(at: Any) -> Any:
            return self.posterior.infer_next(at, {}, self.objective)

        return td_errors(
            task, self.step.q[i], state, self.critic, infer, self.objective, evaluation="optimal"
        )

    def _weighted(self) -> tuple[Any, Any]:
        """Every pair of task and state, task by task, and the posterior there."""
        i, s = (x.ravel() for x in np.indices(self.sizes[::-1]))
        state = tensor(inputs(s, i, self.sizes))
        found = self.posterior.infer(state, {}, self.objective)
        q = self._q_of(state, found.action)
        return state, self.posterior.improve(found, q, self.alpha)

    def weights(self) -> Array:
        """Posterior's weights `[N, S, A]`."""
        found: Array = self._weighted()[1].log_weight[0].exp().numpy().reshape(self.step.q.shape)
        return found

    def fit(self, table: Array, w: Array) -> tuple[float, Array, float]:
        """Loss of the prior's fit at a table of logits with state weights `w [N, S]`, its slope, the divergence."""
        state, found = self._weighted()
        log_w = np.log(np.where(w > 0, w * w.size, 1.0)) + np.where(w > 0, 0.0, -np.inf)
        weighed = found._replace(log_weight=found.log_weight + tensor(log_w.reshape(-1, 1)))
        return fitted(self._prior(table), state, weighed)


CLAIMS = (
    Claim(
        id="deep-distral",
        title="The deep agent's Distral on enumerated actions rests at Distral's iterates",
        source="virel_deep Tilted, Distilled, TargetQ: Teh et al. 2017",
        statement=r"E_{s'}[y_i] = r_i + \gamma E_{s'}\Big[\alpha\log\sum_{a'}p_{k-1}^\rho e^{Q_i/\alpha}\Big] = Q_i;\qquad "
        r"\frac{p_{k-1}^\rho e^{Q_i/\alpha}}{Z} = \pi_i;\qquad "
        r"\nabla\Big(-\sum_i E_{w_i}\sum_a\pi_i\log p\Big) = \sum_iw_i(p - \pi_i) = 0 \text{ at } p_k",
        check=Check(
            gap,
            instances(
                mdp=mdps(max_states=4, max_actions=3),
                reward_2=rewards,
                d=distributions,
                alpha=WARM,
                exponent=EXPONENTS,
                logits=q_tables,
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
