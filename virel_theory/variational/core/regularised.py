r"""The objective J(pi, theta) of Marino et al. with a discount: values, backups and the objective itself.

$$J(\pi, \theta)
= E_\pi\Big[\sum_t\gamma^t\Big(r_t - \alpha\log\frac{\pi(a_t|s_t)}{p(a_t|s_t)^\rho}\Big)\Big]$$

Deviations of all functions: 1. infinite horizon and a discount gamma < 1, where the paper has a finite sum
and gamma = 1; 2. the sum of (8) starts at t (`design-10`: as printed it would miss the term of step t); 3. a
prior exponent rho, 1 in the paper (`core.e_step`).

Rounding: a value is the solution of a linear system whose condition number is at most (1 + gamma)/(1 - gamma)
in the maximum norm; with B = max|r| + alpha (max|log pi| + max|log p|) its error is (S + 2 A + 32) ulps of
B / (1 - gamma)^2. A backup has (S + 2 A + 16) ulps of max|q| + B.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_non_negative
from virel_theory.mdp.policy_system import lu_solve, mix, mixed_rows
from virel_theory.mdp.tables import as_policy, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import (
    log_prior_weights,
    one_step_objective,
    penalty,
    soft_maximum,
)


def regularised_value(
    mdp: TabularMDP, *, pi: ArrayLike, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> Array:
    r"""Soft state value $V_\pi$ of a policy under a prior, Marino et al., Eq. (8).

    $$V_\pi(s) = E_\pi\Big[\sum_{t' \ge t}\gamma^{t'-t}\Big(r_{t'}
    - \alpha\log\frac{\pi(a_{t'}|s_{t'})}{p(a_{t'}|s_{t'})^\rho}\Big)\Big]$$

    Args:
        mdp: finite MDP.
        pi: `[S, A]` policy.
        prior: `[S, A]` prior policy $p$.
        alpha: temperature >= 0, reward units per nat; 0 gives the plain value $V^\pi$.
        exponent: prior exponent rho in [0, 1].

    Returns: `[S]`, reward units; deviations and rounding: see the module.
    Raises: InputError: if an argument is out of its range, or `pi` has mass where `prior` has none.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> regularised_value(mdp, pi=[[1.0, 0.0]], prior=[[0.5, 0.5]], alpha=1.0).round(4).tolist()
        [0.6137]
    """
    policy = as_policy(pi, mdp, name="pi")
    _, log_p = log_prior_weights(np.where(mdp.available, 0.0, -np.inf), prior, exponent)
    weight = as_non_negative(alpha, name="alpha")
    lost = (policy > 0) & np.isneginf(log_p)
    require(weight == 0 or not lost.any(), "prior", 0.0, "must be positive where `pi` has mass")
    gain = mix(policy, mdp.reward) - penalty(policy, log_p, weight)
    return lu_solve(mixed_rows(mdp.transition, policy), mdp.gamma, gain)


def regularised_action_value(
    mdp: TabularMDP, *, pi: ArrayLike, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> Array:
    r"""Soft action value $Q_\pi(s, a) = r(s, a) + \gamma E[V_\pi(s')]$, Marino et al., Eq. (9).

    Args: mdp, pi, prior, alpha, exponent: as in `regularised_value`.
    Returns: `[S, A]`, reward units, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: as `regularised_value`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> half = [[0.5, 0.5]]
        >>> regularised_action_value(mdp, pi=half, prior=half, alpha=1.0).tolist()
        [[1.5, 0.5]]
    """
    v = regularised_value(mdp, pi=pi, prior=prior, alpha=alpha, exponent=exponent)
    return back_up(mdp, v)


def regularised_objective(
    mdp: TabularMDP, *, pi: ArrayLike, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> float:
    r"""Variational objective $J(\pi, \theta)$, Marino et al., Eq. (7).

    $$J(\pi, \theta) = E_{s \sim p_0}[V_\pi(s)]$$

    Args: mdp, pi, prior, alpha, exponent: as in `regularised_value`.
    Returns: reward units; deviations and rounding: see the module.
    Raises: InputError: as `regularised_value`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> half = [[0.5, 0.5]]
        >>> regularised_objective(mdp, pi=half, prior=half, alpha=1.0)
        1.0
    """
    v = regularised_value(mdp, pi=pi, prior=prior, alpha=alpha, exponent=exponent)
    return float(mdp.initial @ v)


def bellman_regularised(
    mdp: TabularMDP, q: ArrayLike, *, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> Array:
    r"""Bellman operator of the best posterior, Marino et al., Eqs. (9)-(11).

    $$(T Q)(s, a) = r(s, a) + \gamma E\Big[\alpha\log\sum_{a'}p(a'|s')^\rho\exp(Q(s', a')/\alpha)\Big]$$

    Monotone, and a contraction by gamma in the maximum norm. At rho = 0 it is `bellman_soft`.

    Args: mdp: finite MDP. q: `[S, A]`, reward units. prior, alpha, exponent: as in `posterior_policy`.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs, or as `posterior_policy`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> bellman_regularised(mdp, [[2.0, 2.0]], prior=[[0.25, 0.75]], alpha=1.0).tolist()
        [[2.0, 1.0]]
    """
    table = as_table(q, mdp, name="q")
    return back_up(mdp, soft_maximum(table, prior=prior, alpha=alpha, exponent=exponent))


def bellman_regularised_policy(
    mdp: TabularMDP, q: ArrayLike, *, pi: ArrayLike, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> Array:
    r"""Bellman operator of a policy under a prior, Marino et al., Eqs. (9) and (10).

    $$(T_\pi Q)(s, a) = r(s, a) + \gamma E\Big[E_\pi[Q(s', a')]
    - \alpha\sum_{a'}\pi(a'|s')\log\frac{\pi(a'|s')}{p(a'|s')^\rho}\Big]$$

    Args: mdp: finite MDP. q: `[S, A]`, reward units. pi: `[S, A]` policy. prior, alpha, exponent: as in
        `regularised_value`.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs, or as `regularised_value`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> half = [[0.5, 0.5]]
        >>> bellman_regularised_policy(mdp, [[2.0, 0.0]], pi=half, prior=half, alpha=1.0).tolist()
        [[1.5, 0.5]]
    """
    table = as_table(q, mdp, name="q")
    v = one_step_objective(table, pi=pi, prior=prior, alpha=alpha, exponent=exponent)
    require(bool(np.isfinite(v).all()), "prior", 0.0, "must be positive where `pi` has mass")
    return back_up(mdp, v)


def back_up(mdp: TabularMDP, v: Array) -> Array:
    """Bellman backup `r + gamma E[v(s')]` of state values v, `[S, A]`, `-inf` where the action is missing."""
    out: Array = mdp.reward + mdp.gamma * mdp.expect_next(v)
    return out if mdp.mask is None else np.where(mdp.mask, out, -np.inf)
