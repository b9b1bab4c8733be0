"""Discounted returns with a KL penalty or an entropy bonus, and their gradients, for claims of `soft_q`.

Written from the definitions: one linear solve per sum over time, and complex logits for derivatives. Policies
are the tabular softmax of logits `theta [S, A]` over the actions that exist.
"""

from typing import Any, NamedTuple

import numpy as np

from verify.claims.soft_q.tools import Boltzmann, boltzmann, jacobian, kl
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

Numbers = Any


def policy(mdp: TabularMDP, theta: Numbers, prior: Array) -> Boltzmann:
    """Softmax policy of logits, and its log-ratios to a prior with full support."""
    counts = mdp.available.sum(axis=1, keepdims=True)
    even: Array = mdp.available / counts
    x = boltzmann(theta, even, 1.0)
    on = mdp.available
    log_ratio = np.where(on, x.log_ratio - np.log(counts) - np.log(np.where(on, prior, 1.0)), 0.0)
    return Boltzmann(x.v, log_ratio, x.pi)


def discounted(mdp: TabularMDP, pi: Numbers, gain: Numbers) -> Numbers:
    """Discounted sums `(I - gamma P_pi)^-1 gain` of a gain per state, `[S]`; a gain may have more columns."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, gain)


def visits(mdp: TabularMDP, pi: Numbers) -> Numbers:
    """Discounted visits `sum_t gamma^t P(s_t = s)`, `[S]`."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve((np.eye(mdp.n_states) - mdp.gamma * p_pi).T, mdp.initial.astype(p_pi.dtype))


class Gradients(NamedTuple):
    """Gradients in the logits, each `[S, A]`, of the return minus tau times discounted KL divergences."""

    true: Array
    """Of the return itself, by complex steps through the linear solve."""
    naive: Array
    """Score times future rewards, minus tau grad KL of the same state."""
    later: Array
    """Minus tau times the score times all later KL divergences."""


def gradients(mdp: TabularMDP, theta: Array, prior: Array, tau: float) -> Gradients:
    """The true gradient of the augmented return, that of the one-step bonus, and the KLs that it ignores."""

    def value(z: Numbers) -> Numbers:
        x = policy(mdp, z, prior)
        return mdp.initial @ discounted(mdp, x.pi, np.sum(x.pi * mdp.reward, axis=1) - tau * kl(x))

    x = policy(mdp, theta, prior)
    weight = visits(mdp, x.pi)
    returns = discounted(mdp, x.pi, np.sum(x.pi * mdp.reward, axis=1))
    slope_of_kl = jacobian(lambda z: weight @ kl(policy(mdp, z, prior)), theta)
    naive = scored(x.pi, weight, mdp.reward + mdp.gamma * mdp.expect_next(returns)) - tau * slope_of_kl
    later = scored(x.pi, weight, -tau * mdp.gamma * mdp.expect_next(discounted(mdp, x.pi, kl(x))))
    return Gradients(jacobian(value, theta), naive, later)


def scored(pi: Array, weight: Array, f: Array) -> Array:
    """`sum_s weight(s) E_pi[f grad log pi]` in the logits of a tabular softmax: `weight pi (f - E_pi[f])`."""
    out: Array = weight[:, None] * pi * (f - np.sum(pi * f, axis=1, keepdims=True))
    return out


def rounding(mdp: TabularMDP, theta: Array, tau: float) -> float:
    """Rounding bound of a gradient: two solves with condition 2/(1 - gamma), numbers of size B/(1 - gamma).

    `256 (S^2 + A + 16) u B/(1 - gamma)^3`, B = 1 + max|r| + tau (2 max|theta| + 2 log A + 4): logarithms of
    probabilities are at most 2 max|theta| + log A, of priors of the strategies at most 4.
    """
    size = 1 + np.abs(mdp.reward).max() + tau * (2 * np.abs(theta).max() + 2 * np.log(mdp.n_actions) + 4)
    return float(256 * (mdp.n_states**2 + mdp.n_actions + 16) * U * size / (1 - mdp.gamma) ** 3)
