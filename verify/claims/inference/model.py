r"""Values through a model: h steps of the true one give Q_pi; a wrong critic fades; a wrong model has a bound.

Ours, on the model-based cells of Table 1 of Marino et al. Let $T_\pi v = E_\pi[r + \gamma E_P v] - \alpha
KL(\pi\|p)$ be the regularised backup. An expansion is $\hat Q_h(v) = r + \gamma P\,T_\pi^{h-1}v$. As $T_\pi$ is
affine with the matrix $\gamma P_\pi$ and fixes $V_\pi$: $\hat Q_h(v) - Q_\pi = \gamma^h P P_\pi^{h-1}(v -
V_\pi)$, which is 0 for v = V_pi and at most $\gamma^h\|v - V_\pi\|_\infty$ else.
Two models: $V_{\hat P} - V_P = (I - \gamma P_\pi)^{-1}(\hat r_\pi - r_\pi + \gamma(\hat P_\pi - P_\pi)V_{\hat P})$, as the
KL terms are the same; and $|(\hat P - P)V| \le TV(\hat P, P)(\max V - \min V)$ per pair.
Rollouts that follow the prior p at a KL of 0 are expansions of $T_p$, whose fixed point is the plain $V^p$. With
$\pi \propto p\,e^{Q^p/\alpha}$: $V^p \le \alpha\log E_p[e^{Q^p/\alpha}] = T_\pi V^p$ (Jensen), so that $V^p \le
T_\pi V^p \le T_\pi^2V^p \le \dots \to V_\pi$.

Both sides: `expanded_action_value` and `simulation_bound` against linear solves over pairs and loops over
        paths' matrices, in this file.
Bound:  rounding. Values by linear solves, K = `solve_rounding` of B = max|r| + alpha (max|log pi| + max|log
        p|) + max|v|: h K covers h backups too.
Teeth:  `perturb` drops the KL terms' factor to 1 + perturb; leaves the discount out of the fading; halves and
        shifts the bound.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.instances import choices, solve_rounding
from verify.claims.particles.tools import log, state_values
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.regularised import regularised_value
from virel_theory.variational.parts.expansion import (
    expanded_action_value,
    perturbed_model,
    simulation_bound,
)


def expansion_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    pi: Array,
    prior: Array,
    alpha: float,
    steps: int,
    trace: float,
    noise: float = 0.0,
    exact: bool = True,
    perturb: float = 0.0,
) -> Gap:
    """Gap of an expansion with the exact critic: minus Q_pi, zero for every number of steps and mixture.

    With `noise` the model is wrong; if not `exact`, the critic is `v`.
    """
    rest: dict[str, Any] = {"pi": pi, "prior": prior, "alpha": alpha}
    value = regularised(mdp, pi, prior, alpha * (1 + perturb))
    model = perturbed_model(mdp, noise=noise, seed=0)
    critic = regularised_value(mdp, **rest) if exact else v
    found = expanded_action_value(model, critic, steps=steps, trace=trace, **rest)
    right = mdp.reward + mdp.gamma * mdp.expect_next(value)
    error = np.abs(np.where(mdp.available, found, 0.0) - np.where(mdp.available, right, 0.0)).max()
    return Gap(error, _bound(mdp, v, pi, prior, alpha) * steps)


def fading_gap(
    *, mdp: TabularMDP, v: Array, pi: Array, prior: Array, alpha: float, steps: int, perturb: float = 0.0
) -> Gap:
    """Gap of an expansion with any critic v: its error minus `gamma^h P P_pi^(h-1) (v - V_pi)`, zero.

    And its size minus `gamma^h max|v - V_pi|`, at most 0.
    """
    value = regularised(mdp, pi, prior, alpha)
    found = expanded_action_value(mdp, v, pi=pi, prior=prior, alpha=alpha, steps=steps)
    error = np.where(mdp.available, found - (mdp.reward + mdp.gamma * mdp.expect_next(value)), 0.0)
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    factor = mdp.gamma**steps * (1 - perturb)
    right = factor * mdp.expect_next(np.linalg.matrix_power(p_pi, steps - 1) @ (v - value))
    bound = _bound(mdp, v, pi, prior, alpha) * steps
    largest = mdp.gamma**steps * np.abs(v - value).max() - perturb
    return worst(Gap(np.abs(error - right).max(), bound), Gap(np.abs(error).max() - largest, bound))


def simulation_gap(
    *,
    mdp: TabularMDP,
    pi: Array,
    prior: Array,
    alpha: float,
    noise: float,
    seed: int,
    bias: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the simulation lemma: `max|V_model - V|` minus its bound with the spread of either value, <= 0.

    The model's dynamics mix in a wrong successor per pair; its rewards of action 0 are off by `bias`.
    """
    drawn = perturbed_model(mdp, noise=noise, seed=seed)
    reward = mdp.reward + bias * (np.arange(mdp.n_actions) == 0) * mdp.available
    model = TabularMDP(drawn.transition, reward, mdp.gamma, mdp.initial, mdp.mask)
    value, wrong = (regularised(m, pi, prior, alpha) for m in (mdp, model))
    error = float(np.abs(wrong - value).max())
    bounds = [simulation_bound(mdp, model, v=v) * (1 - perturb) - perturb for v in (value, wrong)]
    variation = np.abs(model.dense_transition - mdp.dense_transition).sum(axis=2).max() / 2
    off = bias if mdp.available[:, 0].any() else 0.0
    by_hand = [(off + mdp.gamma * variation * np.ptp(v)) / (1 - mdp.gamma) for v in (value, wrong)]
    rounding = _bound(mdp, value, pi, prior, alpha)
    same = max(abs(a - b) for a, b in zip(bounds, by_hand, strict=True))
    mixed = float(np.abs(model.dense_transition - _mixed(mdp, noise, seed)).max())
    return worst(Gap(error - min(bounds), rounding), Gap(same, rounding), Gap(mixed, 8 * U))


