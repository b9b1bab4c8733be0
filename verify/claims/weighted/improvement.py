r"""Claims on policy improvement: weights that grow with values, RERPI; the top share of the advantages, V-MPO.

Both sides: E-steps and algorithms of `virel_theory.variational` against expectations and linear solves in this
        file. Monotone weights in general are drawn here: sums of steps along the sorted values.
Bound:  rounding. Expectations are sums of A products of size at most M = max|q|; weights at temperature eta carry a
        relative error of 4u (1 + 2M/eta): 64 (A + 16) u M (1 + 2M/eta). V^pi is off by delta = `solve_rounding`;
        if E_new[A] >= -x in every state then V_new >= V_old - x/(1 - gamma): (4 delta + x)/(1 - gamma).
        V-MPO takes advantages within `tie_tolerance` of 0 for 0 and of each other for tied. That is 1e-10 times half
        a spread, which max|Q| bounds, and 32 ulps of max|Q|: at most tol = 1.0001e-10 max|Q|. It costs x = 3 tol.
        Budgets are met within 1e-12, relative, and the rounding of a divergence,
        64 (A + 16) u (1 + max|log ratio|); the E-step's, computed from an iterate's own values and old policy,
        within the bound in `verify.claims.mpo.tools`. Those values are off by 4 delta.
Teeth:  `perturb` gives the weights of -q, doubles both budgets, or lets the advantage of the old policy change
        its sign.
"""

from itertools import islice, pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.claims.instances import choices, policy_values, solve_rounding
from verify.claims.mpo.tools import budget_gaps
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, Mask, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.rerpi import rerpi
from virel_theory.variational.algorithms.vmpo import vmpo
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.parts.rank_weights import rank_posterior

TIE = 1.0001e-10
EPSILON, TRUST = 0.25, 0.0625
"""Budgets of RERPI's E-step and M-step, nats."""
N_STEPS = 3
"""Number of steps of RERPI that are looked at."""


def weights_gap(
    *, mdp: TabularMDP, q: Array, pi: Array, eps: float, steps: Array, perturb: float = 0.0
) -> Gap:
    """Gap of RERPI's weights: `E_pi[Q]` minus `E_q[Q]` for exponential, rank and any monotone weights, <= 0."""
    seen = np.where(mdp.available, (1 - 2 * perturb) * q, -np.inf)
    drawn = pi * monotone(seen, steps)
    posteriors = [
        posterior_policy(seen, prior=pi, alpha=eps),
        rank_posterior(seen, prior=pi),
        drawn / drawn.sum(axis=1, keepdims=True),
    ]
    table = np.where(mdp.available, q, 0.0)
    size = float(np.abs(table).max())
    bound = 64 * (mdp.n_actions + 16) * U * size * (1 + 2 * size / eps)
    lost = Gap(max(((pi - p) * table).sum(axis=1).max() for p in posteriors), bound)
    ranked = [np.abs(rank_posterior(x, prior=pi) - by_rank(x, pi)).max() for x in (seen, np.round(seen / 4))]
    return worst(lost, Gap(max(ranked), 64 * (mdp.n_actions + 16) * U))  # rounded values are often tied


