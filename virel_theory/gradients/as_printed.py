r"""Derivatives exactly as the paper prints them, misprints included; `verify` refutes them.

The correct ones, of the same shapes, are in `residual_error` and `em_steps`.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_temperature
from virel_theory.gradients.pairs import (
    as_jacobian,
    centre_actions,
    expect_next,
    finite,
    mean_over_pairs,
    one_hot_argmax,
)
from virel_theory.gradients.residual_error import grad_beta_fixed_policy, grad_log_incremental
from virel_theory.mdp.tables import as_residual, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import boltzmann_policy


def grad_beta_optimal_as_printed(mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike) -> Array:
    r"""Derivative of the Bellman residual under $\mathcal T^*$ as printed, without $\gamma$, App. E.3.

    $$E_{s' \sim p(s'|h)}[\nabla_\omega\hat Q_\omega(a^*,s')] - \nabla_\omega\hat Q_\omega(h)$$

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`.
    Returns: `[S, A, N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_beta_optimal_as_printed(mdp, [[0.0, 1.0]], [[[1.0], [4.0]]]).tolist()
        [[[3.0], [0.0]]]
    """
    b = as_jacobian(b_omega, mdp)
    return expect_next(mdp, b, pi=one_hot_argmax(as_table(q, mdp, name="q"))) - b


def theorem_4_as_printed(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, beta: ArrayLike, eps: float
) -> Array:
    r"""Expected derivative of the Boltzmann policy in $\omega$ as printed, misprints included, Thm 4.

    $$\frac{\varepsilon_\omega E[\beta_\omega\Gamma_\omega]\,\mathbb E_\omega\hat Q_\omega + \mathbb
    E_\omega[\nabla_\omega\hat Q_\omega]}
    {\varepsilon_\omega^2\,(1 + \gamma E[\beta_\omega E_\omega[\hat Q_\omega(h')]])}$$

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. beta: residual, `[S, A]`. eps: > 0.
    Returns: `[N]`; not finite where the printed denominator is 0.
    Raises: InputError: on wrong shapes or `eps`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.0)
        >>> theorem_4_as_printed(mdp, [[1, 1]], [[[1], [0]]], beta=[[1, 1]], eps=0.5).round(9).tolist()
        [0.0]
    """
    table, b = as_table(q, mdp, name="q"), as_jacobian(b_omega, mdp)
    residual, weight = as_residual(beta, mdp, name="beta"), finite(as_table(q, mdp, name="q"))
    eps = as_temperature(eps, name="eps")
    pi = boltzmann_policy(table, eps=eps)
    centred = np.where(pi > 0, centre_actions(table, pi=pi), 0.0) / eps
    on_q = mean_over_pairs(mdp, residual * expect_next(mdp, weight * centred, pi=pi))
    inner = expect_next(mdp, weight[:, :, None] * centre_actions(b, pi=pi), pi=pi)
    on_grad = mean_over_pairs(mdp, residual[:, :, None] * inner)
    fixed = mean_over_pairs(mdp, residual[:, :, None] * grad_beta_fixed_policy(mdp, b, pi=pi))
    denominator = 1 + mdp.gamma * mean_over_pairs(mdp, residual * expect_next(mdp, weight, pi=pi))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        out: Array = (fixed * on_q + on_grad / eps / eps) / denominator  # eps**2 may underflow
    return out


def grad_eps_as_printed(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, beta: ArrayLike, eps: float
) -> Array:
    r"""Gradient of the residual error under $\mathcal T^{\pi_\omega}$ as printed, Eq. (30).

    The right side of Theorem 4 as printed, plus $E[\beta_\omega\Gamma_\omega]$, without the $\gamma$ of (28).

    Args, Returns, Raises: as `theorem_4_as_printed`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.0)
        >>> grad_eps_as_printed(mdp, [[1, 1]], [[[1], [0]]], beta=[[1, 1]], eps=0.5).tolist()
        [-0.5]
    """
    b, residual = as_jacobian(b_omega, mdp), as_residual(beta, mdp, name="beta")
    gamma_omega = grad_beta_fixed_policy(mdp, b, pi=boltzmann_policy(as_table(q, mdp, name="q"), eps=eps))
    fixed = mean_over_pairs(mdp, residual[:, :, None] * gamma_omega)
    return theorem_4_as_printed(mdp, q, b, beta=residual, eps=eps) + fixed


def grad_beta_incremental_as_printed(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, eps_k: float
) -> Array:
    r"""Derivative of the incremental residual as printed, without $\gamma$ and a factor $\hat Q$, Eq. (31).

    $$E_{\omega,k}[\nabla_\omega\log p_{\omega,k}(a'|s') + \nabla_\omega\hat Q_\omega(h')] -
    \nabla_\omega\hat Q_\omega(h)$$

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. eps_k: > 0.
    Returns: `[S, A, N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_beta_incremental_as_printed(mdp, [[1.0, 1.0]], [[[1.0], [0.0]]], eps_k=1.0).round(9).tolist()
        [[[-0.5], [0.5]]]
    """
    table, b, eps_k = (
        as_table(q, mdp, name="q"),
        as_jacobian(b_omega, mdp),
        as_temperature(eps_k, name="eps_k"),
    )
    inner = grad_log_incremental(table, b, eps_k=eps_k) + b
    return expect_next(mdp, inner, pi=boltzmann_policy(table, eps=eps_k)) - b


def direct_gradient_as_printed(mdp: TabularMDP, beta: ArrayLike, b_omega: ArrayLike) -> Array:
    r"""Direct gradient of the residual error, with the sign of its first display in the paper, App. F.3.

    $$-E[(\hat Q_\omega(h) - \mathcal T_\omega\hat Q_\omega(h))\,\nabla_\omega\hat Q_\omega(h)]$$

    Args: mdp: finite MDP. beta: $\mathcal T_\omega\hat Q_\omega - \hat Q_\omega$, `[S, A]`. b_omega:
        `[S, A, N]`.
    Returns: `[N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> direct_gradient_as_printed(mdp, [[2.0, 0.0]], [[[1.0], [1.0]]]).tolist()
        [1.0]
    """
    residual = as_residual(beta, mdp, name="beta")
    return -mean_over_pairs(mdp, -residual[:, :, None] * as_jacobian(b_omega, mdp))
