r"""Claims that the deep agent's V-MPO and policy gradient with a categorical policy are the exact ones.

`deep-vmpo-discrete`. Both sides: the `TopShare` posterior with one-hot actions and the `Learned` categorical
        prior of `virel_deep.axes`, in float64; against `top_share_posterior` and `joint_m_step` along the first
        six iterates of `virel_theory.variational.algorithms.vmpo` with a trust region. Step k has a batch in
        which pair (s, a) is as often as a whole number near 12 p(s, a) says, its exact advantages, and
        $\pi_{k-1}$ as the lagging policy; the share that is kept ends between two advantages. Compared are the
        divergence with that of the exact M-step on this batch, and at its logits, and at drawn ones, the
        gradient of the loss with $\psi(s)\pi - \psi + \lambda d (\pi - \pi_{k-1})$, which is 0 there.
Bound:  a weight's logarithm is off by b = 2 u (4 Z + R + 8) for R pairs, with $Z = \max|A|/\eta + \log R$. A log
        probability is off by l = u (4 z + A + 8), z the largest of their sizes. The gradient sums R rows:
        $g = (1 + \lambda)(3 l + 2 b + u (2 A + 2 R + 16 + 8 S A))$, in which 8 S A allows for the multiplier,
        that is fitted to the exact policy by least squares. The divergence: $2 z A (2 l + u (R + 4)) + 2 l$.

`deep-erpg-discrete`. Both sides: the `Score` posterior with one-hot actions, in float64; against the first six
        iterates of `virel_theory.variational.algorithms.erpg`. Step k starts from the exact table $q_{k-1}$,
        whose quotient by tau is the table of logits, with the exact advantages, which leave out the divergence
        at the state. Every pair is a batch of its own, weighed by the visits of the policy. The loss has no
        density of the uniform prior; that changes the advantage by tau log A, and no gradient. Compared is the
        loss's gradient in the logits with that part of the exact step: the step's direction plus the gradient
        of its value error.
Bound:  with M the largest $|Q| + |V| + \tau|\log\pi|$ and l as above, a gain is off by tau l + 3 u M, the score's
        gradient by l relative, and a sum of A terms by (A + 8) u. The exact direction is a difference of
        tables by a step of 1/2. Together $4 (\tau + M) l + 4 (A + 16) u M + 8 u\max|q|$.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import log_softmax

from verify.claims.deep.bridge import LEAST, N_STEPS, float64, no_values, table_network, table_slope
from verify.claims.deep.tools import Tensor, tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.policy_system import mix
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.erpg import erpg
from virel_theory.variational.algorithms.vmpo import vmpo
from virel_theory.variational.core.e_step import expected_kl, soft_maximum
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.core.regularised import back_up, regularised_value
from virel_theory.variational.parts.joint_fit import joint_m_step
from virel_theory.variational.parts.optimum import visit_distribution
from virel_theory.variational.parts.rank_weights import tie_tolerance
from virel_theory.variational.parts.top_share import top_share_posterior

BATCH, STEP = 12, 0.5
"""Pairs of a batch, about; step size of the policy gradient."""


def vmpo_gap(
    *, mdp: TabularMDP, keep: float, eps: float, trust: float, logits: Array, perturb: float = 0.0
) -> Gap:
    """Gap of the deep M-step of V-MPO on enumerated actions: minus the exact one; its slope there, zero."""
    old, gaps = np.full(mdp.shape, 1 / mdp.n_actions), [Gap(0.0, 0.0)]
    with float64():
        for step, _ in zip(vmpo(mdp, keep=keep, eta=eps, trust=trust), range(N_STEPS), strict=False):
            gaps += _m_step_gaps(mdp, old, step, (keep, trust), logits, perturb)
            if step.policy.min() < LEAST:
                break
            old = step.policy
    return worst(*gaps)


def _m_step_gaps(
    mdp: TabularMDP, old: Array, step: Iterate, limits: tuple[float, float], logits: Array, perturb: float
) -> list[Gap]:
    """Gaps of one step's gradients and divergences on a batch; none if the exact policy drops an action."""
    keep, trust = limits
    tol, mass = tie_tolerance(step.q), visit_distribution(mdp, pi=old)[:, None] * old
    advantage = step.q - mix(old, step.q)[:, None]
    advantage[np.abs(advantage) <= tol] = 0.0
    counts = np.ceil(BATCH * mass / mass.sum() - 1e-9).astype(int)
    s, a = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
    n, gains = len(s), np.sort(advantage[counts > 0])[::-1]
    lowest = gains[min(int(keep * len(gains)), len(gains) - 1)]
    share = int((counts * (advantage >= lowest)).sum()) / n
    psi = top_share_posterior(advantage, mass=counts / n, keep=share, eta=step.temperature)
    psi, d = psi / psi.sum(), counts.sum(axis=1) / n
    new = joint_m_step(psi, policy=old, d=d, trust=trust)
    if new.min() < LEAST:
        return []
    price = _multiplier(psi, old, new, d)
    states, actions = old.shape
    size = float(max(np.abs(np.log(x)).max() for x in (old, new, np.exp(log_softmax(logits, axis=1)))))
    z = float(np.abs(advantage).max()) / step.temperature + np.log(n)
    of_log, of_weight = U * (4 * size + actions + 8), 2 * U * (4 * z + n + 8)
    bound = (1 + price) * (3 * of_log + 2 * of_weight + U * (2 * actions + 2 * n + 16 + 8 * states * actions))
    of_kl = 2 * size * actions * (2 * of_log + U * (n + 4)) + 2 * of_log
    gaps = []
    for table in (logits, np.log(new)):
        pi = np.exp(log_softmax(table, axis=1))
        exact = psi.sum(axis=1, keepdims=True) * pi - psi + price * d[:, None] * (pi - old)
        eta = step.temperature * (1 + 0.1 * perturb)
        slope, kl = _deep_m_step(old, table, price, (s, a, advantage[s, a]), (share, eta))
        gaps += [
            Gap(float(np.abs(slope - exact).max()), bound),
            Gap(abs(kl - expected_kl(old, pi, d=d)), of_kl),
        ]
    return [*gaps, Gap(float(np.abs(slope).max()), bound)]


