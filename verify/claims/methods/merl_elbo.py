r"""Claim on the talk's slide "Maximum Entropy RL Objective": its ELBO and the posterior that it belongs to.

Slides before it: $p(O|\tau) = \exp(R(\tau))$, so that $p(\tau|O) \propto \exp(R)p(\tau)$ with a uniform prior over
actions. The ELBO's second form weights entropies with a temperature c, its first form has none.

Both sides: the divergence by its definition over all trajectories; return and entropies by dynamic programming.
Bound:  rounding. n trajectories, logarithms of size at most B = N (max|r|/min(1, c) + log 16) + log n, and
        entropies times c: as in `reverse_kl.py`, times 1 + c.
Teeth:  `perturb` adds a nat to one side.
"""

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims import recorded
from verify.claims.methods.pseudo_likelihood import episodes
from verify.claims.methods.reverse_kl import rounding
from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import instances, mdps, policies, temperatures
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import expected_episode_return


def printed_gap(*, mdp: TabularMDP, pi: Array, c: float, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of the slide: change of `KL(q || p(tau|O)) + L` between a policy and the uniform one, zero as printed.

    p(tau|O) is that of p(O|tau) = exp(R); L is the second form, with the temperature c.
    """
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    sums = [
        _divergence(mdp, policy, 1.0, horizon)[0] + _second_form(mdp, policy, c, horizon)
        for policy in (pi, uniform)
    ]
    return Gap(abs(sums[0] - sums[1]) + perturb, _bound(mdp, pi, c, horizon))


def corrected_gap(*, mdp: TabularMDP, pi: Array, c: float, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of `c KL(q || p(tau|O)) + L = c log Z + c N log A` for p(O|tau) = exp(R/c), zero."""
    kl, log_z = _divergence(mdp, pi, c, horizon)
    right = c * (log_z + horizon * np.log(mdp.n_actions))
    return Gap(abs(c * kl + _second_form(mdp, pi, c, horizon) - right) + perturb, _bound(mdp, pi, c, horizon))


def _divergence(mdp: TabularMDP, pi: Array, c: float, horizon: int) -> tuple[float, float]:
    """`KL(q || p(tau|O))` and log Z, for the posterior `exp(R/c) p(tau)/Z`; p(tau) has uniform actions."""
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    log_q, _ = episodes(mdp, pi, horizon)
    log_prior, returns = episodes(mdp, uniform, horizon)
    log_joint = log_prior + returns / c
    log_z = float(logsumexp(log_joint))
    return float(np.exp(log_q) @ (log_q - (log_joint - log_z))), log_z


def _second_form(mdp: TabularMDP, pi: Array, c: float, horizon: int) -> float:
    """`E_q[sum r] + c sum_i E[H(pi(.|s_i))]` over N steps."""
    chain = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    entropies, d = -(pi * np.log(pi)).sum(axis=1), mdp.initial
    total = 0.0
    for _ in range(horizon):
        total, d = total + float(d @ entropies), d @ chain
    return expected_episode_return(mdp, pi=pi, horizon=horizon) + c * total


def _bound(mdp: TabularMDP, pi: Array, c: float, horizon: int) -> float:
    return (1 + c) * rounding(mdp, horizon, len(episodes(mdp, pi, horizon)[0]), c)


_EPISODES = instances(
    mdp=mdps(max_states=2, max_actions=2), pi=policies, c=temperatures(), horizon=st.integers(1, 3)
)

CLAIMS = (
    Claim(
        id="talk-merl-elbo",
        title="The MERL objective is the ELBO of exp(R)",
        source="Talk, Maximum Entropy RL Objective",
        statement=r"\arg_\theta\min KL(q_\theta(\tau) \| p(\tau|O)) = \arg_\theta\max\mathcal L(\theta),\quad \mathcal L(\theta) ="
        r" E_{q_\theta(\tau)}[\textstyle\sum_i r_i] + c\sum_i E[\mathcal H(\pi_\theta(\cdot|s_i))]",
        reading=r"$p(\tau|O) \propto \exp(R_N)p(\tau)$, as on the slides before, and $\mathcal L$ is minus the KL up to a constant, as an ELBO is.",
        check=Check(
            printed_gap,
            _EPISODES,
            recorded={
                "mdp": recorded.one_state(0.0, -1.0, gamma=0.0),
                "pi": recorded.table(0.75, 0.25),
                "c": 2.0,
                "horizon": 1,
            },
        ),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"p(O|\tau) = \exp(R_N/c):\quad c\,KL(q_\theta(\tau) \| p(\tau|O)) = c\log Z + cN\log|A| - \mathcal L(\theta)",
            derivation=r"""With $p(O|\tau) = \exp(R_N)$ the ELBO is $E_q[\sum_i(r_i - \log\pi_\theta(a_i|s_i))] - N\log|A|$: the first form, without c. The second
form is it at c = 1 only. One state, rewards (0, -1), one step: the least KL is at $\pi = (0.731, 0.269)$, and the second form is largest
at $(0.622, 0.378)$ for c = 2. With $\exp(R_N/c)$ insert the definitions: $KL = E_q[\log q_\theta - \log p] - E_q[R_N]/c + \log Z$, where the
dynamics cancel and the prior over actions is $|A|^{-N}$.""",
            check=Check(corrected_gap, _EPISODES),
        ),
        not_certified=NoProof("one line of algebra over the trajectories that other certificates enumerate"),
    ),
)
