"""Claims on Marino, Piche and Yue, "On the Design of Variational RL Algorithms": (5)-(12) on finite MDPs.

The horizon is T = 2, undiscounted as printed.

Both sides: sums over all trajectories s1 a1 s2 a2 (their probabilities multiplied out), against sums over
        time steps and states.
Bound:  rounding. There are at most n trajectories, each term a product of five factors and a sum of T
        rewards and log-ratios of size B = 1 + max|R|/alpha + max|log-ratio|: 16 (n + 16) u max(1, alpha) B,
        u = 2.2e-16.
        KL of whole paths have logarithms of the dynamics too, above log(1/64) in size.
Teeth:  `perturb` is added to one side, or changes the temperature of the posterior.
"""

from typing import Any

import numpy as np
from scipy.special import logsumexp, xlogy

from verify.claims.methods.design_objective import (
    mean_over,
    objective,
    per_step_objective,
    soft_q,
    trajectories,
)
from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import instances, mdps, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP


def gap_5_printed(*, mdp: TabularMDP, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (5), a path's probability, as printed without rho(s1): its sum minus 1, zero."""
    mass = np.einsum("sa,sat,tu->", pi, mdp.dense_transition, pi) + perturb
    return Gap(abs(mass - 1), 64 * mdp.n_states**2 * mdp.n_actions**2 * U)


def gap_5(*, mdp: TabularMDP, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (5), a path's probability, corrected by rho(s1): its sum minus 1, zero."""
    return Gap(
        abs(float(np.exp(trajectories(mdp, pi).log_prob).sum()) + perturb - 1),
        64 * mdp.n_states**2 * mdp.n_actions**2 * U,
    )


def gap_6(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (6): log-evidence minus their bound J minus `alpha KL(pi(tau|O) || p(tau|O = 1))`.

    It is zero, and the KL is at least 0. The likelihood is p(O = 1 | tau) = exp(R/alpha); a constant factor of it
    shifts both sides. The KL is that of whole paths, dynamics included.
    """
    path, reference = trajectories(mdp, pi), trajectories(mdp, prior)
    scores = reference.log_prob + reference.total / alpha
    log_evidence = float(logsumexp(scores))
    on = np.isfinite(path.log_prob)
    kl = float(np.sum(np.exp(path.log_prob[on]) * (path.log_prob[on] - scores[on] + log_evidence)))
    error = alpha * log_evidence - objective(mdp, pi, prior, alpha) - alpha * kl + 1e3 * perturb
    bound = _bound(mdp, alpha, pi, prior)
    return worst(Gap(abs(error), bound), Gap(-alpha * kl, bound))


def gap_7(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (7): the objective J over time steps minus J over trajectories (6), zero."""
    right = per_step_objective(mdp, pi, mdp.reward - alpha * np.log(pi / prior)) + perturb
    return Gap(abs(objective(mdp, pi, prior, alpha) - right), _bound(mdp, alpha, pi, prior))


def gap_10_printed(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (10) with V as printed in (8): `V - (E_pi[Q] - alpha KL(pi || prior))`, zero.

    The printed sum starts at t + 1, so at t = 1 it holds only the term of step 2.
    """
    v_2 = np.sum(pi * (mdp.reward - alpha * np.log(pi / prior)), axis=1)
    v_printed = np.einsum("sa,sat,t->s", pi, mdp.dense_transition, v_2)
    return _gap_10(mdp, pi, prior, alpha, v_printed + perturb)


def gap_10(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (10) corrected, V summed from t on: `V - (E_pi[Q] - alpha KL(pi || prior))`."""
    term = mdp.reward - alpha * np.log(pi / prior)
    v = np.sum(pi * term, axis=1) + np.einsum("sa,sat,tu,tu->s", pi, mdp.dense_transition, pi, term)
    return _gap_10(mdp, pi, prior, alpha, v + perturb)


def _gap_10(mdp: TabularMDP, pi: Array, prior: Array, alpha: float, v: Array) -> Gap:
    right = np.sum(pi * soft_q(mdp, pi, prior, alpha), axis=1) - alpha * np.sum(
        pi * np.log(pi / prior), axis=1
    )
    return Gap(np.abs(v - right).max(), _bound(mdp, alpha, pi, prior))


def gap_11(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (11): J (6) of their posterior pi^B minus the maximum of J, zero; no J is above it.

    Q_pi in (11) is that of pi^B itself, by (9), plus a function of the state: at the last step it is the reward, one
    step earlier what pi^B gains from then on; added is the reward of each state's first action. The maximum is that of a regularised MDP, by `V = alpha log E_p[exp(Q/alpha)]` backwards. `pi`
    and every mixture of it with pi^B, one step at a time, must not exceed it.
    """
    last = _boltzmann(prior, mdp.reward, alpha)
    gain = np.sum(last * mdp.reward - alpha * xlogy(last, last / prior), axis=1)
    q = mdp.reward + mdp.dense_transition @ gain + mdp.reward[:, :1]
    first = _boltzmann(prior, q, alpha * (1 + perturb))
    v_2 = alpha * logsumexp(mdp.reward / alpha, b=prior, axis=1)
    v_1 = alpha * logsumexp((mdp.reward + mdp.dense_transition @ v_2) / alpha, b=prior, axis=1)
    maximum, bound = float(mdp.initial @ v_1), 2 * _bound(mdp, alpha, pi, prior)
    best = objective(mdp, first, prior, alpha, second=last) - 1e-3 * perturb
    others = [objective(mdp, a, prior, alpha, second=b) for a, b in ((pi, pi), (first, pi), (pi, last))]
    return worst(Gap(abs(best - maximum), bound), Gap(max(others) - maximum, bound))


def gap_11_any_q(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (11) with Q_pi of another policy: J of the posterior minus its maximum, to be 0.

    The last step is pi^B's either way; the first uses (9) for the policy `pi`.
    """
    last = _boltzmann(prior, mdp.reward, alpha)
    first = _boltzmann(prior, soft_q(mdp, pi, prior, alpha), alpha)
    v_2 = alpha * logsumexp(mdp.reward / alpha, b=prior, axis=1)
    v_1 = alpha * logsumexp((mdp.reward + mdp.dense_transition @ v_2) / alpha, b=prior, axis=1)
    error = float(mdp.initial @ v_1) - objective(mdp, first, prior, alpha, second=last)
    return Gap(abs(error) + perturb, 2 * _bound(mdp, alpha, pi, prior))


def _boltzmann(prior: Array, q: Array, alpha: float) -> Array:
    """Boltzmann posterior (11) of Marino et al., `p(a|s) exp(Q/alpha)` over its sum, in log space."""
    log_weights = np.log(prior) + q / alpha
    out: Array = np.exp(log_weights - logsumexp(log_weights, axis=1, keepdims=True))
    return out


def gap_12_printed(*, mdp: TabularMDP, pi: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (12) as printed: change of `E[R] + alpha H(pi(tau)) - J` between two policies.

    J is their (6). The policies are `pi` and the uniform one; the prior is uniform. If (12) holds up to a
    constant, the two differences are equal.
    """
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    constants = [
        mean_over(path, path.total - alpha * path.log_prob) - objective(mdp, policy, uniform, alpha)
        for policy in (pi, uniform)
        for path in [trajectories(mdp, policy)]
    ]
    bound = _bound(mdp, alpha, pi, uniform) + _bound(mdp, alpha, uniform, uniform)
    return Gap(abs(constants[0] - constants[1] + perturb), bound)


def gap_12(*, mdp: TabularMDP, pi: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (12) corrected: `J + 2 alpha log A - (E[R] + alpha sum_t E[H(pi(.|s_t))])`.

    J is their (6). The entropies are those of the policy alone.
    """
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    left = objective(mdp, pi, uniform, alpha) + 2 * alpha * np.log(mdp.n_actions)
    right = per_step_objective(mdp, pi, mdp.reward - alpha * np.log(pi)) + perturb
    return Gap(abs(left - right), _bound(mdp, alpha, pi, uniform))


def _bound(mdp: TabularMDP, alpha: float, pi: Array, prior: Array) -> float:
    size = (
        1
        + 2 * np.abs(mdp.reward).max() / alpha
        + 2 * np.abs(np.log(pi)).max()
        + 2 * np.abs(np.log(prior)).max()
        + 2 * np.log(64)
    )
    return float(16 * (mdp.n_pairs**2 + 16) * U * max(1.0, alpha) * size * max(1.0, alpha))


_SMALL = mdps(max_states=2, max_actions=2)
_PI = instances(mdp=_SMALL, pi=policies)
_PI_ALPHA = instances(mdp=_SMALL, pi=policies, alpha=temperatures())
_PI_PRIOR = instances(mdp=_SMALL, pi=policies, prior=policies, alpha=temperatures())


def _holds(claim_id: str, title: str, number: str, statement: str, gap: Any) -> Claim:
    return Claim(
        claim_id, title, f"Marino et al., Eq. {number}", statement, Check(gap, _PI_PRIOR), Verdict.HOLDS
    )


EPISODES = "Episodes of two steps, without a discount: that of the MDP plays no part."

_FORK = {
    "mdp": TabularMDP(
        np.array([[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]] * 2, [[0.0, 0.0, 1.0]] * 2]),
        np.array([[0.0, 0.0], [3.0, -3.0], [1.0, 1.0]]),
        0.0,
        initial=np.array([1.0, 0.0, 0.0]),
    ),
    "pi": np.full((3, 2), 0.5),
    "prior": np.full((3, 2), 0.5),
    "alpha": 1.0,
}
"""Two steps: from s0 one action leads to the rewards (3, -3), the other to (1, 1). The horizon ends the path."""

CLAIMS = (
    Claim(
        id="design-05",
        title="the structured posterior is a distribution",
        source="Marino et al., Eq. (5)",
        statement=r"\pi(\tau|O) = \prod_{t=1}^T p_{env}(s_{t+1}|s_t,a_t)\,\pi(a_t|s_t,O)",
        reading=EPISODES,
        check=Check(gap_5_printed, _PI),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"\pi(\tau|O) = \rho(s_1)\prod_{t=1}^T p_{env}(s_{t+1}|s_t,a_t)\,\pi(a_t|s_t,O)",
            derivation=r"Summed over trajectories the printed product is $|S|$, one for each free start state. Their (1) has the factor $\rho(s_1)$.",
            check=Check(gap_5, _PI),
        ),
    ),
    _holds(
        "design-06",
        "the variational bound",
        "(6)",
        r"\alpha\log p(O=1) \ge \mathcal J = E_\pi[R(\tau)] - \alpha KL(\pi(\tau|O)\|p(\tau))",
        gap_6,
    ),
    _holds(
        "design-07",
        "the bound step by step",
        "(7)",
        r"\mathcal J = E\Big[\sum_t r_t - \alpha\log\frac{\pi(a_t|s_t,O)}{p_\theta(a_t|s_t)}\Big]",
        gap_7,
    ),
    Claim(
        id="design-10",
        title="soft values (8), (9) and their relation (10)",
        source="Marino et al., Eqs. (8)-(10)",
        statement=r"V_\pi(s_t) = E\Big[\sum_{t'=t+1}^T r_{t'} - \alpha\log\frac{\pi}{p_\theta}\Big],\quad V_\pi(s_t) = E_\pi[Q_\pi(s_t,a_t)] - \alpha KL(\pi\|p_\theta),\quad "
        r"Q_\pi(s_t,a_t) = r_t + E\Big[\sum_{t'=t+1}^T r_{t'} - \alpha\log\frac{\pi}{p_\theta}\Big]",
        reading=EPISODES,
        check=Check(gap_10_printed, _PI_PRIOR),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"V_\pi(s_t) = E\Big[\sum_{t'=t}^T r_{t'} - \alpha\log\frac{\pi(a_{t'}|s_{t'},O)}{p_\theta(a_{t'}|s_{t'})}\Big]",
            derivation=r"(9) adds $r_t$ to the sum from $t+1$; averaging it over $a_t$ and subtracting $\alpha KL$ adds the whole step $t$. So the sum of (8) must start at $t$.",
            check=Check(gap_10, _PI_PRIOR),
        ),
    ),
    Claim(
        id="design-11",
        title="the optimal approximate posterior is a Boltzmann distribution at Q_pi",
        source="Marino et al., Eq. (11)",
        statement=r"\text{the optimal approximate posterior is a Boltzmann distribution:}\quad"
        r" \pi^B(a|s,O) = \frac{p_\theta(a|s)\exp(Q_\pi(s,a)/\alpha)}{\int p_\theta(a|s)\exp(Q_\pi(s,a)/\alpha)da}",
        reading=r"Optimal means that it maximises $\mathcal J$ of (6), and $\pi$ is any policy: (11) does not say whose values $Q_\pi$"
        r" are. Read with those of $\pi^B$ itself it holds, as the corrected form says. " + EPISODES,
        check=Check(gap_11_any_q, _PI_PRIOR, recorded=_FORK),
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        correction=Correction(
            statement=r"Q_\pi = Q_{\pi^B} \text{ up to a function of } s_t \implies \pi^B \text{ maximises } \mathcal J",
            derivation=r"(11) is the best posterior for one step, with the values of later steps fixed. From $s_0$ one action leads to the"
            r" rewards (3, -3), the other to (1, 1); $\alpha = 1$, uniform prior. Under the uniform $\pi$, $Q_\pi = (0, 1)$, and (11) gives the"
            r" first action 0.269 ($\mathcal J = 1.24$); the soft values are (2.31, 1), which give 0.787 ($\mathcal J = 1.86$, the largest)."
            r" With $Q_{\pi^B}$, (11) is a recursion backwards in time, and each step of it maximises. What $Q_\pi$ has beside it at a state"
            r" alone cancels in (11): where both actions of $s_0$ lead to (3, -3), $Q_\pi$ of the uniform policy is off by a constant, and"
            r" (11) is the optimum all the same.",
            check=Check(gap_11, _PI_PRIOR),
        ),
        not_certified=NoProof("a maximum over the policies of two steps"),
    ),
    Claim(
        id="design-12",
        title="maximum-entropy form for a uniform prior",
        source="Marino et al., Eq. (12)",
        statement=r"\mathcal J(\pi,\theta) = E_\pi[R(\tau)] + \alpha\mathcal H(\pi(\tau|O))",
        reading=r"Up to a constant in $\pi$, as the uniform prior is dropped. " + EPISODES,
        check=Check(gap_12_printed, _PI_ALPHA),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"\mathcal J(\pi,\theta) + \alpha T\log|A| = E_\pi[R(\tau)] + \alpha\sum_t E[\mathcal H(\pi(\cdot|s_t,O))]",
            derivation=r"The entropy of whole trajectories, $\mathcal H(\pi(\tau|O))$, also counts the dynamics, $-E[\log\rho(s_1)] - \sum_t E[\log p_{env}]$, which depends on $\pi$ through the states visited; "
            r"in (6) the dynamics cancel against those of $p(\tau)$. The printed form is right up to a constant where every pair's successor has the same entropy, as in deterministic dynamics.",
            check=Check(gap_12, _PI_ALPHA),
        ),
    ),
)