def _multiplier(psi: Array, old: Array, new: Array, d: Array) -> float:
    """Multiplier of the trust region at the exact M-step; 0 where it does not bind."""
    moved, left = d[:, None] * (new - old), psi - psi.sum(axis=1, keepdims=True) * new
    return max(float((moved * left).sum() / (moved**2).sum()), 0.0) if moved.any() else 0.0


def _deep_m_step(
    old: Array, table: Array, price: float, pairs: tuple[Array, Array, Array], of: tuple[float, float]
) -> tuple[Array, float]:
    """Gradient `[S, A]` of the deep M-step at a table of logits, and the divergence."""
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.taken import CHOICE, TopShare  # noqa: PLC0415
    from virel_deep.axes.prior.categorical import Learned  # noqa: PLC0415
    from virel_deep.design.discrete import LearnedCategorical  # noqa: PLC0415

    (s, a, advantage), (share, eta) = pairs, of
    bounded = {"trust": 1.0, "price": price} if price > 0 else {}  # the loss asks for the price alone
    prior = Learned(LearnedCategorical(**bounded), table_network(table), table_network(np.log(old)))
    posterior, objective = TopShare(share, CHOICE), Objective(no_values, prior, tensor([eta]))
    state, stored = one_hot(s, old.shape[0]), one_hot(a, old.shape[1])
    taken = posterior.recall(state, stored, objective)
    found = prior.loss(state, posterior.improve(taken, tensor(advantage[:, None]), objective.alpha))
    return table_slope(found.loss, prior.networks["policy"]), found.kl.item()


