"""Objective of Marino et al. on a finite MDP, horizon 2: over trajectories, over steps, and soft Q."""

from typing import NamedTuple

import numpy as np

from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP


class Trajectories(NamedTuple):
    """All paths s1 a1 s2 a2, `[S, A, S, A]`: log-probability, the policy's factor of it, and return."""

    log_prob: Array
    log_policy: Array
    total: Array


def trajectories(mdp: TabularMDP, pi: Array, second: Array | None = None) -> Trajectories:
    """Log-probabilities and returns of every path s1 a1 s2 a2 under `pi` (`-inf` for impossible ones).

    `second` is the policy of the second step, if it is another one.
    """
    with np.errstate(divide="ignore"):
        dynamics = np.log(mdp.initial)[:, None, None, None] + np.log(mdp.dense_transition)[:, :, :, None]
        last = np.log(pi if second is None else second)
        log_policy = np.log(pi)[:, :, None, None] + last[None, None, :, :]
    total = mdp.reward[:, :, None, None] + mdp.reward[None, None, :, :]
    return Trajectories(dynamics + log_policy, log_policy, total)


def mean_over(path: Trajectories, values: Array) -> float:
    """Mean of a table of trajectories under their probabilities; impossible trajectories count as 0."""
    weight = np.exp(path.log_prob)
    return float(np.sum(weight * np.where(weight > 0, values, 0.0)))


def objective(
    mdp: TabularMDP, pi: Array, prior: Array, alpha: float, *, second: Array | None = None
) -> float:
    """Objective (6) of Marino et al. over trajectories: `E[R] - alpha KL(pi(tau) || p(tau))`, p the prior.

    The dynamics cancel in the ratio. `second` is the policy of the second step, if it is another one.
    """
    path, reference = trajectories(mdp, pi, second), trajectories(mdp, prior)
    return mean_over(path, path.total - alpha * (path.log_policy - reference.log_policy))


def per_step_objective(mdp: TabularMDP, pi: Array, step_term: Array) -> float:
    """Expectation `E[sum_t step_term(s_t, a_t)]` over both steps, by the state distribution at each.

    `step_term` is `[S, A]`.
    """
    d_1 = mdp.initial
    d_2 = np.einsum("s,sa,sat->t", d_1, pi, mdp.dense_transition)
    return float(np.sum((d_1 + d_2)[:, None] * pi * step_term))


def soft_q(mdp: TabularMDP, pi: Array, prior: Array, alpha: float) -> Array:
    """Soft Q of Marino et al., Eq. (9), at t = 1, T = 2: r(s, a) + E[r_2 - alpha log(pi/p)], p the prior."""
    v_2 = np.sum(pi * (mdp.reward - alpha * np.log(pi / prior)), axis=1)
    out: Array = mdp.reward + mdp.dense_transition @ v_2
    return out
