"""Values of policies with and without a KL term, for the claims on MPO; no formula of the library's core.

Linear systems are solved with NumPy. Complex policies are accepted, so that complex steps give derivatives.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.strategies import mdps
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

STEP = 1e-30
"""Imaginary step of derivatives: their truncation, of relative order 1e-60, is far below rounding."""
MILD_ALPHAS = st.sampled_from((1.0, 0.5, 2.0, 10.0))
"""Temperatures at which the posteriors of `MILD` MDPs stay above 1e-150."""


def mild(*, min_actions: int = 1, max_actions: int = 3, masked: bool = True) -> st.SearchStrategy[TabularMDP]:
    """MDPs of at most 3 states and 3 actions with discounts up to 0.9."""
    gammas = st.sampled_from((0.5, 0.75, 0.0, 0.9))
    return mdps(max_states=3, min_actions=min_actions, max_actions=max_actions, gammas=gammas, masked=masked)


def solve(mdp: TabularMDP, pi: Any, gain: Any) -> Any:
    """Discounted sum of `gain`, `[S]`, along the policy pi: the solution of `v = gain + gamma P_pi v`."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, gain)


def plain_value(mdp: TabularMDP, pi: Any) -> Any:
    """State values V^pi, `[S]`."""
    return solve(mdp, pi, (pi * mdp.reward).sum(axis=1))


def action_value(mdp: TabularMDP, v: Any) -> Any:
    """Action values `r + gamma E[v(s')]`, `[S, A]`, finite also where the action does not exist."""
    return mdp.reward + mdp.gamma * (mdp.dense_transition @ v)


def divergence(q: Any, pi: Any) -> Any:
    """Divergence `KL(q || pi)` per state, with the terms of q = 0 left out."""
    on = q != 0
    ratio = np.log(np.where(on, q, 1)) - np.log(np.where(on, pi, 1))
    return (q * ratio).sum(axis=1)


def penalised_value(mdp: TabularMDP, q: Any, pi: Any, alpha: float) -> Any:
    r"""Value $V_\alpha^{\pi,q}$ of MPO, A.1: of policy q, with the penalty $\alpha KL(q\|\pi)$ at every step."""
    return solve(mdp, q, (q * mdp.reward).sum(axis=1) - alpha * divergence(q, pi))


def tilted(pi: Any, values: Any, alpha: float) -> Any:
    """Posterior `pi e^(values / alpha) / Z`, MPO (19), computed with the largest real exponent taken out."""
    top = np.where(pi.real > 0, values.real, -np.inf).max(axis=1, keepdims=True)
    weights = pi * np.exp(np.where(pi.real > 0, values - top, 0) / alpha)
    return weights / weights.sum(axis=1, keepdims=True)


def size_of(mdp: TabularMDP, alpha: float, *policies: Array) -> float:
    """Largest size B of a reward with its penalty: `1 + max|r| + alpha sum of max|log p|`."""
    logs = sum(float(np.abs(np.log(p[p > 0])).max()) for p in policies)
    return 1 + float(np.abs(mdp.reward).max()) + alpha * (1 + logs)


def rounding(mdp: TabularMDP, size: float) -> float:
    """Rounding of values of rewards up to `size`, by any linear solve: see `verify.claims.instances`."""
    return float(64 * (mdp.n_states**2 + mdp.n_actions + 8) * U * size / (1 - mdp.gamma) ** 2)
