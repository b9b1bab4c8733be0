r"""Claim that the deep agent's policy gradient with the divergence inside returns is the exact one.

Both sides: `rollout_errors` on every rollout of two steps, `score_loss` and `v_loss` of `virel_deep.axes`, in
        float64, for a policy with one logit a pair and $V_q = \tau\log\sum_a\bar\pi e^{q/\tau}$ as its value;
        against the first six iterates of `virel_theory.variational.algorithms.erpg`. Step k starts from the
        exact table $q_{k-1}$, its policy and its soft values V, so that no error is carried over. A complete
        step is $q_{k-1} - step (\tau\nabla_q L_\pi + \nabla_q L_V)$ with the losses' gradients by autograd, weighed
        by the visits of the policy.
        A step of the rollout earns $r - \tau\log(\pi/\bar\pi)$ of its own action: the divergence of the second
        state is inside the return, that of the first stands in the policy loss.
Bound:  c = `advantage_bound` with the gain as above and V, where $M \ge \max|gain| + 2 \max|V|$, is enlarged by
        $\max|q|$, whose roundings the log ratios have: M' = M + 4 max|q|. An entry of a gradient is a sum of A
        terms of at most M', (A + 8) u M', and 4 c; V_q's gradient is a softmax of logits of size Z, off by
        2 u (Z + A) of M'. Together step (8 c + 16 (A + 8) u M' + 8 u (Z + A) M') + 2 u max|q|.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import NamedTuple

import numpy as np

from verify.claims.deep.tools import Tensor, gradient, tensor
from verify.claims.deep.two_steps import advantage_bound, deep_advantages
from verify.claims.instances import gym_mdp
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.erpg import erpg
from virel_theory.variational.core.regularised import regularised_value
from virel_theory.variational.parts.optimum import visit_distribution

N_STEPS, STEP = 6, 0.5


class Before(NamedTuple):
    """Exact quantities before a step."""

    q: Array
    policy: Array
    reference: Array
    tau: float


def gap(*, mdp: TabularMDP, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep policy gradient on enumerated rollouts: a step's table minus the exact one, zero."""
    reference = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    q, policy, gaps = np.where(mdp.available, 0.0, -np.inf), reference, []
    for step, _ in zip(erpg(mdp, tau=eps, step=STEP), range(N_STEPS), strict=False):
        gaps.append(_gap(mdp, Before(q, policy, reference, eps), step.q, perturb))
        q, policy = step.q, step.policy
    return worst(*gaps)


def _gap(mdp: TabularMDP, before: Before, exact: Array, perturb: float) -> Gap:
    on, tau = mdp.available, before.tau
    v = regularised_value(mdp, pi=before.policy, prior=before.reference, alpha=tau)
    log_reference = np.where(on, np.log(np.where(on, before.reference, 1.0)), 0.0)
    found, gain = _direction(mdp, before, v, log_reference, tau * (1 + 0.1 * perturb))
    q = np.where(on, before.q, 0.0)
    error = np.abs(q + STEP * found - np.where(on, exact, 0.0))[on].max()
    q_max, n = float(np.abs(q).max()), mdp.n_actions
    size = float(np.abs(gain[on]).max()) + 2 * float(np.abs(v).max()) + 4 * q_max
    z = q_max / tau + float(np.abs(log_reference).max())
    c = advantage_bound(mdp, v=v, gain=np.abs(gain) + 4 * q_max)
    bound = STEP * (8 * c + 16 * (n + 8) * U * size + 8 * U * (z + n) * size) + 2 * U * q_max
    return Gap(float(error), bound)


def _direction(
    mdp: TabularMDP, before: Before, v: Array, log_reference: Array, tau: float
) -> tuple[Array, Array]:
    """Descent direction `[S, A]` of the deep losses at an exact table, and the gain of each pair's step."""
    from virel_deep.axes.losses import score_loss, v_loss  # noqa: PLC0415

    on = mdp.available
    q: Tensor = tensor(np.where(on, before.q, 0.0)).requires_grad_()
    scores = (tensor(log_reference) + q / tau).masked_fill(~tensor(on).bool(), -np.inf)
    log_pi = scores.log_softmax(-1).where(tensor(on).bool(), tensor(0.0))
    log_ratio = log_pi.detach() - tensor(log_reference)
    cost = (tau * log_ratio)[0].numpy()
    gain = mdp.reward - cost
    error = deep_advantages(mdp, pi=before.policy, v=v, gain=np.where(on, gain, 0.0), gamma=mdp.gamma)
    mass = tensor(visit_distribution(mdp, pi=before.policy)[:, None] * before.policy)
    alpha = tensor(np.full((1, 1), tau))
    of_policy = (mass * score_loss(log_pi, tensor(error + cost), log_ratio, alpha)).sum()
    v_q = tau * scores.logsumexp(-1, keepdim=True)
    of_value = (mass * v_loss(v_q.expand_as(log_pi), tensor(v[:, None] + error))).sum()
    return -gradient(tau * of_policy + of_value, q), gain


CLAIMS = (
    Claim(
        id="deep-erpg",
        title="The deep policy gradient with the divergence inside returns is the exact one",
        source="virel_deep rollout_errors, score_loss, v_loss: Schulman et al. 2017, Sec. 2, 3.6, 4",
        statement=r"\hat A = E[\delta_0 + \gamma\delta_1 | s, a],\ \delta_t = r_t - \tau\log\tfrac{\pi}{\bar\pi}(a_t|s_t) + \gamma V(s_{t+1}) - V(s_t):\qquad "
        r"q_{k-1} + step\,\big(\tau E_\mu E_\pi[\hat A\nabla_q\log\pi] - \nabla_q E_\mu\tfrac12(V_q - V)^2\big) = q_k",
        check=Check(
            gap,
            instances(mdp=mdps(masked=True), eps=temperatures()),
            n_random=30,
            named=lambda: [("FrozenLake-v1", {"mdp": gym_mdp("FrozenLake-v1").to_dense(), "eps": 0.1})],
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
