r"""Claims on the code of particle planning and of the model-based cells: iterates, and the simulator, replayed.

Both sides: two iterates of `smcp`, `mb_sac`, `mb_iadp` and `mb_mpo` against values by linear solves, sums over
        all paths of two steps (`tools.path_evidence`) and mixtures written out; `simulate_plans` against loops
        over particles that use the same uniform numbers.
Bound:  rounding. Values K = `solve_rounding` of B = max|r| + alpha (2 + max|log p|) + 1, over alpha for
        logarithms of policies: 64 (1 + 1/alpha) K + `tools.rounding`; policies of the second iterate depend on
        the first: twice that, times 1 + B/alpha. The budget of mb_mpo is met within 1e-9. A return may
        be off by the error that the iterate certifies; only what exceeds that is compared with K.
Teeth:  `perturb` moves the values by 1 in state 0, or the weights by a nat.
"""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import policy_values, solve_rounding
from verify.claims.particles.tools import DISCOUNTS, path_evidence, rounding, state_values, warm
from verify.engine.claim import A_DEFINITION, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.model_based import mb_iadp, mb_mpo, mb_sac
from virel_theory.variational.algorithms.smcp import smcp
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.parts.expansion import perturbed_model
from virel_theory.variational.parts.particles import simulate_plans
from virel_theory.variational.parts.plans import Plan

MET = 1e-9


