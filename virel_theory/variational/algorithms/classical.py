r"""Policy iteration and soft policy iteration, as iterates that plots can compare.

The solvers of `virel_theory.solvers` stop with a guarantee on the optimum; these never stop, and give the
policy that acts after every iteration.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_non_negative, as_temperature
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import greedy_policy
from virel_theory.variational.core.e_step import as_exponent, expected_kl, posterior_policy
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.regularised import back_up, regularised_action_value


def policy_iteration_steps(
    mdp: TabularMDP,
    *,
    tie_tol: float = 0.0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of policy iteration, modified with `sweeps`, Puterman 1994, Sections 6.4 and 6.5.

    From $\pi_0$ = `prior`, for k = 1, 2, ...: $Q_{k-1} = r + \gamma E[v_{k-1}(s')]$ with $v_{k-1} =
    V^{\pi_{k-1}}$, and $\pi_k$ uniform over the actions within `tie_tol` of $\max_a Q_{k-1}(s, a)$, among all
    that exist. With `sweeps`, $v_k$ is that many backups $T^{\pi_k}$ of $v_{k-1}$, from $v_{-1} = 0$.

    Args:
        mdp: finite MDP.
        tie_tol: actions within this of the maximum count as tied, reward units.
        prior: `[S, A]` first policy $\pi_0$; None: uniform over the actions that exist.
        d: `[S]` state distribution of `kl`; None: uniform.
        sweeps: backups per evaluation; None: exact evaluation by a direct solve.

    Returns:
        Endless iterator of `Iterate`: `q` $Q_{k-1}$; `posterior`, `prior` and `policy` all $\pi_k$;
        `temperature` 0; `kl` $E_d KL(\pi_k\|\pi_{k-1})$, infinite where $\pi_k$ takes an action that
        $\pi_{k-1}$ does not.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> first = next(policy_iteration_steps(mdp))
        >>> first.policy.tolist(), first.value, first.q.tolist()
        ([[1.0, 0.0]], 2.0, [[1.5, 0.5]])
    """
    tolerance = as_non_negative(tie_tol, name="tie_tol")
    policy, weights = first_prior(prior, mdp), state_distribution(d, mdp)
    return _policy_iteration(mdp, tolerance, policy, weights, as_sweeps(sweeps))


def soft_policy_iteration_steps(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    exponent: float = 1.0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
) -> Iterates:
    r"""Iterates of soft policy iteration under a fixed prior, Haarnoja et al. 2018, Section 4.2.

    From $\pi_0 = p$ = `prior`, for k = 1, 2, ...: $Q_{k-1} = Q_{\pi_{k-1}}$, the soft action values of Marino
    et al., Eq. (9), by a direct solve, and $\pi_k(a|s) \propto p(a|s)^\rho e^{Q_{k-1}(s, a)/\alpha}$.

    Args:
        mdp: finite MDP.
        alpha: temperature > 0, reward units per nat.
        exponent: prior exponent rho in [0, 1]; 0: an entropy bonus, the prior then only starts.
        prior: `[S, A]` prior p; None: uniform over the actions that exist.
        d: `[S]` state distribution of `kl`; None: uniform.

    Returns:
        Endless iterator of `Iterate`: `q` $Q_{k-1}$, `posterior` and `policy` $\pi_k$, `prior` p,
        `temperature` alpha, `kl` $E_d KL(\pi_k\|p)$.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> next(soft_policy_iteration_steps(mdp, alpha=1.0)).policy.round(4).tolist()
        [[0.7311, 0.2689]]
    """
    policy, weights = first_prior(prior, mdp), state_distribution(d, mdp)
    temperature, rho = as_temperature(alpha, name="alpha"), as_exponent(exponent)
    return _soft_policy_iteration(mdp, temperature, rho, policy, weights)


def _policy_iteration(
    mdp: TabularMDP, tie_tol: float, policy: Array, d: Array, sweeps: int | None
) -> Iterates:
    v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=sweeps)
    q, k = back_up(mdp, v), 0
    while True:
        k, old, policy = k + 1, policy, greedy_policy(q, tie_tol=tie_tol)
        v = evaluate(mdp, policy=policy, v=v, sweeps=sweeps)
        found, kl = certified(mdp, policy=policy, v=v), expected_kl(policy, old, d=d)
        yield Iterate(k, q, policy, policy, policy, 0.0, kl, found.value, found.error, found.bound)
        q = found.q


def _soft_policy_iteration(
    mdp: TabularMDP, alpha: float, exponent: float, prior: Array, d: Array
) -> Iterates:
    policy, k = prior, 0
    while True:
        q = regularised_action_value(mdp, pi=policy, prior=prior, alpha=alpha, exponent=exponent)
        k, policy = k + 1, posterior_policy(q, prior=prior, alpha=alpha, exponent=exponent)
        v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=None)
        found, kl = certified(mdp, policy=policy, v=v), expected_kl(policy, prior, d=d)
        yield Iterate(k, q, policy, prior, policy, alpha, kl, found.value, found.error, found.bound)
