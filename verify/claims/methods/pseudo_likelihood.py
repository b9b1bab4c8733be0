"""Claims on pseudo-likelihood methods: the evidence is a mean exponential return; fitting it seeks risk.

Both sides: dynamic programming in log space (`virel_theory.methods.pseudo_likelihood`) against, in this
        file, every trajectory enumerated; and the two-armed MDP s0 -safe-> (reward m), s0 -lottery->
        (reward R with probability p, else 0), with R subtracted from every reward: the talk has r <= 0, so
        that exp(r) is a probability.
Fit:    The M-step of EM maximises E_q[log p_theta(tau, O)], where p(O|tau) has no theta: it minimises KL(q(tau)
        || p_theta(tau)), by matching moments. With w = E[exp(R_lottery/c)] then pi_theta(lottery) = w/(w +
        exp(R_safe/c)) from a uniform policy: above 1/2 iff R_safe < c log w, which by Jensen exceeds the mean.
        Repeated, the steps tend to the maximiser of the evidence, which always plays.
Bound:  rounding. N steps of S + A terms; logarithms of size at most B = N max|r|/c + N log(16)
        (probabilities of the strategies are above 1/16 per factor, that of a start above 1/18): 16 N (S + A + 8) u
        (4 + B). Times c in reward units. The lottery: two logarithms of size R/c + 2, so e = 64 u (1 + R/c) on a probability,
        64 u R on a return. "More than half" is strict: the probability must exceed 1/2 by e.
Teeth:  `perturb` adds a nat; subtracts a nat; takes the probability of the other arm.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.methods import risk_figure
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import (
    expected_episode_return,
    pseudo_log_likelihood,
    pseudo_optimal_policy,
    pseudo_posterior_policy,
)


def marginal_gap(*, mdp: TabularMDP, pi: Array, c: float, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of the log-evidence by dynamic programming: minus log sum_tau p(tau) exp(R(tau)/c), zero."""
    log_p, returns = episodes(mdp, pi, horizon)
    scores = log_p + returns / c
    top = scores.max()
    right = top + np.log(np.exp(scores - top).sum())
    left = pseudo_log_likelihood(mdp, pi=pi, c=c, horizon=horizon) + perturb
    return Gap(abs(left - right), _bound(mdp, c, horizon) + len(log_p) * U)