def smcp_gap(
    *,
    mdp: TabularMDP,
    prior: Array,
    d: Array,
    alpha: float,
    discount: float,
    sweeps: int | None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of two iterates of `smcp` with plans of two steps: policy, values, divergence, return; zero."""
    steps = smcp(mdp, alpha=alpha, horizon=2, prior=prior, d=d, discount=discount, sweeps=sweeps)
    pi, v, gaps = prior, np.zeros(mdp.n_states), []
    for k, x in enumerate(islice(steps, 2), start=1):
        v = soft_value(mdp, pi, prior, alpha, v, sweeps) + perturb * (np.arange(mdp.n_states) == 0)
        pi = tilted(prior, action_values(mdp, v), alpha)
        paths = np.array(
            [path_evidence(mdp, v, prior, alpha=alpha, discount=discount, s=s) for s in range(len(v))]
        )
        q = alpha * (_log(paths) - _log(prior)) + v[:, None]
        room = _room(mdp, prior, alpha) + rounding(mdp, v, alpha)
        gaps += [
            *_same(x, k, mdp, q, paths / paths.sum(axis=1, keepdims=True), room),
            Gap(abs(x.kl - mean_kl(x.policy, prior, d)), MET),
            Gap(np.abs(x.prior - prior).max() + abs(x.temperature - alpha), 0.0),
        ]
    return worst(*gaps, _sampled_gap(mdp, prior, alpha, perturb))


def _sampled_gap(mdp: TabularMDP, prior: Array, alpha: float, perturb: float) -> Gap:
    """Gap of the first two iterates of `smcp` with 3 particles: policy minus the mean of 2 plans per state."""
    steps = smcp(mdp, alpha=alpha, horizon=2, particles=3, plans=2, threshold=2.0, seed=7, prior=prior)
    rng, pi, gaps = np.random.default_rng(7), prior, []
    for x in islice(steps, 2):
        v = soft_value(mdp, pi, prior, alpha, np.zeros(mdp.n_states), None) + perturb
        pi = tilted(prior, action_values(mdp, v), alpha)
        plan = Plan(mdp, v, prior, alpha, 2, proposal=pi)
        starts = [s for s in range(mdp.n_states) for _ in range(2)]
        laws = simulate_plans(plan, states=starts, particles=3, rng=rng, threshold=2.0).policy
        mean = (laws[0::2] + laws[1::2]) / 2
        gaps.append(Gap(np.abs(x.policy - mean).max() + perturb, _room(mdp, prior, alpha)))
    return worst(*gaps)


def model_gap(
    *,
    mdp: TabularMDP,
    prior: Array,
    d: Array,
    alpha: float,
    horizon: int,
    trace: float,
    noise: float,
    sweeps: int | None,
    rollout: str,
    perturb: float = 0.0,
) -> Gap:
    """Gap of two iterates of `mb_sac` and `mb_iadp`: values through a wrong model, policies, priors; zero.

    The prior of `mb_iadp` does not tell states 0 and 1 apart.
    """
    settings: dict[str, Any] = {"alpha": alpha, "horizon": horizon, "trace": trace, "noise": noise, "d": d}
    settings |= {"prior": prior, "sweeps": sweeps}
    seen = np.maximum(np.arange(mdp.n_states), 1)
    runs = [
        (mb_sac(mdp, **settings), "posterior", None),
        (mb_iadp(mdp, observation=seen, rollout=rollout, **settings), rollout, seen),
    ]
    model, gaps = perturbed_model(mdp, noise=noise, seed=0), []
    for steps, follow, hidden in runs:
        pi, p, v = prior, prior, perturb * (np.arange(mdp.n_states) == 0)
        for k, x in enumerate(islice(steps, 2), start=1):
            rolled = pi if follow == "posterior" else p
            v = soft_value(mdp, rolled, p, alpha, v, sweeps) + perturb * (np.arange(mdp.n_states) == 0)
            q = _expanded(mdp, model, rolled, p, v, alpha=alpha, horizon=horizon, trace=trace)
            pi = tilted(p, q, alpha)
            room = _room(mdp, p, alpha)
            gaps += [*_same(x, k, mdp, q, pi, room), Gap(abs(x.kl - mean_kl(x.policy, p, d)), MET)]
            p = p if hidden is None else blinded(x.policy, d, hidden)
            gaps += [Gap(np.abs(x.prior - p).max(), room), Gap(abs(x.temperature - alpha), 0.0)]
            pi = x.policy
    return worst(*gaps)


def spo_gap(
    *,
    mdp: TabularMDP,
    prior: Array,
    d: Array,
    epsilon: float,
    horizon: int,
    noise: float,
    sweeps: int | None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of two iterates of `mb_mpo`: the budget of one step, the posterior of 0, 1 or 2 steps, zero."""
    model = perturbed_model(mdp, noise=noise, seed=0) if horizon else mdp
    pi, v, gaps = prior, np.zeros(mdp.n_states), []
    steps = mb_mpo(mdp, epsilon=epsilon, horizon=horizon, noise=noise, prior=prior, d=d, sweeps=sweeps)
    for k, x in enumerate(islice(steps, 2), start=1):
        v = soft_value(mdp, pi, pi, 0.0, v, sweeps) + perturb * (np.arange(mdp.n_states) == 0)
        q, eta = action_values(model, v), x.temperature
        if eta < 1e-2 or (pi[mdp.available] < 1e-6).any():  # the limit, and what is close to it, have tests
            break
        one = tilted(pi, q, eta)
        room = _room(mdp, pi, eta) + rounding(mdp, v, eta)
        gaps.append(Gap(abs(mean_kl(one, pi, d) - epsilon), MET * (1 + room / U / 1e6)))
        if horizon == 1:  # one step: pi exp(r/eta) E[exp(gamma v(s')/eta)]
            lucky = np.einsum("sat,t->sa", model.dense_transition, np.exp(model.gamma * v / eta))
            q = model.reward + eta * _log(lucky)
            one = tilted(pi, q, eta)
        if horizon == 2:
            paths = [path_evidence(model, v, pi, alpha=eta, discount=mdp.gamma, s=s) for s in range(len(v))]
            one = np.array(paths) / np.sum(paths, axis=1, keepdims=True)
            q = eta * (_log(np.array(paths)) - _log(pi)) + v[:, None]
        gaps += [*_same(x, k, mdp, q, one, room), Gap(abs(x.kl - mean_kl(x.policy, pi, d)), MET)]
        gaps.append(Gap(np.abs(x.prior - x.policy).max(), 0.0))
        pi = x.policy
    return worst(*gaps) if gaps else Gap(-1.0, 0.0)


def replay_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    prior: Array,
    proposal: Array,
    alpha: float,
    discount: float,
    threshold: float,
    seed: int,
    perturb: float = 0.0,
) -> Gap:
    """Gap of `simulate_plans`, 2 plans of 3 particles and 3 steps: minus loops over particles, zero."""
    plan = Plan(mdp, v, prior, alpha, 3, proposal=proposal, discount=discount)
    starts = [0, mdp.n_states - 1]
    found = simulate_plans(
        plan, states=starts, particles=3, rng=np.random.default_rng(seed), threshold=threshold
    )
    rng, dense = np.random.default_rng(seed), mdp.dense_transition
    uniforms = [[None if t == 0 and k == 0 else rng.random((2, 3)) for k in range(3)] for t in range(3)]
    bound, gaps = 4 * rounding(mdp, v, alpha), []
    for n, start in enumerate(starts):
        s, first, w, log_z = [start] * 3, [0] * 3, [1.0] * 3, v[start] / alpha
        for t in range(3):
            ancestors, actions, moves = uniforms[t]
            size = sum(w) ** 2 / sum(x * x for x in w)
            if ancestors is not None and size < threshold * 3 - 1e-9:
                log_z += np.log(sum(w) / 3)
                old = [_inverted(w, u) for u in ancestors[n]]
                s, first, w = [s[i] for i in old], [first[i] for i in old], [1.0] * 3
            for i in range(3):
                a = _inverted(proposal[s[i]], actions[n, i])  # type: ignore[index]
                ahead = _inverted(dense[s[i], a], moves[n, i])  # type: ignore[index]
                gain = mdp.reward[s[i], a] + discount * v[ahead] - v[s[i]]
                w[i] *= np.exp(discount**t * gain / alpha) * prior[s[i], a] / proposal[s[i], a]
                first[i], s[i] = a if t == 0 else first[i], ahead
        share = np.array(w) / sum(w)
        law = np.array([share[np.array(first) == a].sum() for a in range(mdp.n_actions)])
        gaps += [
            Gap(abs(found.log_evidence[n] - log_z - np.log(sum(w) / 3) + perturb), bound),
            Gap(np.abs(found.policy[n] - law).max(), bound),
            Gap(float((found.first_action[n] != first).any()), 0.0),
        ]
    return worst(*gaps)