def rerpi_gap(*, mdp: TabularMDP, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of three steps of RERPI, by both kinds of weights: V_old - V_new, at most 0; values and budgets, zero."""
    return worst(*(_rerpi_gap(mdp, pi, weights, perturb) for weights in ("exp", "rank")))


def _rerpi_gap(mdp: TabularMDP, pi: Array, weights: str, perturb: float) -> Gap:
    old, gaps = pi, []
    steps = rerpi(mdp, weights=weights, epsilon=EPSILON, trust=TRUST, prior=pi, d=mdp.initial)
    for k, x in enumerate(islice(steps, N_STEPS), start=1):
        gaps += [*_rerpi_step(mdp, x, old, perturb), Gap(abs(x.step - k), 0.0)]
        gaps += _by_budget(mdp, x, old, perturb) if weights == "exp" else _by_ranks(mdp, x, old)
        old = x.policy
    return worst(*gaps)


def _rerpi_step(mdp: TabularMDP, x: Iterate, old: Array, perturb: float) -> list[Gap]:
    """Gaps of what both kinds of weights share: values of the old policy, improvement, the M-step's bound, KL."""
    v, new, d = policy_values(mdp, old), policy_values(mdp, x.policy), mdp.initial
    q = mdp.reward + mdp.gamma * mdp.expect_next(v)
    size = 1 + np.abs(mdp.reward).max()
    excess = _mean_kl(d, old, x.policy) - TRUST * (1 + perturb)
    copied = bool(np.array_equal(x.policy, x.posterior))  # the whole step lies within the trust region
    ended = float(x.policy[x.policy > 0].min()) < 1e-300  # float64 has no number that would spend the bound
    return [
        Gap(np.abs(np.where(mdp.available, x.q - q, 0.0)).max(), 4 * solve_rounding(mdp, size)),
        Gap((v - new).max() + perturb * size, 4 * solve_rounding(mdp, size) / (1 - mdp.gamma)),
        Gap(excess if copied or ended else abs(excess), _kl_bound(mdp, old, x.policy)),
        Gap(abs(x.kl - _mean_kl(d, x.posterior, old)), _kl_bound(mdp, x.posterior, old)),
    ]


def _by_budget(mdp: TabularMDP, x: Iterate, old: Array, perturb: float) -> list[Gap]:
    """Gaps of the exponential weights: the budget is spent, computed from the iterate's values and old policy."""
    budget = EPSILON * (1 + perturb)
    return budget_gaps(x.q, old, x.posterior, eta=x.temperature, d=mdp.initial, epsilon=budget)


def _by_ranks(mdp: TabularMDP, x: Iterate, old: Array) -> list[Gap]:
    """Gaps of the weights by rank, where no two values are so close that rounding may swap them."""
    q = mdp.reward + mdp.gamma * mdp.expect_next(policy_values(mdp, old))
    size = 1 + np.abs(mdp.reward).max()
    named = Gap(float(not np.isnan(x.temperature)), 0.0)
    delta = solve_rounding(mdp, size) + TIE * size / (1 - mdp.gamma)
    if _near_ties(np.where(mdp.available, q, np.nan), delta):
        return [named]
    ranked = by_rank(np.where(mdp.available, q, -np.inf), old)
    return [named, Gap(np.abs(x.posterior - ranked).max(), 64 * (mdp.n_actions + 16) * U)]


def improvement_gap(
    *, mdp: TabularMDP, q: Array, pi: Array, eps: float, steps: Array, perturb: float = 0.0
) -> Gap:
    """Gap of RERPI's improvement: the worse of its weights' gap and its steps' gap."""
    weights = weights_gap(mdp=mdp, q=q, pi=pi, eps=eps, steps=steps, perturb=perturb)
    return worst(weights, rerpi_gap(mdp=mdp, pi=pi, perturb=perturb))


def vmpo_gap(
    *, mdp: TabularMDP, pi: Array, keep: float, eta: float | None, trust: float | None, perturb: float = 0.0
) -> Gap:
    """Gap of V-MPO's improvement: `-E_new[A]` in every state, and V_old - V_new, over two steps; at most 0."""
    found = list(islice(vmpo(mdp, keep=keep, eta=eta, trust=trust, prior=pi), 2))
    path = [pi, *(x.policy for x in found)]
    return worst(*(_step_gap(mdp, a, b, perturb) for a, b in pairwise(path)))


def _step_gap(mdp: TabularMDP, old: Array, new: Array, perturb: float) -> Gap:
    v_old, v_new = policy_values(mdp, old), policy_values(mdp, new)
    advantage = mdp.reward + mdp.gamma * mdp.expect_next(v_old) - v_old[:, None]
    size = 1 + np.abs(mdp.reward).max()
    tol = 3 * TIE * size / (1 - mdp.gamma)
    rounding = 4 * solve_rounding(mdp, size)
    gain = (new * advantage).sum(axis=1) - perturb * size
    return worst(
        Gap(-gain.min(), tol + rounding),
        Gap((v_old - v_new).max() + perturb * size, (tol + rounding) / (1 - mdp.gamma)),
    )


def batch_gap(*, mdp: TabularMDP, pi: Array, eta: float, batch: Mask, perturb: float = 0.0) -> Gap:
    """Gap of V-MPO's improvement with a batch: `-E_new[A]` where the better half of its pairs is; <= 0.

    The batch holds each of its pairs once, as one trajectory does that never returns.
    """
    v = policy_values(mdp, pi)
    advantage = mdp.reward + mdp.gamma * mdp.expect_next(v) - v[:, None]
    pairs = [h for h in zip(*np.nonzero(batch & mdp.available), strict=True) if pi[h] > 0]
    if not pairs:
        return Gap(0.0, 0.0)
    half = sorted(pairs, key=lambda h: -advantage[h])[: (len(pairs) + 1) // 2]
    psi = np.zeros(mdp.shape)
    for h in half:
        psi[h] = np.exp((advantage[h] - advantage[half[0]]) / eta)
    kept = psi.sum(axis=1) > 0
    gain = (psi * advantage)[kept].sum(axis=1) / psi[kept].sum(axis=1) - perturb
    return Gap(-gain.min(), 64 * solve_rounding(mdp, 1 + np.abs(mdp.reward).max()))


def monotone(q: Array, steps: Array) -> Array:
    """Weights `[S, A]` that do not fall with `q`: 1 plus the steps of all actions that are not better."""
    return 1 + np.array([[steps[s][row <= x].sum() for x in row] for s, row in enumerate(q)])


def by_rank(q: Array, pi: Array) -> Array:
    """RERPI's weights `pi ln((N + 1/2) / i)` in loops: i = 1 is the best of N actions, ties share their mean."""
    out = np.zeros(q.shape)
    for s, row in enumerate(q):
        values = sorted((x for x in row if x > -np.inf), reverse=True)
        for a, x in enumerate(row):
            ranks = [i + 1 for i, y in enumerate(values) if y == x]
            if ranks:
                weight = sum(np.log((len(values) + 0.5) / i) for i in ranks) / len(ranks)
                out[s, a] = pi[s, a] * weight
    weights: Array = out / out.sum(axis=1, keepdims=True)
    return weights


def _near_ties(q: Array, delta: float) -> bool:
    """Whether two different values of a state are so close that rounding may swap their ranks."""
    gaps = np.abs(q[:, :, None] - q[:, None, :])[:, *np.triu_indices(q.shape[1], 1)]
    return bool((gaps < 4 * delta).any())


def _mean_kl(d: Array, p: Array, q: Array) -> float:
    on = p > 0
    return float((d[:, None] * p)[on] @ np.log(p[on] / q[on]))


def _kl_bound(mdp: TabularMDP, p: Array, q: Array) -> float:
    on = p > 0
    return float(1e-12 + 64 * (mdp.n_actions + 16) * U * (1 + np.abs(np.log(p[on] / q[on])).max()))


def _steps(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.int64, mdp.shape, elements=st.integers(0, 4), fill=st.nothing()).map(
        lambda x: x.astype(np.float64)
    )


def _batches(mdp: TabularMDP) -> st.SearchStrategy[Mask]:
    return hnp.arrays(np.bool_, mdp.shape, elements=st.booleans(), fill=st.nothing())


_MDPS, _CHOICES = mdps(masked=True), choices(max_states=5, masked=True)
_SETTINGS: dict[str, Any] = {
    "keep": st.sampled_from((0.5, 0.25, 0.75, 1.0, 0.1)),
    "eta": st.sampled_from((1.0, None, 0.25, 4.0, 0.0)),
    "trust": st.sampled_from((None, 0.01, 0.1)),
}

CLAIMS = (
    Claim(
        id="rerpi-improvement",
        title="weights that do not fall with values improve the policy",
        source="RERPI, Section 4.1",
        statement=r"\text{we can calculate weights using any rank preserving transformation of the Q-values}:"
        r"\quad \bar J(s, q) \ge \bar J(s, \pi^{(k)})",
        reading=r"With exact values the new policy is better too: $V^{\pi_{k+1}} \ge V^{\pi_k}$.",
        check=Check(
            improvement_gap,
            instances(mdp=_CHOICES, q=q_tables, pi=policies, eps=temperatures(), steps=_steps),
            n_random=100,
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="vmpo-improvement",
        title="V-MPO improves for any kept share, temperature and trust region",
        source="ours; the algorithm is V-MPO, Section 4.2",
        statement=r"E_{\pi_{new}}[A^{\pi_{old}}(s, a)] \ge 0 \text{ in every state},\qquad"
        r" V^{\pi_{new}} \ge V^{\pi_{old}}",
        check=Check(vmpo_gap, instances(mdp=_CHOICES, pi=policies, **_SETTINGS), n_random=80),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "all pairs, not a batch",
                "the kept share is one of p(s, a) = d(s) pi(a|s), with exact advantages",
                without=Check(
                    batch_gap,
                    instances(mdp=_MDPS, pi=policies, eta=st.sampled_from((1.0, 0.25)), batch=_batches),
                ),
            ),
        ),
        printed=False,
    ),
)