def _mixed(mdp: TabularMDP, noise: float, seed: int) -> Array:
    """Dynamics with one wrong successor per pair, of weight `noise`; absorbing states stay absorbing."""
    out, dense = np.zeros(mdp.dense_transition.shape), mdp.dense_transition
    wrong = np.random.default_rng(seed).integers(mdp.n_states, size=mdp.shape)
    for s in range(mdp.n_states):
        own = [a for a in range(mdp.n_actions) if mdp.available[s, a]]
        nu = 0.0 if all(dense[s, a, s] == 1 for a in own) else noise
        for a in own:
            out[s, a] = (1 - nu) * dense[s, a]
            out[s, a, wrong[s, a]] += nu
    return out


def rollout_gap(
    *,
    mdp: TabularMDP,
    prior: Array,
    alpha: float,
    steps: int,
    pi: Array | None = None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of rollouts of the prior at a KL of 0: their fixed point minus Q^p, zero; and Q^p - Q_pi, <= 0.

    With the E-step's inequality `V^p <= alpha log E_p[exp(Q^p/alpha)] <= V_pi`. pi is the E-step's policy,
    unless it is given.
    """
    plain = regularised(mdp, prior, prior, 0.0)
    q_p = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(plain), 0.0)
    rolled = expanded_action_value(mdp, plain, pi=prior, prior=prior, alpha=alpha, steps=steps)
    scores = log(prior) + q_p / alpha
    soft = alpha * logsumexp(scores, axis=1)
    policy = np.exp(scores - soft[:, None] / alpha) if pi is None else pi
    value = regularised(mdp, policy, prior, alpha)
    estimated = np.abs(np.where(mdp.available, rolled, 0.0) - q_p).max() + perturb
    bound = _bound(mdp, plain, prior, prior, alpha) * steps + _bound(mdp, plain, policy, prior, alpha)
    order = max((plain - soft).max(), (soft - value).max() if pi is None else (plain - value).max())
    return worst(Gap(estimated, bound), Gap(order, bound))


def not_q_pi_gap(*, mdp: TabularMDP, prior: Array, alpha: float, steps: int, perturb: float = 0.0) -> Gap:
    """Gap of rollouts of the prior read as an estimate of Q_pi, pi the E-step's policy: their difference."""
    plain = regularised(mdp, prior, prior, 0.0)
    q_p = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(plain), 0.0)
    scores = log(prior) + q_p / alpha
    policy = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    value = regularised(mdp, policy, prior, alpha)
    rolled = expanded_action_value(mdp, plain, pi=prior, prior=prior, alpha=alpha, steps=steps)
    right = mdp.reward + mdp.gamma * mdp.expect_next(value) + perturb
    error = np.abs(np.where(mdp.available, rolled - right, 0.0)).max()
    return Gap(error, _bound(mdp, plain, policy, prior, alpha) * steps)