def erpg_gap(*, mdp: TabularMDP, tau: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep score's gradient on enumerated actions: minus the exact policy gradient, zero."""
    q, gaps = np.zeros(mdp.shape), []
    with float64():
        for step, _ in zip(erpg(mdp, tau=tau, step=STEP), range(N_STEPS), strict=False):
            gaps.append(_score_gap(mdp, q, step.q, tau, perturb))
            q = step.q
    return worst(*gaps)


def _score_gap(mdp: TabularMDP, q: Array, following: Array, tau: float, perturb: float) -> Gap:
    log_pi = log_softmax(q / tau, axis=1)
    pi, reference = np.exp(log_pi), np.full(q.shape, 1 / q.shape[1])
    v = regularised_value(mdp, pi=pi, prior=reference, alpha=tau)
    weight = visit_distribution(mdp, pi=pi)[:, None] * pi
    of_value = weight * (soft_maximum(q, prior=reference, alpha=tau) - v)[:, None]
    exact = (following - q) / STEP + of_value
    values = back_up(mdp, v)
    slope = _deep_score(q / tau, values - v[:, None], weight, tau * (1 + 0.1 * perturb))
    actions = q.shape[1]
    size = float(np.abs(values).max() + np.abs(v).max() + tau * np.abs(log_pi).max())
    of_log = U * (4 * (float(np.abs(q).max()) / tau + np.log(actions)) + actions + 8)
    largest = float(max(np.abs(q).max(), np.abs(following).max()))
    bound = 4 * (tau + size) * of_log + 4 * (actions + 16) * U * size + 8 * U * largest
    return Gap(float(np.abs(-slope - exact).max()), bound)


def _deep_score(table: Array, advantage: Array, weight: Array, tau: float) -> Array:
    """Gradient `[S, A]` of the deep score loss at a table of logits, every pair with its weight."""
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.taken import CHOICE, Score  # noqa: PLC0415
    from virel_deep.axes.prior.constant import Uniform  # noqa: PLC0415

    posterior, objective = Score(table_network(table), CHOICE), Objective(no_values, Uniform(), tensor([tau]))
    loss: Any = 0.0
    for s, a in np.ndindex(table.shape):
        state, stored = (one_hot(np.array([i]), n) for i, n in zip((s, a), table.shape, strict=True))
        taken = posterior.recall(state, stored, objective)
        loss = loss + weight[s, a] * posterior.loss(taken, tensor([[advantage[s, a]]]), objective.alpha)
    return table_slope(loss, posterior.networks["policy"])


def one_hot(index: Array, n: int) -> Tensor:
    """One-hot vectors `[1, R, n]` of indices `[R]`, as float64."""
    return tensor(np.eye(n)[index])


CLAIMS = (
    Claim(
        id="deep-vmpo-discrete",
        title="The deep agent's V-MPO with a categorical policy rests at the exact M-step",
        source="virel_deep TopShare, categorical Learned: V-MPO, Eq. (3), (5)",
        statement=r"L(\theta) = -\sum_{s,a}\psi\log\pi_\theta(a|s) + \lambda E_d KL(\pi_{k-1}\|\pi_\theta):"
        r"\quad \frac{\partial L}{\partial\theta_{s,a}} = \psi(s)\pi_\theta - \psi(s, a) + \lambda d(s)(\pi_\theta - \pi_{k-1}),"
        r"\quad 0 \text{ at } \pi_\theta = \frac{\psi(s, a) + \lambda d(s)\pi_{k-1}(a|s)}{\psi(s) + \lambda d(s)}",
        check=Check(
            vmpo_gap,
            instances(
                mdp=mdps(),
                keep=st.sampled_from((0.5, 0.3, 0.75)),
                eps=temperatures(),
                trust=st.sampled_from((0.01, 0.001, 0.1, 1.0)),
                logits=q_tables,
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
    Claim(
        id="deep-erpg-discrete",
        title="The deep agent's score with a categorical policy is the exact policy gradient",
        source="virel_deep Score: Schulman et al. 2017, Sec. 2, 3.6",
        statement=r"-\nabla_\theta E_\mu E_\pi\big[-\log\pi_\theta(a|s)\,(Q_\pi - V_\pi - \tau\log\pi)\big] = \mu\pi\Big(Q_\pi - \tau\log\frac{\pi}{\bar\pi} - V_\pi\Big)"
        r" = \frac{q_k - q_{k-1}}{step} + \nabla_q E_\mu\tfrac12(V_q - V_\pi)^2,\quad \theta = q_{k-1}/\tau",
        check=Check(erpg_gap, instances(mdp=mdps(), tau=temperatures()), n_random=30),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
