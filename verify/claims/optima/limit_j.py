"""Claims on the VIREL talk's limit of `eps L`: its first equality holds; its second takes Q* for Q^pi.

Both sides: `virel_theory.objective.elbo` at Q_omega = Q* and d = p_0, against dense solves in this file.
Bound:  eps log A, the most that the entropy adds, and rounding. Policy values and Q* (the best of all
        deterministic policies, enumerated) come from dense solves of condition (1 + gamma)/(1 - gamma): 256
        S u (1 + max|r|)/(1 - gamma)^2, and one more power of 1 - gamma for the visits. Written down before
        the first run.
Teeth:  `perturb` adds 1 to one side.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from verify.claims import recorded
from verify.engine.claim import Check, Claim, Correction, Step
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo

_GAMMAS = st.sampled_from((0.5, 0.0, 0.75, 0.9))
_SMALL = mdps(max_states=3, gammas=_GAMMAS)
_TWO_ACTIONS = mdps(max_states=2, max_actions=2, gammas=_GAMMAS)  # enough to refute, and to check by hand


def talk_limit_gap(
    *, mdp: TabularMDP, pi_theta: Array, eps: float, printed: bool = True, perturb: float = 0.0
) -> Gap:
    """Gap of the VIREL talk's limit of `eps L` at Q*, d = p_0: `eps L` minus J(theta) as printed, or `E[Q*]`.

    E[Q*] is over d pi_theta. Both are to hold within eps log A and rounding.
    """
    v_star = np.max([_values(mdp, np.eye(mdp.n_actions)[list(a)]) for a in _deterministic(mdp)], axis=0)
    q_star = mdp.reward + mdp.gamma * mdp.dense_transition @ v_star
    left = eps * elbo(q_star, pi_theta=pi_theta, d=mdp.initial, eps=eps) + perturb
    expected = float(mdp.initial @ (pi_theta * q_star).sum(axis=1))
    right = float(mdp.initial @ _values(mdp, pi_theta)) if printed else expected
    noise = 256 * mdp.n_states * U * (1 + np.abs(mdp.reward).max()) / (1 - mdp.gamma) ** 2
    return Gap(abs(left - right), eps * math.log(mdp.n_actions) + noise)


def talk_difference_gap(*, mdp: TabularMDP, pi_theta: Array, perturb: float = 0.0) -> Gap:
    r"""Gap of the VIREL talk's limit corrected: `E[Q*] - J` minus discounted suboptimalities from step 1 on.

    The sum is $\sum_{t\ge1}\gamma^t E_\pi[V^*(s_t) - Q^*(s_t,a_t)]$, by a solve with the transposed chain;
    E[Q*] is over $p_0\pi$.
    """
    dense = mdp.dense_transition
    v_star = np.max([_values(mdp, np.eye(mdp.n_actions)[list(a)]) for a in _deterministic(mdp)], axis=0)
    q_star = mdp.reward + mdp.gamma * dense @ v_star
    left = float(mdp.initial @ ((pi_theta * q_star).sum(axis=1) - _values(mdp, pi_theta)))
    chain = np.einsum("sa,sat->st", pi_theta, dense)
    visits = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * chain.T, mdp.gamma * chain.T @ mdp.initial)
    right = float(visits @ (v_star - (pi_theta * q_star).sum(axis=1))) + perturb
    noise = 256 * mdp.n_states * U * (1 + np.abs(mdp.reward).max()) / (1 - mdp.gamma) ** 3
    return Gap(abs(left - right), noise)


def _deterministic(mdp: TabularMDP) -> Iterator[tuple[int, ...]]:
    return itertools.product(range(mdp.n_actions), repeat=mdp.n_states)


def _values(mdp: TabularMDP, pi: Array) -> Array:
    chain = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    out: Array = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * chain, (pi * mdp.reward).sum(axis=1))
    return out


CLAIMS = (
    Claim(
        id="talk-limit-j",
        title="The limit of eps L is J",
        source="Talk, 'Inferring the Action Posterior'",
        statement=r"\lim_{\varepsilon_\omega\to0}\varepsilon_\omega L_\omega(\theta) = E_{d(s)\pi_\theta(a|s)}[Q^*(h)] = J(\theta)",
        check=Check(
            talk_limit_gap,
            instances(mdp=_TWO_ACTIONS, pi_theta=policies, eps=st.sampled_from((1e-6, 1e-9))),
            recorded={
                "mdp": recorded.one_state(1.0, 0.0, gamma=0.5),
                "pi_theta": recorded.UNIFORM,
                "eps": 1e-6,
            },
        ),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            r"\lim_{\varepsilon_\omega\to0}\varepsilon_\omega L_\omega(\theta) = E_{d\pi_\theta}[Q^*] \ge E_{d\pi_\theta}[Q^{\pi_\theta}] = J(\theta) \text{ for } d = p_0,"
            r"\quad E_{p_0\pi_\theta}[Q^*] - J(\theta) = \sum_{t\ge1}\gamma^t E_{\pi_\theta}[V^*(s_t) - Q^*(s_t, a_t)]",
            r"The first equality holds: $\varepsilon L - E[Q^*] = \varepsilon E_d[\mathcal H(\pi_\theta)] \le \varepsilon\log|A|$ for $Q_\omega = Q^*$. The second reads"
            r" $Q^*$ for $Q^{\pi_\theta}$: even for $d = p_0$, $Q^*$ assumes that optimal actions follow the first one. By hand: one state, rewards 1 and 0,"
            r" $\gamma = \tfrac12$, the uniform policy: $Q^* = (2, 1)$, $E[Q^*] = \tfrac32$, $J = \tfrac12/(1-\tfrac12) = 1$. The difference,"
            r" $\gamma E[V^*(s_1) - V^\pi(s_1)]$, is the performance difference from the second step on, zero if $\gamma = 0$ or if $\pi_\theta$ is greedy"
            r" for $Q^*$ wherever it goes. Maximisers over all policies still agree where $p_0$ has full support: the greedy ones.",
            Check(
                talk_difference_gap,
                instances(mdp=_SMALL, pi_theta=lambda mdp: policies(mdp, full_support=False)),
            ),
        ),
        steps=(
            Step(
                "first equality",
                r"\lim_{\varepsilon_\omega\to0}\varepsilon_\omega L_\omega(\theta) = E_{d(s)\pi_\theta(a|s)}[Q^*(h)]",
                Check(
                    talk_limit_gap,
                    instances(
                        mdp=_SMALL,
                        pi_theta=policies,
                        eps=st.sampled_from((1e-6, 1e-9)),
                        printed=st.just(False),
                    ),
                ),
            ),
        ),
    ),
)