def regularised(mdp: TabularMDP, pi: Array, prior: Array, alpha: float) -> Array:
    """`V_pi = (I - gamma P_pi)^-1 E_pi[r - alpha log(pi/p)]`, `[S]`."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    on = pi > 0
    ratio = np.zeros(mdp.shape)
    ratio[on] = np.log(pi[on]) - np.log(prior[on])
    gain = (pi * (mdp.reward - alpha * ratio)).sum(axis=1)
    return np.asarray(np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, gain))


def _bound(mdp: TabularMDP, v: Array, pi: Array, prior: Array, alpha: float) -> float:
    logs = [float(np.abs(np.log(p[p > 0])).max()) for p in (pi, prior)]
    size = float(np.abs(mdp.reward).max()) + alpha * (2 + sum(logs)) + float(np.abs(v).max()) + 1
    return solve_rounding(mdp, size)


_MDPS, _CHOICES = mdps(max_states=4, max_actions=3, masked=True), choices(max_states=4, masked=True)
_TEMPERATURES = temperatures().filter(lambda x: x >= 0.1)
_POLICIES: dict[str, Any] = {"v": state_values, "pi": policies, "prior": policies, "alpha": _TEMPERATURES}
_STEPS = st.integers(1, 4)
_TRACES = st.sampled_from((1.0, 0.5, 0.0))


def _without(**change: object) -> Check:
    drawn: dict[str, Any] = {name: st.just(value) for name, value in change.items()}
    return Check(expansion_gap, instances(mdp=_MDPS, **_POLICIES, steps=_STEPS, trace=_TRACES, **drawn))


CLAIMS = (
    Claim(
        id="model-expansion",
        title="h steps through the true model, with the exact critic, are the action value",
        source="ours, on Marino et al., Eq. (9) and Table 1",
        statement=r"r + E_{P,\pi}\Big[\sum_{i=1}^{h-1}\gamma^i(r_i - \alpha KL_i) + \gamma^h V_\pi(s_h)\Big] = Q_\pi(s,a)"
        r" \text{ for every } h, \text{ and every } \lambda\text{-mixture}",
        check=Check(expansion_gap, instances(mdp=_CHOICES, **_POLICIES, steps=_STEPS, trace=_TRACES)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption("true model", r"$\hat P = P$", without=_without(noise=0.5)),
            Assumption("exact critic", r"$v = V_\pi$", without=_without(exact=False)),
        ),
        printed=False,
    ),
    Claim(
        id="model-fading",
        title="a wrong critic fades with every step through the true model",
        source="ours, on Marino et al., Eq. (9) and Table 1",
        statement=r"\hat Q_h(v) - Q_\pi = \gamma^h P P_\pi^{h-1}(v - V_\pi),\quad \|\hat Q_h(v) - Q_\pi\|_\infty \le "
        r"\gamma^h\|v - V_\pi\|_\infty",
        check=Check(fading_gap, instances(mdp=_CHOICES, **_POLICIES, steps=_STEPS)),
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="model-simulation",
        title="what a wrong model costs: the simulation lemma for regularised values",
        source="ours; after Kearns and Singh 2002",
        statement=r"|V_{\hat P} - V_P| \le \frac{\max_h|\hat r - r| + \gamma\max_h TV(\hat P, P)\,(\max V - \min V)}{1-\gamma},\quad "
        r"V = V_P \text{ or } V_{\hat P}",
        check=Check(
            simulation_gap,
            instances(
                mdp=_CHOICES,
                pi=policies,
                prior=policies,
                alpha=_TEMPERATURES,
                noise=st.sampled_from((0.5, 0.25, 1.0, 0.0)),
                seed=st.integers(0, 9),
                bias=st.sampled_from((0.0, 1.0)),
            ),
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=NoProof("two MDPs, of which an instance of a certificate holds one"),
    ),
    Claim(
        id="model-prior-rollouts",
        title="rollouts that follow the prior at a KL of 0 estimate its plain values, a lower bound",
        source="ours, on a public implementation of the model-based cells of Marino et al.",
        statement=r"\hat Q = r + \gamma P V^p = Q^p \le Q_\pi,\quad V^p \le \alpha\log E_p[e^{Q^p/\alpha}] \le V_\pi,\quad "
        r"\pi \propto p\,e^{Q^p/\alpha}",
        check=Check(rollout_gap, instances(mdp=_CHOICES, prior=policies, alpha=_TEMPERATURES, steps=_STEPS)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "E-step's policy",
                r"$\pi$ is the posterior of $Q^p$: another policy can be worth less than the prior",
                without=Check(
                    rollout_gap,
                    instances(mdp=_MDPS, prior=policies, alpha=_TEMPERATURES, steps=_STEPS, pi=policies),
                ),
            ),
            Assumption(
                "values of the prior",
                r"read as an estimate of (9)'s $Q_\pi$, with that $\pi$, it is false",
                without=Check(
                    not_q_pi_gap, instances(mdp=_MDPS, prior=policies, alpha=_TEMPERATURES, steps=_STEPS)
                ),
            ),
        ),
        printed=False,
    ),
)
