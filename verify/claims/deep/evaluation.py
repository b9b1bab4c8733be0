"""Claim that the deep agent's hard (VIREL) and soft (MERL, SAC) state values are exact in expectation.

Both sides: `virel_deep.axes.losses.state_value` and `td_target` for every transition (s, a, s', a'),
        weighted by its probability; against `state_value`, `bellman_policy`, `bellman_soft`, `merl_policy`
        and `soft_value_iteration` of `virel_theory`. The soft value of any policy is E_pi[Q] + c H(pi). That
        of MERL's policy is the soft maximum c log sum exp(Q/c). The soft optimal values are the fixed point
        of the soft target.
Bound:  rounding. Values of size M = max|Q| + c (log A + 2) (p |log p| <= 1, so that the logarithm's error
        costs no more), backed up to size max|r| + gamma M, as sums of n rows per pair: 16 (n + A + 16) u
        (max|r| + M). At MERL's policy c log pi = Q - V carries ulps of 2 max|Q|, and each probability (A +
        8 + 2 max|Q|/c) of them, on terms Q - c log pi = V which are equal for all actions. An error of the
        probabilities multiplies their sum alone, which is 1 within A ulps as computed, and the same bound
        holds. Probabilities that underflow have no row; they are below 1e-307. The fixed point is known
        within `error_bound`; its image is off by gamma times that, so (1 + gamma) error_bound more.
Teeth:  `perturb` adds to the sampled value.
"""

import numpy as np

from verify.claims.deep.tools import Rows, any_policy, largest, tensor, transitions
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.merl import merl_policy
from virel_theory.operators.bellman import bellman_policy, bellman_soft, state_value
from virel_theory.operators.policies import entropy
from virel_theory.solvers.soft import soft_value_iteration


def gap(*, mdp: TabularMDP, q: Array, pi: Array, c: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep agent's expected Bellman backups, hard and soft: minus those of `virel_theory`, zero.

    The policies are `pi` (hard and soft) and MERL's at `q`; the soft optimum is a fixed point.
    """
    merl = merl_policy(q, c=c)
    optimum = soft_value_iteration(mdp, c=c, atol=1e-9 * (1 + c), throw=True)
    soft_value = state_value(mdp, q, pi=pi) + c * entropy(pi)
    soft_backup = mdp.reward + mdp.gamma * mdp.expect_next(soft_value)
    pairs = (
        (_backed_up(mdp, q, pi, c, False, perturb), bellman_policy(mdp, q, pi=pi), q, 0.0),
        (_backed_up(mdp, q, pi, c, True, perturb), soft_backup, q, 0.0),
        (_backed_up(mdp, q, merl, c, True, perturb), bellman_soft(mdp, q, c=c), q, 0.0),
        (
            _backed_up(mdp, optimum.q, merl_policy(optimum.q, c=c), c, True, perturb),
            optimum.q,
            optimum.q,
            (1 + mdp.gamma) * optimum.error_bound,
        ),
    )
    return worst(*(_distance(mdp, deep, exact, table, c, more) for deep, exact, table, more in pairs))


def _backed_up(mdp: TabularMDP, q: Array, pi: Array, c: float, soft: bool, perturb: float) -> Array:
    """Mean over s' and a' ~ pi(.|s') of the deep agent's TD target, for every state-action pair `[S, A]`."""
    from virel_deep.axes.losses import state_value as sampled_value  # noqa: PLC0415
    from virel_deep.axes.losses import td_target  # noqa: PLC0415

    rows: Rows = transitions(mdp, d=np.ones(mdp.shape), pi=pi)
    log_pi = tensor(np.log(pi[rows.s_next, rows.a_next]))
    value = sampled_value(tensor(q[rows.s_next, rows.a_next]), log_pi, tensor(c)[:, None], soft=soft)
    reward = tensor(mdp.reward[rows.s, rows.a])
    target = td_target(reward, 0 * reward, value + perturb, gamma=mdp.gamma)
    out = np.zeros(mdp.shape)
    np.add.at(out, (rows.s, rows.a), (rows.weight * target[0].numpy()))
    return out


def _distance(mdp: TabularMDP, deep: Array, exact: Array, q: Array, c: float, more: float) -> Gap:
    n_rows = mdp.n_states * mdp.n_actions
    size = largest(mdp.reward) + largest(q) + c * (np.log(mdp.n_actions) + 2)
    bound = 16 * (n_rows + mdp.n_actions + 16) * U * size + more
    return Gap(np.abs(deep - exact)[mdp.available].max(), float(bound))


CLAIMS = (
    Claim(
        id="deep-evaluation-hard-soft",
        title="The deep agent's hard and soft values are VIREL's and MERL's",
        source="virel_deep state_value, td_target: App. H; talk, MERL",
        statement=r"E[r + \gamma \hat Q_\omega(h')] = \mathcal T^{\pi}\hat Q_\omega(h),\quad"
        r" E[r + \gamma(\hat Q_\omega(h') - c\log\pi(a'|s'))] = r(h) + \gamma E_{p(s'|h)}[E_\pi[\hat Q_\omega(h')] + c\,\mathcal H(\pi(a'|s'))],"
        r"\quad \text{for } \pi_{merl}: r(h) + \gamma E_{p(s'|h)}\Big[c\log\sum_{a'} e^{\hat Q_\omega(h')/c}\Big]",
        check=Check(gap, instances(mdp=mdps(masked=True), q=q_tables, pi=any_policy, c=temperatures())),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
