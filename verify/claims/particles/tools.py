"""Plans of two steps written out: all paths, all draws and ancestors of two particles, and soft recursions.

Everything here is written from the definitions; no formula of `virel_theory.variational` is used.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.instances import fractions
from verify.strategies import temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

DISCOUNTS = st.sampled_from((1.0, 0.5, 0.0))
"""Discounts inside plans; the source has 1."""
N_STEPS = 2
"""Steps of the plans that are enumerated."""


class Draws(NamedTuple):
    """All outcomes `(a, s')` of one step from each state, `[S, K]`, K = A S."""

    chance: Array
    """Probability under the proposal and the dynamics; 0 for what cannot be."""
    weight: Array
    """Factor of the particle's weight; 0 for what cannot be."""


def log(p: Array) -> Array:
    """Elementwise logarithm with `log 0 = -inf`."""
    out: Array = np.log(p, out=np.full(np.shape(p), -np.inf), where=np.asarray(p) > 0)
    return out


def moved(
    mdp: TabularMDP, v: Array, prior: Array, proposal: Array, *, alpha: float, discount: float, t: int
) -> Draws:
    """Outcomes of step t: weights `exp((gamma^t r + gamma^(t+1) v(s') - gamma^t v(s)) / alpha) p/q`."""
    chance = proposal[:, :, None] * mdp.dense_transition
    gain = mdp.reward[:, :, None] + discount * v - v[:, None, None]
    ratio = np.divide(prior, proposal, out=np.zeros(mdp.shape), where=proposal > 0)
    weight = np.where(chance > 0, np.exp(discount**t * gain / alpha) * ratio[:, :, None], 0.0)
    return Draws(chance.reshape(mdp.n_states, -1), weight.reshape(mdp.n_states, -1))


def two_particles(one: Draws, two: Draws, s: int) -> tuple[Array, Array, Array]:
    """All outcomes of two particles over two steps from s, always resampled.

    Axes: first draws i, j; the first particle's ancestor (i or j) and draw; the second particle's.

    Returns: probabilities; the estimates of the evidence, over `e^(v(s)/alpha)`; and the share of the weight
        that is left on ancestor i, `[..., 2]` for both first draws: i and j.
    """
    n_states, k = one.chance.shape
    ahead, p, w = np.arange(k) % n_states, one.chance[s], one.weight[s]
    pairs = np.stack(np.broadcast_arrays(w[:, None], w[None, :]), axis=2)  # [i, j, ancestor]
    mass = pairs.sum(axis=2, keepdims=True)
    chosen = np.divide(pairs, mass, out=np.zeros_like(pairs), where=mass > 0)
    at = np.stack(np.broadcast_arrays(ahead[:, None], ahead[None, :]), axis=2)
    drawn = chosen[..., None] * two.chance[at]  # [i, j, ancestor, draw]
    probability = (p[:, None] * p[None, :])[:, :, None, None, None, None]
    probability = probability * drawn[:, :, :, :, None, None] * drawn[:, :, None, None, :, :]
    u = two.weight[at]
    left, right = np.broadcast_arrays(u[:, :, :, :, None, None], u[:, :, None, None, :, :])
    both = left + right
    on_i = left * (np.arange(2) == 0)[:, None, None, None] + right * (np.arange(2) == 0)[:, None]
    share = np.divide(on_i, both, out=np.zeros_like(both), where=both > 0)
    estimate = mass[..., 0][:, :, None, None, None, None] / 2 * both / 2
    return probability, estimate, np.stack([share, 1 - share], axis=-1)


def path_evidence(mdp: TabularMDP, v: Array, prior: Array, *, alpha: float, discount: float, s: int) -> Array:
    """Evidence of two steps from s by first action, `[A]`: sums over paths; their sum is Z, over e^(v(s)/alpha)."""
    dense = mdp.dense_transition
    gain = mdp.reward[s][:, None, None, None] + discount * mdp.reward[None, :, :, None]  # [a, t, b, 1]
    gain = gain + discount**2 * v - v[s]
    chance = (prior[s][:, None] * dense[s])[:, :, None, None] * prior[None, :, :, None] * dense[None]
    out: Array = (chance * np.exp(gain / alpha)).sum(axis=(1, 2, 3))
    return out


def soft_recursion(
    mdp: TabularMDP, v: Array, prior: Array, *, temperatures: list[float], discount: float
) -> list[Array]:
    """MERL policies `[S, A]` of each step: soft values whose expectation over successors is plain.

    `temperatures[t]` is that of step t; the last value is v.
    """
    out: list[Array] = []
    for tau in reversed(temperatures):
        q = mdp.reward + discount * mdp.expect_next(v)
        scores = log(prior) + np.where(mdp.available, q, 0.0) / tau
        v = tau * logsumexp(scores, axis=1)
        out.append(np.exp(scores - v[:, None] / tau))
    return out[::-1]


def size(mdp: TabularMDP, v: Array, alpha: float) -> float:
    """Largest logarithm in a plan of two steps: returns over alpha, and those of probabilities above 1/64."""
    return float(8 + (2 * np.abs(mdp.reward).max() + 2 * np.abs(v).max()) / alpha)


def rounding(mdp: TabularMDP, v: Array, alpha: float) -> float:
    """Relative rounding of exponentials of logarithms up to `size`, in sums of up to `(A S)^4` terms."""
    return float(16 * (mdp.n_pairs * mdp.n_states + 64) * U * (1 + size(mdp, v, alpha)))


def state_values(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws state values, multiples of 1/2 in [-2, 2]."""
    return fractions(mdp.n_states, 4, over=2)


def warm() -> st.SearchStrategy[float]:
    """Hypothesis strategy that draws temperatures from 1/2 on, so that weights stay in float64's range."""
    return temperatures().filter(lambda x: x >= 0.5)


def without_chance(mdp: TabularMDP) -> TabularMDP:
    """The MDP whose pairs all lead to their likeliest successor (the first of those)."""
    likely = mdp.dense_transition.argmax(axis=2)
    moves = np.eye(mdp.n_states)[likely] * mdp.available[:, :, None]
    return TabularMDP(moves, mdp.reward, mdp.gamma, mdp.initial, mdp.mask)
