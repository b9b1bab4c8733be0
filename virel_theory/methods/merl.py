r"""Maximum-entropy RL (MERL), which VIREL is compared with: policy, objective, counterexample.

The soft optimal values are those of `solvers.soft`, for instance `soft_value_iteration`.

How discounting enters: the talk writes the undiscounted, finite sum $\sum_i r_i - c\log\pi_\theta(a_i|s_i)$,
but its counterexample contains gamma. Here the infinite sum is discounted, rewards and entropies alike:
$\sum_t \gamma^t (r_t - c\log\pi(a_t|s_t))$. With it the counterexample's closed form comes out as printed.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax

from virel_common.arguments import as_whole
from virel_theory.checks import Array, as_non_negative, as_temperature
from virel_theory.mdp.policy_system import lu_solve, mixed_rows
from virel_theory.mdp.tables import as_policy
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.mdp.validation import as_gamma
from virel_theory.operators.policies import as_action_values, entropy, scaled_differences


def merl_policy(q: ArrayLike, *, c: float) -> Array:
    r"""MERL policy $\pi(a|s) = \exp((Q(h) - V(s))/c)$, c the temperature, Haarnoja et al. 2017, Thm 1.

    $V(s) = c\log\sum_a\exp(Q(h)/c)$ is the soft state value.
    Optimal for the MERL objective if `q` are the soft optimal values (`soft_value_iteration`).

    Args: q: `[S, A]` soft values, reward units. c: entropy coefficient > 0, reward units per nat.
    Returns: `[S, A]` probabilities, 0 where the action does not exist; relative error (A + 8 + 2 max|q|/c)
        ulps.
    Raises: InputError: if `c` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> merl_policy([[1.0, 0.0]], c=1.0).round(4).tolist()
        [[0.7311, 0.2689]]
    """
    table, temperature = as_action_values(q), as_temperature(c, name="c")
    return np.asarray(softmax(scaled_differences(table, temperature), axis=1), dtype=np.float64)


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
    k1, gamma = as_whole(k1, name="k1", least=1), as_gamma(gamma)
    return float(expit(gamma * math.log(k1) - 1 / as_temperature(c, name="c")))


def merl_objective(mdp: TabularMDP, *, pi: ArrayLike, c: float) -> float:
    r"""MERL objective, expected discounted reward and entropy, talk, Maximum Entropy RL.

    $$E_{q_\theta(\tau)}\Big[\sum_t \gamma^t (r_t - c\log\pi_\theta(a_t|s_t))\Big]$$

    Exact: $p_0^\top (I - \gamma P_\pi)^{-1} (r_\pi + c\,\mathcal H(\pi))$, one linear solve.

    Deviation: 1. discounted and infinite, see the module; 2. c = 0, the plain return, is allowed.

    Args: mdp: finite MDP. pi: `[S, A]` policy. c: entropy coefficient >= 0, reward units per nat.
    Returns: the objective in reward units; error (S^2 + A + 16) ulps of (max|r| + c log A)/(1 - gamma)^2.
    Raises: InputError: if `pi` is not a policy of the MDP, or `c` is negative or not finite.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> round(merl_objective(mdp, pi=[[0.5, 0.5]], c=1.0), 4)
        2.3863
    """
    policy = as_policy(pi, mdp, name="pi")
    gain = (policy * mdp.reward).sum(axis=1) + as_non_negative(c, name="c") * entropy(policy)
    v = lu_solve(mixed_rows(mdp.transition, policy), mdp.gamma, gain)
    return float(mdp.initial @ v)
