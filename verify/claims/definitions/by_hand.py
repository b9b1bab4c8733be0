"""Printed definitions in plain loops, which share no code with the library: the claims' reference."""

import math

import numpy as np

from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP


def mean_values(q: Array, pi: Array) -> Array:
    """State values V(s) = sum_a pi(a|s) Q(s, a), over the actions with pi > 0."""
    return np.array(
        [
            math.fsum(p * x for p, x in zip(row, values, strict=True) if p > 0)
            for row, values in zip(pi, q, strict=True)
        ]
    )


def boltzmann_values(q: Array, eps: float) -> Array:
    """State values V(s): the mean of Q under the Boltzmann policy, or its maximum at eps = 0."""
    if eps == 0:
        return np.array([max(row) for row in q])
    return mean_values(q, np.exp(log_softmax_rows(q, eps)))


def soft_values(q: Array, c: float) -> Array:
    """State values V(s) of MERL: the soft maximum c log sum_a exp(Q / c), or the maximum at c = 0."""
    if c == 0:
        return boltzmann_values(q, 0.0)
    return np.array([c * log_sum(row / c) for row in q])


def back_up(mdp: TabularMDP, v: Array) -> Array:
    """Bellman backup r(h) + gamma sum_s' p(s'|h) V(s') per pair h; 0 where the action does not exist."""
    p = mdp.dense_transition
    out = np.zeros(mdp.shape)
    for s, a in np.argwhere(mdp.available):
        out[s, a] = mdp.reward[s, a] + mdp.gamma * math.fsum(x * y for x, y in zip(p[s, a], v, strict=True))
    return out


def flow(mdp: TabularMDP, pi: Array, rho: Array) -> Array:
    """State distribution one step after `rho` under a policy: sum_h p(s'|h) pi(a|s) rho(s)."""
    p = mdp.dense_transition
    pairs = np.argwhere(mdp.available)
    return np.array(
        [math.fsum(p[s, a, t] * pi[s, a] * rho[s] for s, a in pairs) for t in range(mdp.n_states)]
    )


def log_sum(x: Array) -> float:
    """Logarithm of `sum exp(x)` over an array x, computed with the maximum of x taken out first."""
    top = max(x.ravel())
    return float(top) + math.log(math.fsum(math.exp(y - top) for y in x.ravel()))


def log_softmax_rows(q: Array, eps: float) -> Array:
    """Logarithm of the Boltzmann policy of Q at temperature `eps`, one state's actions at a time."""
    return np.array([row / eps - log_sum(row / eps) for row in q])


def uniform_over_maxima(q: Array, *, tie_tol: float = 0.0) -> Array:
    """Greedy limit (22) of the Boltzmann policy: uniform over the actions within `tie_tol` of the maximum.

    Exact for tables of quarters.
    """
    out = np.zeros(q.shape)
    for s, row in enumerate(q):
        best = [a for a, x in enumerate(row) if x >= max(row) - tie_tol]
        out[s, best] = 1 / len(best)
    return out


def minus_sum_p_log(p: Array, other: Array) -> Array:
    """Cross-entropy `-sum_a p(a|s) log other(a|s)` of two policies in each state, with `0 log 0 = 0`."""
    return np.array(
        [
            -math.fsum(x * math.log(y) for x, y in zip(a, b, strict=True) if x > 0)
            for a, b in zip(p, other, strict=True)
        ]
    )


def entropy_regularised_return(mdp: TabularMDP, pi: Array, c: float) -> float:
    """MERL's objective p_0 . sum_t gamma^t P_pi^t (r_pi + c H(pi)), summed until gamma^t is negligible."""
    gain = mean_values(mdp.reward, pi) + c * minus_sum_p_log(pi, pi)
    p_pi = np.array([flow(mdp, pi, state) for state in np.eye(mdp.n_states)])  # [s, s']
    total, weight, state = 0.0, 1.0, mdp.initial
    while weight > 1e-18:
        total += weight * math.fsum(state * gain)
        weight, state = weight * mdp.gamma, state @ p_pi
    return total


def tanh_layer(features: Array, n_hidden: int, omega: np.ndarray) -> np.ndarray:
    """Q value sum_j u_j tanh(w_j . x) of a tanh layer with features x; parameters real or complex."""
    size = features.shape[2]
    out = np.zeros(features.shape[:2], dtype=omega.dtype)
    for j in range(n_hidden):
        w, u = omega[j * size : (j + 1) * size], omega[n_hidden * size + j]
        out = out + u * np.tanh(sum(features[:, :, i] * w[i] for i in range(size)))
    return out


def tanh_gradient(features: Array, n_hidden: int, omega: np.ndarray) -> np.ndarray:
    """Gradient of a tanh layer in its weights: u_j x_i / cosh^2(w_j . x) for w_ji, tanh(w_j . x) for u_j."""
    size = features.shape[2]
    blocks, last = [], []
    for j in range(n_hidden):
        w, u = omega[j * size : (j + 1) * size], omega[n_hidden * size + j]
        z = sum(features[:, :, i] * w[i] for i in range(size))
        blocks += [u * features[:, :, i] / np.cosh(z) ** 2 for i in range(size)]
        last.append(np.tanh(z))
    return np.stack([*blocks, *last], axis=-1)


def temperature_map(
    mdp: TabularMDP, q: Array, eps: float, *, p_norm: int, c: float, step: float
) -> tuple[float, float]:
    """App. C's temperature map g(omega, eps), equal to eps at eps_omega, and its slope by a complex step.

    In the limits eps = 0 and infinity the slope is 0.
    """
    if eps in (0.0, math.inf):
        weights = uniform_over_maxima(q if eps == 0 else np.where(mdp.available, 0.0, -np.inf))
        return _mean_power(mdp, q, mean_values(q, weights), p_norm, c).real, 0.0
    g = _mean_power(mdp, q, _complex_values(q, complex(eps, step)), p_norm, c)
    return g.real, g.imag / step


def _complex_values(q: Array, eps: complex) -> np.ndarray:
    """Boltzmann mean of Q in each state at a complex temperature, stabilised by the state's maximum."""
    out = []
    for row in q:
        top = float(max(row))
        below = [float(x) - top for x in row if x > -math.inf]
        weights = [np.exp(x / eps) for x in below]
        out.append(top + sum(w * x for w, x in zip(weights, below, strict=True)) / sum(weights))
    return np.array(out)


def _mean_power(mdp: TabularMDP, q: Array, v: np.ndarray, p_norm: int, c: float) -> complex:
    p = mdp.dense_transition
    total = 0j
    for s, a in np.argwhere(mdp.available):
        beta = mdp.reward[s, a] + mdp.gamma * sum(x * y for x, y in zip(p[s, a], v, strict=True)) - q[s, a]
        total += (beta if beta.real > 0 else -beta) ** p_norm
    return complex(total * c / (p_norm * mdp.n_pairs))
