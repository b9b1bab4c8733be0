r"""Claim that the deep agent's parts of V-MPO walk through exact V-MPO, where rollouts are enumerated.

Both sides: `rollout_errors`, `tempered_weights`, `pair_weights` and `d_budget` of `virel_deep.axes`, in
        float64; against the first six iterates of `virel_theory.variational.algorithms.vmpo` at a fixed
        temperature eta, without a trust region. Step k starts from the exact policy $\pi_{k-1}$ and its exact
        values, so that no error is carried over. Compared are
        1. the expected error of two steps after each pair with $A_k = Q_k - V_{k-1}$;
        2. the weights of the pairs, each with its mass in the kept share, normalised in each state, with the
           iterate's posterior; a complete M-step takes them as the new policy;
        3. the slope of the dual with 0 if the budget is what the weights spend;
        4. of a batch in which pair (s, a) is as often as a whole number near 12 p(s, a) says, the sums of the
           weights of `pair_weights` with $\psi$ of that batch: the half of the batch.
Bound:  1. `advantage_bound`. 2. As in `deep-mpo`: with N pairs and $Z = \max |\log p| + |A|/\eta$, a weight's
        logarithm is off by b = 2 u (4 Z + N + 8) on either side, and normalising twice doubles that: 6 b in
        all. 3. b (2 N Z + 1) + 8 u Z (N + 2). 4. b for R pairs, of which up to R are summed: 2 b + R u.
        Among pairs of equal advantage at the threshold the deep side keeps any, so their sum is compared.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.tools import tensor
from verify.claims.deep.two_steps import advantage_bound, deep_advantages
from verify.claims.instances import gym_mdp
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.policy_system import mix
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.vmpo import vmpo
from virel_theory.variational.core.iterate import Iterate, evaluate
from virel_theory.variational.parts.optimum import visit_distribution
from virel_theory.variational.parts.rank_weights import tie_tolerance
from virel_theory.variational.parts.top_share import Kept, kept_pairs, top_share_posterior

N_STEPS = 6
BATCH = 12
"""Pairs of a batch, about."""
LEAST = 1e-280
"""Least weight of a state for which its normalised weights are compared: below, numbers lose digits."""


class Before(NamedTuple):
    """Exact quantities before a step: of the policy that took the actions."""

    policy: Array
    v: Array
    advantage: Array
    mass: Array
    tol: float


def gap(*, mdp: TabularMDP, keep: float, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of deep V-MPO on enumerated rollouts: advantages, weights and policies minus the exact ones."""
    policy, gaps = mdp.available / mdp.available.sum(axis=1, keepdims=True), []
    for step, _ in zip(vmpo(mdp, keep=keep, eta=eps), range(N_STEPS), strict=False):
        before, deep_eta = _before(mdp, policy, step), eps * (1 + 0.1 * perturb)
        gaps.append(_gap_of_advantages(mdp, before, step))
        gaps += _gaps_of_weights(before, step, keep, deep_eta)
        gaps.append(_gap_of_batch(before, keep, eps, deep_eta))
        policy = step.policy
    return worst(*gaps)


def _before(mdp: TabularMDP, policy: Array, step: Iterate) -> Before:
    v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=None)
    tol, mass = tie_tolerance(step.q), visit_distribution(mdp, pi=policy)[:, None] * policy
    advantage = step.q - mix(policy, step.q)[:, None]
    advantage[np.abs(advantage) <= tol] = 0.0
    return Before(policy, v, advantage, mass / mass.sum(), tol)


def _gap_of_advantages(mdp: TabularMDP, before: Before, step: Iterate) -> Gap:
    v, on = before.v, mdp.available
    found = deep_advantages(mdp, pi=before.policy, v=v, gain=mdp.reward, gamma=mdp.gamma)
    error = np.abs(found - (np.where(on, step.q, 0.0) - v[:, None]))[on].max()
    return Gap(float(error), advantage_bound(mdp, v=v, gain=mdp.reward))


