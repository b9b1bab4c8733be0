r"""Values of policies with and without a KL term, for the claims on MPO; no formula of the library's core.

Linear systems are solved with NumPy. Complex policies are accepted, so that complex steps give derivatives.

Bound of an E-step on a budget (`budget_gaps`), from its values and its prior p alone. With R the largest spread of
values in a state, X = R/eta and L = max|log p|, the logarithms of a posterior are sums of terms up to X and L:
its probabilities are off by delta = 16 (A + 16) u (1 + X + L), relative. A relative error delta of q moves
$\sum q\log(q/p)$ by at most $\delta(1 + \sum q|\log(q/p)|) \le \delta(2 + KL)$, as the terms below 0 add up to
1/e at most. The library's root spends the budget within 1e-13 (1 + X), relative, and 64 ulps. Together
(1e-13 (1 + X) + 64u) epsilon + (2 + epsilon) delta.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.engine.verdict import Gap
from verify.strategies import mdps
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

STEP = 1e-30
"""Imaginary step of derivatives: their truncation, of relative order 1e-60, is far below rounding."""
MILD_ALPHAS = st.sampled_from((1.0, 0.5, 2.0, 10.0))
"""Temperatures at which the posteriors of `MILD` MDPs stay above 1e-150."""


def mild(*, min_actions: int = 1, max_actions: int = 3, masked: bool = True) -> st.SearchStrategy[TabularMDP]:
    """MDPs of at most 3 states and 3 actions, most with a choice, with discounts up to 0.9."""
    gammas = st.sampled_from((0.5, 0.75, 0.0, 0.9))
    settings: dict[str, Any] = {"max_actions": max_actions, "gammas": gammas, "masked": masked}
    if min_actions == 1:
        return choices(max_states=3, **settings)
    return mdps(max_states=3, min_actions=min_actions, **settings)


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


def budget_gaps(q: Array, old: Array, found: Array, *, eta: float, d: Array, epsilon: float) -> list[Gap]:
    """Gaps of an E-step on a KL budget, MPO, Eqs. (7)-(9): what its posterior `found` spends, and its form.

    At a temperature above 0 the budget is spent, `E_d KL(found || old) = epsilon`. At 0 the posterior takes the
    best actions alone and spends at most epsilon. `q` may be anything where `old` is 0.
    """
    on, n = old > 0, old.shape[1]
    top = np.where(on, q, -np.inf).max(axis=1, keepdims=True)
    logs = 1 + float(np.abs(np.log(old[on])).max())
    if eta == 0:
        best = np.where(on & (q == top), old, 0.0)
        mass = best.sum(axis=1, keepdims=True)
        room = 16 * (n + 16) * U * logs
        least = float(d @ -np.log(mass[:, 0]))
        return [Gap(least - epsilon, room), Gap(np.abs(found - best / mass).max(), room)]
    spread = float(np.where(on, top - q, 0.0).max()) / eta
    delta = 16 * (n + 16) * U * (logs + spread)
    room = (1e-13 * (1 + spread) + 64 * U) * epsilon + (2 + epsilon) * delta
    return [
        Gap(abs(float(d @ divergence(found, old)) - epsilon), room),
        Gap(np.abs(found - tilted(old, q, eta)).max(), delta),
    ]


def size_of(mdp: TabularMDP, alpha: float, *policies: Array) -> float:
    """Largest size B of a reward with its penalty: `1 + max|r| + alpha sum of max|log p|`."""
    logs = sum(float(np.abs(np.log(p[p > 0])).max()) for p in policies)
    return 1 + float(np.abs(mdp.reward).max()) + alpha * (1 + logs)


def rounding(mdp: TabularMDP, size: float) -> float:
    """Rounding of values of rewards up to `size`, by any linear solve: see `verify.claims.instances`."""
    return float(64 * (mdp.n_states**2 + mdp.n_actions + 8) * U * size / (1 - mdp.gamma) ** 2)
