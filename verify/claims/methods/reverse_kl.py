"""Claim on the talk and the poster: "Classic RL optimises the reverse (mode-seeking) form of KL divergence".

Read: as functions of theta, KL(p_theta(tau) || q(tau)) with q(tau) proportional to exp(R(tau)) is minus the expected
return, up to a constant. There is the entropy of the trajectories besides: it is the talk's own MERL objective.

Both sides: the divergence by its definition over all trajectories; the return by dynamic programming.
Bound:  rounding, as in `pseudo_likelihood.py`: n trajectories, logarithms of size at most B = 3 + N (max|r| + log 16).
Teeth:  `perturb` adds a nat to one side.
"""

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims import recorded
from verify.claims.methods.pseudo_likelihood import episodes
from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import expected_episode_return


def _divergence(mdp: TabularMDP, pi: Array, horizon: int) -> tuple[float, float, float, int]:
    """`KL(p_theta || q)`, the entropy of p_theta, log Z of `q = exp(R)/Z`, and the number of trajectories."""
    log_p, returns = episodes(mdp, pi, horizon)
    log_z, p = float(logsumexp(returns)), np.exp(log_p)
    return float(p @ (log_p - (returns - log_z))), -float(p @ log_p), log_z, len(p)


def printed_gap(*, mdp: TabularMDP, pi: Array, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of the slide: change of KL plus return between a policy and the uniform one; zero as printed."""
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    sums = [
        _divergence(mdp, policy, horizon)[0] + expected_episode_return(mdp, pi=policy, horizon=horizon)
        for policy in (pi, uniform)
    ]
    n = _divergence(mdp, pi, horizon)[3]
    return Gap(abs(sums[0] - sums[1]) + perturb, rounding(mdp, horizon, n))


def corrected_gap(*, mdp: TabularMDP, pi: Array, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of the identity `KL(p_theta || q) = log Z - J - H(p_theta)`, zero."""
    kl, entropy, log_z, n = _divergence(mdp, pi, horizon)
    right = log_z - expected_episode_return(mdp, pi=pi, horizon=horizon) - entropy + perturb
    return Gap(abs(kl - right), rounding(mdp, horizon, n))


def rounding(mdp: TabularMDP, horizon: int, n_paths: int, c: float = 1.0) -> float:
    """Bound of the module docstring, for rewards that are also divided by c."""
    size = 4 + horizon * (float(np.abs(mdp.reward).max()) / min(1.0, c) + np.log(16)) + np.log(n_paths)
    return float(64 * (horizon * (mdp.n_states + mdp.n_actions + 8) + n_paths) * U * size)


_EPISODES = instances(mdp=mdps(max_states=2, max_actions=2), pi=policies, horizon=st.integers(1, 3))

CLAIMS = (
    Claim(
        id="talk-reverse-kl",
        title="Classic RL optimises the reverse KL",
        source="Talk, Critical Problem with Pseudo-Likelihood; poster",
        statement=r"\text{Classic RL optimises the reverse (mode-seeking) form of KL divergence: } KL(p_\theta(\tau|O) \| q(\tau))",
        reading=r"$p_\theta(\tau)$, the distribution containing the policy, against q proportional to exponential return: its KL is"
        r" $-J(\theta)$ up to a constant. With $p_\theta(\tau|O)$ as printed, the least KL is at the uniform policy.",
        check=Check(
            printed_gap,
            _EPISODES,
            recorded={
                "mdp": recorded.one_state(0.0, -1.0, gamma=0.0),
                "pi": recorded.table(0.75, 0.25),
                "horizon": 1,
            },
        ),
        expected=Verdict.REFUTED,
        weight=Weight.REMARK,
        correction=Correction(
            statement=r"KL(p_\theta(\tau) \| q(\tau)) = \log Z - J(\theta) - \mathcal H(p_\theta(\tau)),\quad q(\tau) = \exp(R(\tau))/Z",
            derivation=r"Insert q. The entropy makes it a soft objective, with deterministic dynamics the talk's own MERL objective some slides"
            r" later. One state, rewards (0, -1), one step: the least KL is at $\pi = (0.731, 0.269)$, the largest return at $(1, 0)$.",
            check=Check(corrected_gap, _EPISODES),
        ),
        not_certified=NoProof("one line of algebra over the trajectories that other certificates enumerate"),
    ),
)