def jensen_gap(*, mdp: TabularMDP, pi: Array, c: float, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of Jensen's inequality with its slack: distance of `c log E[exp(R/c)] - E[R]` from two bounds.

    With x = (R - E[R])/c in an interval of length w, e^x >= 1 + x + x^2 e^-w / 2 gives the lower one, c log(1 + Var(x)
    e^-w / 2), above 0 where the return is random; the upper one is c w^2 / 8 (Hoeffding's lemma). Moments come
    from all trajectories.
    """
    mean = expected_episode_return(mdp, pi=pi, horizon=horizon)
    equivalent = c * (pseudo_log_likelihood(mdp, pi=pi, c=c, horizon=horizon) - perturb)
    log_p, returns = episodes(mdp, pi, horizon)
    p, returns = np.exp(log_p), returns / c
    centred = returns - p @ returns
    width = float(np.ptp(returns))
    least, most = c * np.log1p(p @ centred**2 * np.exp(-width) / 2), c * width**2 / 8
    bound = c * _bound(mdp, c, horizon) + c * len(p) * U * (1 + width**2)
    slack = equivalent - mean
    return worst(Gap(least - slack, bound), Gap(slack - most, bound))


def printed_risk_gap(*, p: float, prize: float, c: float, share: float, perturb: float = 0.0) -> Gap:
    """Gap of the VIREL talk's printed risk claim: slope of the fit's KL at P(lottery) = 1/2, to be negative.

    The KL is KL(q(tau) || p_theta(tau|O)). q is the posterior of the uniform policy. Within an arm
    p_theta(tau|O) has no theta, so up to a constant the KL is -q_1 log x - (1 - q_1) log(1 - x), where q_1
    and x are the lottery's chance under q and p_theta(.|O). The odds of x are those of theta times
    E[exp(R/c)] of the lottery over exp(safe/c). In their logarithm the KL is strictly convex, of slope x -
    q_1. So the minimiser is above theta = 1/2 exactly if the slope is negative there.
    """
    mdp, equivalent, safe = _lottery(p, prize, c, share)
    q = pseudo_posterior_policy(mdp, prior=np.full((4, 2), 0.5), c=c, horizon=2)
    x = 1 / (1 + np.exp((safe - equivalent) / c))
    return Gap(x - float(q[0, 0, 1]) + perturb, -64 * U * (1 + prize / c))


def risk_gap(*, p: float, prize: float, c: float, share: float, perturb: float = 0.0) -> Gap:
    """Gap of the VIREL talk's corrected risk claim: P(lottery of lower mean) > 1/2 by the fit, 1 by EM.

    The fit, that of p_theta(tau), gives the lottery over half of the probability. EM stands for the maximiser
    of the evidence and gives it all.
    """
    mdp, _, _ = _lottery(p, prize, c, share)
    left, right = np.tile([1.0, 0.0], (4, 1)), np.tile([0.0, 1.0], (4, 1))
    gain = expected_episode_return(mdp, pi=right, horizon=2) - expected_episode_return(
        mdp, pi=left, horizon=2
    )
    fitted = float(pseudo_posterior_policy(mdp, prior=np.full((4, 2), 0.5), c=c, horizon=2)[0, 0, 1])
    fitted += perturb * (1 - 2 * fitted)
    chosen = float(pseudo_optimal_policy(mdp, c=c, horizon=2)[0, 0, 1])
    above = Gap(0.5 - fitted, -64 * U * (1 + prize / c))
    return worst(Gap(gain, -64 * U * prize), above, Gap(1 - chosen, 0.0))


def _lottery(p: float, prize: float, c: float, share: float) -> tuple[TabularMDP, float, float]:
    """Two-armed MDP, its lottery's certainty equivalent, and the safe reward between mean and that."""
    mean, equivalent = p * prize, c * np.log1p(p * np.expm1(prize / c))
    safe = mean + share * (equivalent - mean)
    return two_armed(safe=safe, p=p, prize=prize, offset=prize), equivalent, safe


def two_armed(*, safe: float, p: float, prize: float, offset: float = 0.0) -> TabularMDP:
    """Two-armed MDP: action 0 leads from state 0 to state 1 (safe), action 1 to 2 or 3 (lottery).

    State 1 is worth `safe`, state 2 `prize`, state 3 nothing. `offset` is subtracted from all three, which
    changes no posterior and no difference of returns.
    """
    transition = np.repeat(np.eye(4)[:, None, :], 2, axis=1)
    transition[0] = np.array([[0, 1, 0, 0], [0, 0, p, 1 - p]])
    reward = np.repeat(np.array([[0.0], [safe - offset], [prize - offset], [-offset]]), 2, axis=1)
    return TabularMDP(transition, reward, 0.0, initial=np.eye(4)[0])


def episodes(mdp: TabularMDP, pi: Array, steps: int) -> tuple[Array, Array]:
    """`log p(tau)` and R(tau) of all trajectories of `steps` decisions from a start, `[n]` each."""
    found = [
        (np.log(p_0) + log_p, total)
        for s, p_0 in enumerate(mdp.initial)
        if p_0 > 0
        for log_p, total in trajectories(mdp, pi, s, steps)
    ]
    log_p, returns = np.array(found).T
    return log_p, returns


def trajectories(mdp: TabularMDP, pi: Array, s: int, steps: int) -> list[tuple[float, float]]:
    """All trajectories of `steps` decisions from s with positive probability, as `(log p(tau|s), R(tau))`."""
    if steps == 0:
        return [(0.0, 0.0)]
    dense: Any = mdp.dense_transition
    return [
        (np.log(pi[s, a]) + np.log(dense[s, a, t]) + log_p, mdp.reward[s, a] + rest)
        for a in range(mdp.n_actions)
        for t in range(mdp.n_states)
        if pi[s, a] > 0 and dense[s, a, t] > 0
        for log_p, rest in trajectories(mdp, pi, t, steps - 1)
    ]


def _bound(mdp: TabularMDP, c: float, horizon: int) -> float:
    size = 4 + horizon * (float(np.abs(mdp.reward).max()) / c + np.log(16))
    return float(16 * horizon * (mdp.n_states + mdp.n_actions + 8) * U * size)


_SMALL = mdps(max_states=3, max_actions=2)
_EPISODES = instances(mdp=_SMALL, pi=policies, c=temperatures(), horizon=st.integers(1, 3))
_LOTTERIES = st.fixed_dictionaries(
    {
        "p": st.sampled_from((0.5, 0.25, 0.75)),
        "prize": st.integers(1, 8).map(float),
        "c": st.sampled_from((1.0, 0.5, 2.0, 4.0)),
        "share": st.sampled_from((0.5, 0.25, 0.75)),
    }
)

_PREFERENCE = (
    r"E[R_{lottery}] < R_{safe} < c\log E[\exp(R_{lottery}/c)] \Rightarrow \pi_\theta(lottery) > 1/2"
)
CLAIMS = (
    Claim(
        id="pseudo-likelihood-marginal",
        title="evidence of optimality as expected exponential return",
        source="Talk, Pseudo-Likelihood Methods",
        statement=r"p_\theta(O) = E_{p_\theta(\tau)}\Big[\exp\Big(\sum_{i=0}^{N-1} r_i\Big)\Big]",
        check=Check(marginal_gap, _EPISODES),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="pseudo-likelihood-jensen",
        title="exponential utility values every random return above its mean",
        source="ours, beside talk and poster, pseudo-likelihood",
        statement=r"c \log E_{p_\theta(\tau)}[\exp(R(\tau)/c)] \ge E_{p_\theta(\tau)}[R(\tau)]",
        check=Check(jensen_gap, _EPISODES),
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="pseudo-likelihood-risk-seeking",
        title="forward KL prefers a lottery with the lower mean",
        source="ours, beside the talk's Critical Problem with Pseudo-Likelihood",
        statement=r"q(\tau) = p_{\theta_k}(\tau|O),\ \theta = \arg\min_\theta KL(q(\tau) \| p_\theta(\tau)) \text{, from }"
        rf" \text{{uniform }} \pi_{{\theta_k}}\text{{: }} {_PREFERENCE}",
        check=Check(risk_gap, _LOTTERIES),
        expected=Verdict.HOLDS,
        printed=False,
        assumptions=(
            Assumption(
                "intended-kl",
                r"the KL to $p_\theta(\tau)$, which the M-step of EM minimises; talk and poster print $KL(q(\tau) \| p_\theta(\tau|O))$,"
                r" which is least at $\theta = \theta_k$",
                without=Check(printed_risk_gap, _LOTTERIES),
            ),
        ),
        figures=lambda seed: risk_figure.figures(seed, two_armed),
    ),
)
