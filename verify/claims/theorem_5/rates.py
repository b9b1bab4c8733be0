"""Right sides of (36) and (37) by plain loops, and rates at which T_{omega,k} and eps_{omega,k} converge."""

import math

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import boltzmann_loss
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

EPS_K = st.sampled_from([1.0, 0.5, 0.25, 0.125, 2.0**-6, 2.0**-10, 4.0])


def backup_rounding(mdp: TabularMDP, q: Array) -> float:
    """Rounding bound of the difference of two Bellman backups: `2 (4 A + S + 16) u (max|q| + max|r|)`."""
    size = float(np.abs(q[mdp.available]).max() + np.abs(mdp.reward).max())
    return 2 * (4 * mdp.n_actions + mdp.n_states + 16) * U * size


def backup_by_hand(mdp: TabularMDP, q: Array, eps_k: float) -> Array:
    """Incremental Bellman backup, the right side of (36), by loops; eps_k = 0 takes the maximum."""
    rows = [q[s][mdp.available[s]] for s in range(mdp.n_states)]
    values = np.zeros(mdp.n_states)
    for s, row in enumerate(rows):
        mass = [math.exp((x - max(row)) / eps_k) if eps_k > 0 else float(x == max(row)) for x in row]
        values[s] = math.fsum(m * x for m, x in zip(mass, row, strict=True)) / math.fsum(mass)
    transition = mdp.dense_transition
    return np.where(mdp.available, mdp.reward + mdp.gamma * (transition @ values), -np.inf)


def residual_by_hand(mdp: TabularMDP, q: Array) -> Array:
    """Bellman residual T* Q - Q of the pairs that exist, as a flat array."""
    on = mdp.available
    return np.asarray(backup_by_hand(mdp, q, 0.0)[on] - q[on])


def rates(mdp: TabularMDP, q: Array, eps_k: float) -> tuple[float, float]:
    """Two terms that bound |eps_{omega,k} - eps_omega|: the rate in eps_k, and the rounding error.

    Rounding is that of a mean of squares whose roots are off by eta.
    """
    beta = residual_by_hand(mdp, q)
    delta = mdp.gamma * boltzmann_loss(mdp.n_actions, eps_k)
    eta = backup_rounding(mdp, q)
    top = float(np.abs(beta).max()) + delta
    rounding = (2 * top + eta) * eta + (mdp.n_pairs + 16) * U * (top**2 + eps_k)
    return delta * (2 * float(np.abs(beta).mean()) + delta) / 2 + eps_k, rounding


def rate_above_eps_k(mdp: TabularMDP, q: Array, eps_k: float) -> float:
    """Bound of |eps_{omega,k} - eps_k - eps_omega|: (37)'s rate without its term eps_k, plus rounding."""
    return sum(rates(mdp, q, eps_k)) - eps_k


def eps_by_hand(mdp: TabularMDP, q: Array) -> float:
    """Residual error eps_omega under T*, in the mean norm with p = 2 and c = 1."""
    return 0.5 * float(np.mean(residual_by_hand(mdp, q) ** 2))
