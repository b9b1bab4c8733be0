r"""Maximum-entropy RL (MERL), what VIREL is compared with: soft values, policy, objective, counterexample.

How discounting enters: the talk writes the undiscounted, finite sum $\sum_i r_i - c\log\pi_\theta(a_i|s_i)$,
but its counterexample contains gamma. Here the infinite sum is discounted, rewards and entropies alike:
$\sum_t \gamma^t (r_t - c\log\pi(a_t|s_t))$. With it the counterexample's closed form comes out as printed.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.special import expit, softmax

from virel_theory.checks import Array, as_policy, as_temperature, require
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators import kernels
from virel_theory.operators.policies import as_action_values, entropy
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.problem import check_scale, row_length

U = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class SoftValues:
    """Soft optimal values `q [S, A]`, a guaranteed `error_bound` on max|q - q*| over the pairs, `n_steps`."""

    q: Array
    error_bound: float
    n_steps: int


def soft_optimal_values(mdp: TabularMDP, *, c: float, atol: float) -> SoftValues:
    r"""Fixed point of MERL's soft Bellman operator by value iteration, Haarnoja et al. 2017, Thm 3.

    A computed step is within rho of the exact one, so $\|Q_{n+1} - Q^*\| \le \beta\|Q_n - Q^*\| + \rho$,
    hence $\|Q_{n+1} - Q^*\| \le (\beta\|Q_{n+1} - Q_n\| + \rho)/(1 - \beta)$: the bound returned. beta is
    gamma times the largest row sum, $\gamma(1 + \delta)$ of `bounds`; rho is the rounding bound of
    `virel_theory.operators.bellman` at the |V| of that step plus max|r| + c log A, its S the b of `bounds`.

    Args:
        mdp: finite MDP.
        c: entropy coefficient > 0, reward units a nat.
        atol: the error bound to reach, > 0, reward units.

    Returns: the values with their error bound, at most `atol`.
    Raises: InputError: if `c` is not positive and finite, `atol` is not positive or not attainable in float64
        (the message names the bound that was reached), `gamma` times the row sums may reach 1, or values
        overflow.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> soft_optimal_values(mdp, c=1.0, atol=1e-9).q.round(4).tolist()
        [[0.6931, 0.6931]]
    """
    temperature = as_temperature(c, name="c")
    require(0 < atol < np.inf, "atol", atol, "must be positive and finite")
    n_terms = row_length(mdp)
    beta = cert.contraction_interval(mdp.gamma, n_terms)[1]
    require(beta < 1, "gamma", mdp.gamma, "times the largest row sum must stay below 1")
    gain = float(np.abs(mdp.reward).max()) + temperature * math.log(mdp.n_actions)
    check_scale(gain, mdp.gamma, name="c", what="(max|r| + c log A)")
    rounding = (4 * mdp.n_actions + n_terms + 16) * U
    max_steps = _steps_to_rounding(beta, 2 / rounding if gain > 0 else 1.0)
    q, v = np.where(mdp.available, mdp.reward, -np.inf), np.empty(mdp.n_states)
    n_steps, bound = 0, np.inf
    while not bound <= atol:
        require(n_steps < max_steps, "atol", atol, f"must be attainable in float64 (reached: {bound:.3g})")
        kernels.log_sum_exp(q, temperature, v)
        q_next = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), -np.inf)
        step = float(np.abs(q_next[mdp.available] - q[mdp.available]).max())
        rho = rounding * (float(np.abs(v).max()) + gain)
        bound = (1 + 16 * U) * (beta * step + rho) / (1 - beta)
        q, n_steps = q_next, n_steps + 1
    return SoftValues(q, bound, n_steps)


def _steps_to_rounding(gamma: float, ratio: float) -> int:
    """Steps after which `gamma ** n` has shrunk the first error below rounding, and a few more."""
    return 8 if gamma == 0 else 8 + math.ceil(math.log(max(ratio, 1.0)) / -math.log(gamma))


def merl_policy(q: ArrayLike, *, c: float) -> Array:
    r"""MERL policy $\pi(a|s) = \exp((Q(h) - V(s))/c)$, Haarnoja et al. 2017, Thm 1.

    $V(s) = c\log\sum_a\exp(Q(h)/c)$ is the soft state value.
    Optimal for the MERL objective if `q` are the soft optimal values.

    Args: q: `[S, A]` soft values, reward units. c: entropy coefficient > 0, reward units a nat.
    Returns: `[S, A]` probabilities, 0 where the action does not exist; relative error (A + 8 + 2 max|q|/c)
        ulps.
    Raises: InputError: if `c` is not positive and finite, or `q` is no table of action values.

    Example:
        >>> merl_policy([[1.0, 0.0]], c=1.0).round(4).tolist()
        [[0.7311, 0.2689]]
    """
    table, temperature = as_action_values(q), as_temperature(c, name="c")
    return np.asarray(softmax(table / temperature, axis=1), dtype=np.float64)


def merl_counterexample_probability(k1: int, *, gamma: float, c: float) -> float:
    r"""Probability that MERL takes the worse action, $\pi^*_{merl}(a_1|s_0)$, talk, MERL counterexample.

    $$\pi^*_{merl}(a_1|s_0) = 1/(k_1^{-\gamma}\exp(1/c) + 1)$$

    Computed as the logistic function of $\gamma\log k_1 - 1/c$, which cannot overflow. Above 1/2 iff
    $k_1^{-\gamma}\exp(1/c) < 1$.

    Args: k1: number of actions in s1, >= 1. gamma: discount in [0, 1). c: entropy coefficient > 0.
    Returns: the probability; relative error (4 + gamma log k1 + 1/c) ulps.
    Raises: InputError: if `k1 < 1`, `gamma` lies outside [0, 1), or `c` is not positive and finite.

    Example:
        >>> round(merl_counterexample_probability(16, gamma=0.5, c=1.0), 4)
        0.5954
    """
    require(k1 >= 1, "k1", k1, "must be at least 1")
    require(0 <= gamma < 1, "gamma", gamma, "must lie in [0, 1)")
    return float(expit(gamma * math.log(k1) - 1 / as_temperature(c, name="c")))


def merl_objective(mdp: TabularMDP, *, pi: ArrayLike, c: float) -> float:
    r"""MERL objective, expected discounted reward and entropy, talk, Maximum Entropy RL.

    $$E_{q_\theta(\tau)}\Big[\sum_t \gamma^t (r_t - c\log\pi_\theta(a_t|s_t))\Big]$$

    Exact: $p_0^\top (I - \gamma P_\pi)^{-1} (r_\pi + c\,\mathcal H(\pi))$, one linear solve.

    Deviation: 1. discounted and infinite, see the module; 2. c = 0, the plain return, is allowed.

    Args: mdp: finite MDP. pi: `[S, A]` policy. c: entropy coefficient >= 0, reward units a nat.
    Returns: the objective in reward units; error (S^2 + A + 16) ulps of (max|r| + c log A)/(1 - gamma)^2.
    Raises: InputError: if `pi` is no policy, or `c` is negative or not finite.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> round(merl_objective(mdp, pi=[[0.5, 0.5]], c=1.0), 4)
        2.3863
    """
    policy = as_policy(pi, mdp, name="pi")
    require(0 <= c < np.inf, "c", c, "must be non-negative and finite")
    gain = (policy * mdp.reward).sum(axis=1) + float(c) * entropy(policy)
    v = _solve(mdp, policy, gain)
    return float(mdp.initial @ v)


def _solve(mdp: TabularMDP, policy: Array, gain: Array) -> Array:
    """`(I - gamma P_pi)^-1 gain`, by a dense or a sparse LU factorisation."""
    if isinstance(mdp.transition, np.ndarray):
        p_pi = np.einsum("sa,sat->st", policy, mdp.transition)
        out: Array = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, gain)
        return out
    rows = np.repeat(np.arange(mdp.n_states), mdp.n_actions)
    columns = np.arange(rows.size)
    mix = sparse.csr_array((policy.ravel(), (rows, columns)), shape=(mdp.n_states, rows.size))
    system = sparse.eye_array(mdp.n_states) - mdp.gamma * (mix @ mdp.transition)
    return np.asarray(spsolve(sparse.csc_array(system), gain), dtype=np.float64)
