"""Claims on pseudo-likelihood definitions (evidence, mean return, posterior) by enumerating episodes.

Both sides: evidence, expected return, posterior policy and maximiser of
        `virel_theory.methods.pseudo_likelihood`, against sums over all trajectories in this file.
Bound:  u = 2.2e-16. There are at most K = (S A)^N S trajectories. Each weight exp(R/c) p carries 4 N +
        |R|/c + 8 ulps, a fully accurate sum none. Logarithms carry that many u, probabilities (quotients of
        two sums) twice that; the library's messages carry N (S + A + 16 + max|r|/c) ulps of N max|r|/c + 1.
        The bound is the sum of the two, times 4. The maximiser is compared where the best action leads by
        more than the bound or ties exactly; else `assume` rejects the instance.
Teeth:  `perturb` adds 1 on the side of this file.
"""

import math
from itertools import product

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from verify.engine.claim import A_DEFINITION, Check, Claim
from verify.engine.verdict import Gap, Verdict
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import (
    expected_episode_return,
    pseudo_log_likelihood,
    pseudo_optimal_policy,
    pseudo_posterior_policy,
)


def episodes_gap(*, mdp: TabularMDP, pi: Array, c: float, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of the evidence, mean return and posterior policy at t = 0 to sums over all trajectories, zero."""
    evidence: list[float] = []
    mean: list[float] = []
    first: dict[int, dict[int, list[float]]] = {}
    for states, actions in _trajectories(mdp, horizon):
        chance = _chance(mdp, pi, states, actions)
        total = math.fsum(mdp.reward[s, a] for s, a in zip(states, actions, strict=True))
        evidence.append(chance * math.exp(total / c))
        mean.append(chance * total)
        first.setdefault(states[0], {}).setdefault(actions[0], []).append(evidence[-1])
    gaps = [
        pseudo_log_likelihood(mdp, pi=pi, c=c, horizon=horizon) - math.log(math.fsum(evidence)) - perturb,
        expected_episode_return(mdp, pi=pi, horizon=horizon) - math.fsum(mean),
    ]
    found = pseudo_posterior_policy(mdp, prior=pi, c=c, horizon=horizon)[0]
    for s, by_action in first.items():
        mass = math.fsum(math.fsum(x) for x in by_action.values())
        gaps += [found[s, a] - math.fsum(x) / mass for a, x in by_action.items()]
    return Gap(max(abs(gap) for gap in gaps), _bound(mdp, c, horizon))


def maximiser_gap(*, mdp: TabularMDP, c: float, horizon: int, perturb: float = 0.0) -> Gap:
    """Gap of the evidence-maximising policy to the greedy one of `W = exp(r/c) E[max W']`, zero.

    The policy is uniform over exact ties. W_t is computed backwards, from t = N - 1 to 0.
    """
    found = pseudo_optimal_policy(mdp, c=c, horizon=horizon)
    p, v, error = mdp.dense_transition, [1.0] * mdp.n_states, 0.0
    for t in reversed(range(horizon)):
        v_next = []
        for s in range(mdp.n_states):
            w = {
                a: math.exp(mdp.reward[s, a] / c) * math.fsum(x * y for x, y in zip(p[s, a], v, strict=True))
                for a in range(mdp.n_actions)
                if mdp.available[s, a]
            }
            top = max(w.values())
            best = [a for a, x in w.items() if x > top * (1 - _bound(mdp, c, horizon))]
            if len(best) > 1:  # exact ties: in the last step V = 1, W = exp(r / c) where p sums to 1 exactly
                rewards = {mdp.reward[s, a] for a in best}
                assume(t == horizon - 1 and len(rewards) == 1 and _sums_exactly(p[s, best]))
            wanted = [1 / len(best) + perturb if a in best else 0.0 for a in range(mdp.n_actions)]
            error = max(error, float(np.abs(found[t, s] - wanted).max()))
            v_next.append(top)
        v = v_next
    return Gap(error, U)


def _sums_exactly(rows: Array) -> bool:
    return bool(np.isin(rows, (0.0, 0.25, 0.5, 0.75, 1.0)).all())


def _trajectories(mdp: TabularMDP, horizon: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [
        (states, actions)
        for states in product(range(mdp.n_states), repeat=horizon)
        for actions in product(range(mdp.n_actions), repeat=horizon)
        if all(mdp.available[s, a] for s, a in zip(states, actions, strict=True))
    ]


def _chance(mdp: TabularMDP, pi: Array, states: tuple[int, ...], actions: tuple[int, ...]) -> float:
    """Probability of a trajectory tau: p_0(s_0) times the product of pi(a_t|s_t) and p(s_{t+1}|h_t)."""
    p = mdp.dense_transition
    out = float(mdp.initial[states[0]])
    for t, (s, a) in enumerate(zip(states, actions, strict=True)):
        out *= pi[s, a] * (p[s, a, states[t + 1]] if t + 1 < len(states) else 1.0)
    return out


def _bound(mdp: TabularMDP, c: float, horizon: int) -> float:
    r_max = float(np.abs(mdp.reward).max())
    own = 2 * (4 * horizon + horizon * r_max / c + 8) * U
    theirs = horizon * (mdp.n_states + mdp.n_actions + 16 + r_max / c) * U * (horizon * r_max / c + 1)
    return 4 * (own * (1 + horizon * r_max) + theirs * (1 + c))


_SMALL = mdps(masked=True, max_states=3, max_actions=2)
_C = st.sampled_from((1.0, 2.0, 4.0, 0.5))

CLAIMS = (
    Claim(
        id="def-pseudo-likelihood",
        title="evidence, return and posterior policy by enumeration of trajectories",
        source="Talk, Pseudo-Likelihood Methods",
        statement=r"\log E_{p_\theta(\tau)}[\exp(R(\tau)/c)], \quad J = E_{p_\theta(\tau)}[R(\tau)], \quad p(a_0|s_0,O)",
        check=Check(episodes_gap, instances(mdp=_SMALL, pi=policies, c=_C, horizon=st.integers(1, 3))),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="def-pseudo-maximiser",
        title="the pseudo-likelihood's maximiser is greedy for W_t",
        source="Talk, Pseudo-Likelihood Methods",
        statement=r"\pi_t(\cdot|s) = U(\arg\max_a W_t(s,a)), \quad W_t(s,a) = e^{r(h)/c} E_{p(s'|h)}[\max_{a'} W_{t+1}]",
        check=Check(maximiser_gap, instances(mdp=_SMALL, c=_C, horizon=st.integers(1, 3))),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
)