def _gaps_of_weights(before: Before, step: Iterate, keep: float, eta: float) -> list[Gap]:
    """Gaps of one step's weights in each state, of the new policy, and of the slope of the dual."""
    from virel_deep.axes.weights import d_budget, tempered_weights  # noqa: PLC0415

    kept = kept_pairs(before.advantage, mass=before.mass, keep=keep, tie_tol=before.tol)
    found = tempered_weights(tensor(np.log(kept.share)), tensor(kept.advantage), tensor([[eta]]))
    psi = np.zeros(before.mass.shape)
    psi[kept.where] = found.log_weight[0, 0].exp().numpy()
    of_state = psi.sum(axis=1, keepdims=True)
    on = of_state[:, 0] > LEAST
    inferred = psi[on] / of_state[on]
    z, b = _size(kept, step.temperature)
    spent = float((found.log_weight.exp() * found.log_ratio).sum())
    exact = _spent(before, kept, keep, step.temperature)
    slope = d_budget(tensor(spent), epsilon=exact).item()
    n = kept.share.size
    return [
        Gap(float(np.abs(inferred - step.posterior[on]).max()), 6 * b),
        Gap(float(np.abs(inferred - step.policy[on]).max()), 6 * b),
        Gap(abs(slope), b * (2 * n * z + 1) + 8 * U * z * (n + 2)),
    ]


def _spent(before: Before, kept: Kept, keep: float, eta: float) -> float:
    """Divergence of the exact weights from the kept share, nats: what a budget at this temperature is."""
    psi = top_share_posterior(before.advantage, mass=before.mass, keep=keep, eta=eta, tie_tol=before.tol)
    weight, share = psi[kept.where], kept.share[0]
    on = weight > 0
    return float((weight[on] * np.log(weight[on] / share[on])).sum())


def _gap_of_batch(before: Before, keep: float, eta: float, deep_eta: float) -> Gap:
    """Gap of the weights on the top share of a batch of pairs, each of which counts the same."""
    from virel_deep.axes.posterior.taken import pair_weights  # noqa: PLC0415
    from virel_deep.design.improvement import kept as number_kept  # noqa: PLC0415

    counts = np.ceil(BATCH * before.mass - 1e-9).astype(int)
    s, a = (np.repeat(index, counts.ravel()) for index in np.indices(counts.shape).reshape(2, -1))
    n, advantage = len(s), before.advantage[s, a]
    share = number_kept(n, keep) / n
    exact = top_share_posterior(before.advantage, mass=counts / n, keep=share, eta=eta)
    log_weight, _ = pair_weights(tensor(advantage[:, None]), tensor([deep_eta]), keep=keep)
    found = np.zeros(counts.shape)
    np.add.at(found, (s, a), log_weight[0, :, 0].exp().numpy() / n)
    lowest = np.sort(advantage)[::-1][number_kept(n, keep) - 1]
    tied = (counts > 0) & (before.advantage == lowest)
    error = np.abs(np.where(tied, 0.0, found - exact)).max()
    at_threshold = abs(found[tied].sum() - exact[tied].sum())
    z = float(np.abs(advantage).max()) / eta + np.log(n)
    return Gap(float(max(error, at_threshold)), 4 * U * (4 * z + n + 8) + n * U)


def _size(kept: Kept, eta: float) -> tuple[float, float]:
    """Size Z of the logits, and the bound b on the error of a weight's logarithm."""
    z = float((np.abs(np.log(kept.share)) + np.abs(kept.advantage) / eta).max())
    return z, 2 * U * (4 * z + kept.share.size + 8)


CLAIMS = (
    Claim(
        id="deep-vmpo",
        title="The deep agent's V-MPO on enumerated rollouts is exact V-MPO",
        source="virel_deep rollout_errors, pair_weights, tempered_weights, d_budget: V-MPO, Eq. (3), (4), (6)",
        statement=r"E[\delta_0 + \gamma\delta_1 | s, a] = A_k(s, a);\qquad "
        r"w_{s,a} = \frac{p_k f_k e^{A_k/\eta}}{\sum_{s',a'} p_k f_k e^{A_k/\eta}} = \psi_k(s, a),\ \frac{w_{s,a}}{\sum_{a'} w_{s,a'}} = \pi_k(a|s);"
        r"\qquad \epsilon = KL(\psi_k\|p_k f_k/\textstyle\sum p_k f_k):\ g'(\eta) = 0",
        check=Check(
            gap,
            instances(mdp=mdps(masked=True), keep=st.sampled_from((0.5, 0.3, 0.75, 1.0)), eps=temperatures()),
            n_random=30,
            named=lambda: [
                ("FrozenLake-v1", {"mdp": gym_mdp("FrozenLake-v1").to_dense(), "keep": 0.5, "eps": 0.1})
            ],
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