def soft_value(mdp: TabularMDP, pi: Array, prior: Array, alpha: float, v: Array, sweeps: int | None) -> Array:
    """Regularised value of a policy: by a linear solve, or by `sweeps` backups of v."""
    cost = (pi * (_log(pi) - _log(prior))).sum(axis=1)
    gain = (pi * mdp.reward).sum(axis=1) - alpha * cost
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    if sweeps is None:
        return np.asarray(np.linalg.solve(np.eye(len(v)) - mdp.gamma * p_pi, gain))
    for _ in range(sweeps):
        v = gain + mdp.gamma * p_pi @ v
    return v


def action_values(mdp: TabularMDP, v: Array) -> Array:
    """Backup `r + gamma E[v]`, `[S, A]`."""
    out: Array = mdp.reward + mdp.gamma * np.einsum("sat,t->sa", mdp.dense_transition, v)
    return out


def tilted(prior: Array, q: Array, alpha: float) -> Array:
    """Policy proportional to `prior exp(q/alpha)`."""
    top = np.where(prior > 0, q, -np.inf).max(axis=1, keepdims=True)
    weights = prior * np.exp(np.where(prior > 0, q - top, 0.0) / alpha)
    out: Array = weights / weights.sum(axis=1, keepdims=True)
    return out


def mean_kl(pi: Array, prior: Array, d: Array) -> float:
    """`E_d KL(pi || prior)`, nats."""
    return float(d @ (pi * (_log(pi) - _log(prior))).sum(axis=1))


def blinded(pi: Array, d: Array, seen: Array) -> Array:
    """Prior that sees `seen` only: the mean of pi over states that look alike, weighted by d."""
    return np.array([d[seen == o] @ pi[seen == o] / d[seen == o].sum() for o in seen])


def _expanded(
    mdp: TabularMDP,
    model: TabularMDP,
    pi: Array,
    prior: Array,
    v: Array,
    *,
    alpha: float,
    horizon: int,
    trace: float,
) -> Array:
    """Mixture of expansions through 1 and 2 steps of a model; the backup of the MDP for none."""
    if horizon == 0:
        return action_values(mdp, v)
    one, two = action_values(model, v), action_values(model, soft_value(model, pi, prior, alpha, v, 1))
    return one if horizon == 1 else (1 - trace) * one + trace * two


def _same(x: Iterate, k: int, mdp: TabularMDP, q: Array, policy: Array, room: float) -> list[Gap]:
    """Gaps of iterate k: its values, both of its policies, its return, its distance from optimal, its number."""
    v = policy_values(mdp, x.policy)
    largest = float(np.abs(mdp.reward).max()) + 1
    return [
        Gap(
            np.abs(np.where(mdp.available, x.q, 0.0) - np.where(mdp.available, q, 0.0)).max(), room * largest
        ),
        Gap(np.abs(x.policy - policy).max(), room),
        Gap(np.abs(x.posterior - x.policy).max(), 0.0),
        Gap(abs(float(mdp.initial @ v) - x.value) - x.error, solve_rounding(mdp, largest)),
        Gap(-x.bound, 0.0),
        Gap(abs(x.step - k), 0.0),
    ]


