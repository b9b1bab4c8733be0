r"""Gradients of the E-step and the M-step: Eqs. (6), (7), (25), App. E.2, E.4 and F.3.

A policy `pi_theta [S, A]` comes with its score `score [S, A, M]`, the gradients of $\log\pi_\theta(a|s)$,
whatever its parametrisation; `log_linear_policy` and `log_linear_score` are one (unit vectors as features:
tabular softmax).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from virel_theory.checks import (
    Array,
    as_distribution,
    as_finite,
    as_plain_policy,
    as_temperature,
)
from virel_theory.gradients.pairs import (
    action_mean,
    as_jacobian,
    as_jacobian_of,
    centre_actions,
    finite,
    mean_over_pairs,
)
from virel_theory.mdp.policy_system import lu_solve, mixed_rows, transposed
from virel_theory.mdp.tables import as_policy, as_residual, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import boltzmann_policy


def log_linear_policy(mdp: TabularMDP, features: ArrayLike, theta: ArrayLike) -> Array:
    r"""Log-linear policy $\pi_\theta(a|s) \propto \exp(x(h)^\top\theta)$ with features x(h), App. E.1.

    Args: mdp: finite MDP. features: `[S, A, M]`. theta: `[M]`.
    Returns: `[S, A]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> log_linear_policy(mdp, [[[1.0], [0.0]]], [0.0]).tolist()
        [[0.5, 0.5]]
    """
    x = as_jacobian(features, mdp, name="features")
    logits = x @ as_finite(theta, (x.shape[2],), name="theta")
    return boltzmann_policy(np.where(mdp.available, logits, -np.inf), eps=1.0)


def log_linear_score(mdp: TabularMDP, features: ArrayLike, *, pi_theta: ArrayLike) -> Array:
    r"""Score of a log-linear policy, $\nabla_\theta\log\pi_\theta(a|s) = x(h) - E_{\pi_\theta}[x]$, App. E.1.

    Args: mdp: finite MDP. features: `[S, A, M]`. pi_theta: `[S, A]`.
    Returns: `[S, A, M]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> log_linear_score(mdp, [[[1.0], [0.0]]], pi_theta=[[0.5, 0.5]]).tolist()
        [[[0.5], [-0.5]]]
    """
    pi, x = as_policy(pi_theta, mdp, name="pi_theta"), as_jacobian(features, mdp, name="features")
    return as_jacobian(centre_actions(x, pi=pi), mdp)


def grad_entropy(pi_theta: ArrayLike, score: ArrayLike) -> Array:
    r"""Gradient of a policy's entropy, $-E_{\pi_\theta}[\log\pi_\theta\,\nabla\log\pi_\theta]$, Eq. (25).

    Args: pi_theta: `[S, A]`. score: `[S, A, M]`.
    Returns: `[S, M]`, with 0 log 0 = 0.
    Raises: InputError: on wrong shapes.

    Example:
        >>> grad_entropy([[0.5, 0.5]], [[[0.5], [-0.5]]]).tolist()
        [[0.0]]
    """
    pi = as_plain_policy(pi_theta, name="pi_theta")
    slope = as_jacobian_of(score, np.ones(pi.shape, np.bool_), name="score")
    out: Array = 0.0 - np.einsum("sa,sam->sm", xlogy(pi, pi), slope)
    return out


def e_step_gradient(
    mdp: TabularMDP, q: ArrayLike, *, pi_theta: ArrayLike, score: ArrayLike, d: ArrayLike, eps: float
) -> Array:
    r"""Actor's gradient $\varepsilon_{\omega_k}\nabla_\theta\mathcal L(\omega_k, \theta)$, Eq. (6) and (25).

    $$E_{d(s)}\big[E_{\pi_\theta}[\hat Q_{\omega_k}(h)\nabla_\theta\log\pi_\theta(a|s)]
    + \varepsilon_{\omega_k}\nabla_\theta\mathcal H(\pi_\theta(a|s))\big]$$

    Args: mdp: finite MDP. q: `[S, A]`. pi_theta: `[S, A]`. score: `[S, A, M]`. d: `[S]`. eps: > 0.
    Returns: `[M]`.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a temperature that is not
        positive.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> half, score = [[0.5, 0.5]], [[[0.5], [-0.5]]]
        >>> e_step_gradient(mdp, [[1.0, 0.0]], pi_theta=half, score=score, d=[1.0], eps=1.0).tolist()
        [0.25]
    """
    eps, pi = as_temperature(eps, name="eps"), as_policy(pi_theta, mdp, name="pi_theta")
    slope, weights = as_jacobian(score, mdp, name="score"), as_distribution(d, mdp.n_states, name="d")
    values = finite(as_table(q, mdp, name="q"))[:, :, None]
    out: Array = weights @ (action_mean(values * slope, pi) + eps * grad_entropy(pi, slope))
    return out


def m_step_gradient(
    mdp: TabularMDP,
    q: ArrayLike,
    b_omega: ArrayLike,
    *,
    pi_theta: ArrayLike,
    d: ArrayLike,
    eps: float,
    grad_eps: ArrayLike,
) -> Array:
    r"""Critic's gradient: $\varepsilon_{\omega_i}^2$ times $\nabla_\omega\mathcal L$, Eq. (7), App. E.2.

    $$\varepsilon_{\omega_i}E_{d\,\pi_{\theta_{k+1}}}[\nabla_\omega\hat Q_\omega(h)]
    - E_{d\,\pi_{\theta_{k+1}}}[\hat Q_\omega(h)]\,\nabla_\omega\varepsilon_\omega$$

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. pi_theta: `[S, A]`. d: `[S]`. eps: > 0.
        grad_eps: `[N]`.
    Returns: `[N]`.
    Raises: InputError: on wrong shapes, rows that are not distributions, or a temperature that is not
        positive.

    Example:
        >>> mdp = TabularMDP([[[1.0]]], [[0.0]], 0.5)
        >>> one = [[1.0]]
        >>> m_step_gradient(mdp, [[3.0]], [[[2.0]]], pi_theta=one, d=[1.0], eps=0.5, grad_eps=[1.0]).tolist()
        [-2.0]
    """
    eps, pi = as_temperature(eps, name="eps"), as_policy(pi_theta, mdp, name="pi_theta")
    b, weights = as_jacobian(b_omega, mdp), as_distribution(d, mdp.n_states, name="d")
    d_eps = as_finite(grad_eps, (b.shape[2],), name="grad_eps")
    mean_q = weights @ action_mean(finite(as_table(q, mdp, name="q")), pi)
    out: Array = eps * (weights @ action_mean(b, pi)) - mean_q * d_eps
    return out


def direct_gradient(mdp: TabularMDP, beta: ArrayLike, b_omega: ArrayLike) -> Array:
    r"""Direct (semi-)gradient $-E[\beta_\omega\nabla\hat Q_\omega]$ of the residual error, App. F.3.

    The gradient of $\frac12 E[(\mathrm{sg}[\mathcal T_\omega\hat Q_\omega] - \hat Q_\omega)^2]$, with the
    sign of its M-step display.

    Args: mdp: finite MDP. beta: $\mathcal T_\omega\hat Q_\omega - \hat Q_\omega$, `[S, A]`. b_omega:
        `[S, A, N]`.
    Returns: `[N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> direct_gradient(mdp, [[2.0, 0.0]], [[[1.0], [1.0]]]).tolist()
        [-1.0]
    """
    residual = as_residual(beta, mdp, name="beta")
    return -mean_over_pairs(mdp, residual[:, :, None] * as_jacobian(b_omega, mdp))


def discounted_occupancy(mdp: TabularMDP, *, pi: ArrayLike) -> Array:
    r"""Discounted occupancy $\rho^\pi(s) = \sum_t \gamma^t P(s_t = s)$, not normalised, App. E.4.

    Args: mdp: finite MDP. pi: `[S, A]`.
    Returns: `[S]`, of sum $1/(1-\gamma)$.
    Raises: InputError: if `pi` is not a policy of the MDP.

    Example:
        >>> discounted_occupancy(TabularMDP([[[1.0]]], [[0.0]], 0.5), pi=[[1.0]]).tolist()
        [2.0]
    """
    policy = as_policy(pi, mdp, name="pi")
    return lu_solve(transposed(mixed_rows(mdp.transition, policy)), mdp.gamma, mdp.initial)


def policy_gradient(mdp: TabularMDP, q_pi: ArrayLike, *, pi_theta: ArrayLike, score: ArrayLike) -> Array:
    r"""Policy gradient $E_{\rho^\pi(s)}[E_{\pi_\theta}[Q^\pi(h)\nabla_\theta\log\pi_\theta]]$, App. E.4.

    Args: mdp: finite MDP. q_pi: the exact $Q^\pi$, `[S, A]`. pi_theta: `[S, A]`. score: `[S, A, M]`.
    Returns: `[M]`.
    Raises: InputError: on wrong shapes or if `pi_theta` is not a policy.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0)
        >>> policy_gradient(mdp, [[1.0, 0.0]], pi_theta=[[0.5, 0.5]], score=[[[0.5], [-0.5]]]).tolist()
        [0.25]
    """
    pi, slope = as_policy(pi_theta, mdp, name="pi_theta"), as_jacobian(score, mdp, name="score")
    values = finite(as_table(q_pi, mdp, name="q_pi"))[:, :, None]
    out: Array = discounted_occupancy(mdp, pi=pi) @ action_mean(values * slope, pi)
    return out