def _log(p: Array) -> Array:
    """Elementwise logarithm, 0 where there is nothing."""
    out: Array = np.log(np.where(p > 0, p, 1.0))
    return out


def _inverted(weights: Any, u: float) -> int:
    """First index whose cumulated weight exceeds u times the total."""
    return int(np.argmax(np.cumsum(weights) > u * np.sum(weights)))


def _room(mdp: TabularMDP, prior: Array, alpha: float) -> float:
    size = float(np.abs(mdp.reward).max()) + alpha * (2 + float(np.abs(np.log(prior[prior > 0])).max())) + 1
    return 128 * (1 + 1 / alpha) * (1 + size / alpha) * solve_rounding(mdp, size)


_SIZES: dict[str, Any] = {"max_states": 3, "max_actions": 3, "min_actions": 2}
_GAMMAS = st.sampled_from((0.5, 0.75, 0.5, 0.75, 0.0))
_MASKED = mdps(**_SIZES, masked=True, gammas=_GAMMAS).filter(lambda mdp: mdp.n_states > 1)
_FULL = mdps(**_SIZES, gammas=_GAMMAS).filter(lambda mdp: mdp.n_states > 1)
_SWEEPS = st.sampled_from((None, 1, 3))
_NOISE = st.sampled_from((0.5, 0.25, 0.0))
_BASE: dict[str, Any] = {"prior": policies, "d": distributions}

CLAIMS = (
    Claim(
        id="smcp-iterates",
        title="iterates of particle planning in the limit of many particles",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"v_k = V_{\pi_{k-1}},\ \pi_k \propto p\,e^{(r + \gamma Pv_k)/\alpha},\ \mu_k = p(a_0|s_0,O)",
        check=Check(
            smcp_gap,
            instances(mdp=_MASKED, **_BASE, alpha=warm(), discount=DISCOUNTS, sweeps=_SWEEPS),
            n_random=100,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="smc-simulator",
        title="the simulator of particle plans, replayed draw by draw",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"w \leftarrow w\,e^{(\gamma^t r + \gamma^{t+1}V(s') - \gamma^tV(s))/\alpha}p(a|s)/q(a|s),\ "
        r"ESS < \theta N \Rightarrow \text{resample}",
        check=Check(
            replay_gap,
            instances(
                mdp=_FULL,
                v=state_values,
                prior=policies,
                proposal=policies,
                alpha=warm(),
                discount=DISCOUNTS,
                threshold=st.sampled_from((0.5, 0.9, 2.0, 0.0)),
                seed=st.integers(0, 99),
            ),
            n_random=100,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="model-iterates",
        title="iterates of soft actor-critic and of a blind prior on values through a wrong model",
        source="ours, on Table 1 of Marino et al.",
        statement=r"\pi_k \propto p_{k-1}e^{\hat Q^\lambda_h(V_{\rho_k})/\alpha},\quad \rho_k = p_{k-1} \text{ or } \pi_{k-1}",
        check=Check(
            model_gap,
            instances(
                mdp=_FULL,
                **_BASE,
                alpha=warm(),
                horizon=st.integers(0, 2),
                trace=st.sampled_from((1.0, 0.5, 0.25)),
                noise=_NOISE,
                sweeps=_SWEEPS,
                rollout=st.sampled_from(("prior", "posterior")),
            ),
            n_random=100,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="spo-iterates",
        title="iterates of MPO with plans of two steps as E-step",
        source="ours, on Macfarlane et al. 2024",
        statement=r"E_d KL(\pi_{k-1}e^{Q_k/\eta_k}/Z\,\|\,\pi_{k-1}) = \epsilon,\quad \pi_k = p(a_0|s_0,O) \text{ at } \eta_k",
        check=Check(
            spo_gap,
            instances(
                mdp=_MASKED,
                **_BASE,
                epsilon=st.sampled_from((0.1, 0.01)),
                horizon=st.integers(0, 2),
                noise=_NOISE,
                sweeps=_SWEEPS,
            ),
            n_random=100,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
)
