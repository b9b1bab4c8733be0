r"""Bellman operators on tables: $T^\pi$, $T^*$, $T_\omega$, $T_{\omega,k}$, and the soft operator of MERL.

All have the form $(T Q)(h) = r(h) + \gamma E_{p(s'|h)}[V(s')]$ and differ in how they build $V$ from $Q$.
They take `-inf` (or anything) where an action does not exist, and return `-inf` there.

Rounding bound of every operator, whatever the temperature: (4 A + S + 16) u (M + max|r|) with u = 2.2e-16 and
M the largest |q| or |V| (hence c log A more for the soft operator). Derivation: an exponent x = (q - max
q)/eps carries an error u |x|, its weight e^x thus u |x| e^x <= u/e, and |x| e^x (max q - q) <= 2 M / e; there
are A such terms in numerator and denominator, A u / 2 for each of their sums, the expectation over S
successors, and a few single roundings. A backup beyond float64's range is infinite, with numpy's warning.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, as_non_negative
from virel_theory.mdp.tables import as_policy, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators import kernels


def state_value(mdp: TabularMDP, q: ArrayLike, *, pi: ArrayLike) -> Array:
    r"""State value $V^\pi(s) = E_{a \sim \pi(a|s)}[Q(h)]$, Sutton and Barto 2018, Section 3.5.

    Args: mdp: finite MDP. q: `[S, A]`, reward units. pi: `[S, A]` policy.
    Returns: `[S]`, a new array; exact within (A + 1) ulps of max|q|.
    Raises: InputError: if `q` is not finite on the existing pairs, or `pi` is not a policy.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> state_value(mdp, [[2.0, 0.0]], pi=[[0.5, 0.5]]).tolist()
        [1.0]
    """
    table, policy = as_table(q, mdp, name="q"), as_policy(pi, mdp, name="pi")
    out = np.empty(mdp.n_states)
    kernels.policy_mean(table, policy, out)
    return out


def bellman_policy(mdp: TabularMDP, q: ArrayLike, *, pi: ArrayLike) -> Array:
    r"""Bellman operator of a policy, $T^\pi Q(h) = r(h) + \gamma E_{p(s'|h)\pi(a'|s')}[Q(h')]$, Eq. (2).

    Args: mdp: finite MDP, S states and A actions. q: `[S, A]`, reward units. pi: `[S, A]` policy.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs, or `pi` is not a policy.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> bellman_policy(mdp, [[2.0, 0.0]], pi=[[0.5, 0.5]]).tolist()
        [[1.5, 0.5]]
    """
    table, policy = as_table(q, mdp, name="q"), as_policy(pi, mdp, name="pi")
    v_next = np.empty(mdp.n_states)
    kernels.policy_mean(table, policy, v_next)
    return _back_up(mdp, v_next)


def bellman_optimal(mdp: TabularMDP, q: ArrayLike) -> Array:
    r"""Optimal Bellman operator, $T^* Q(h) = r(h) + \gamma E_{p(s'|h)}[\max_{a'} Q(h')]$, Def. 2.

    Args: mdp: finite MDP. q: `[S, A]`, reward units.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> bellman_optimal(mdp, [[2.0, 0.0]]).tolist()
        [[2.0, 1.0]]
    """
    return _back_up(mdp, as_table(q, mdp, name="q").max(axis=1))


def bellman_boltzmann(mdp: TabularMDP, q: ArrayLike, *, eps: float) -> Array:
    r"""Bellman operator of the Boltzmann policy, $T_\omega = T^{\pi_\omega}$ at a given temperature, App. C.

    The paper's temperature is the residual error that this operator produces; here it is an argument.

    Deviation: 1. `eps = 0` is the limit, the mean over the tied maximisers, i.e. their maximum.

    Args: mdp: finite MDP. q: `[S, A]`, reward units. eps: $\varepsilon_\omega \ge 0$, reward units.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs, or `eps` is negative or not finite.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> bellman_boltzmann(mdp, [[2.0, 0.0]], eps=1.0).round(4).tolist()
        [[1.8808, 0.8808]]
    """
    table, temperature = as_table(q, mdp, name="q"), as_non_negative(eps, name="eps")
    if temperature == 0:
        return _back_up(mdp, table.max(axis=1))
    v_next = np.empty(mdp.n_states)
    kernels.boltzmann_policy_mean(table, temperature, v_next)
    return _back_up(mdp, v_next)


def bellman_incremental(mdp: TabularMDP, q: ArrayLike, *, eps_k: float) -> Array:
    r"""Incremental Bellman operator $T_{\omega,k}$, Eq. (36).

    $$(T_{\omega,k} Q)(h) = r(h) + \gamma E_{s' \sim p(s'|h),\, a' \sim p_{\omega,k}(a'|s')}[Q(h')]$$

    Deviation: 1. `eps_k = 0`, which (36) allows, is the limit of the Boltzmann mean: the maximum.

    Args: mdp: finite MDP. q: `[S, A]`, reward units. eps_k: temperature $\varepsilon_k \ge 0$, reward units.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs, or `eps_k` is negative or not finite.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> bellman_incremental(mdp, [[2.0, 0.0]], eps_k=1.0).round(4).tolist()
        [[1.8808, 0.8808]]
    """
    table, temperature = as_table(q, mdp, name="q"), as_non_negative(eps_k, name="eps_k")
    if temperature == 0:
        return _back_up(mdp, table.max(axis=1))
    v_next = np.empty(mdp.n_states)
    kernels.boltzmann_mean(table, temperature, v_next)
    return _back_up(mdp, v_next)


def bellman_soft(mdp: TabularMDP, q: ArrayLike, *, c: float) -> Array:
    r"""Soft Bellman operator of MERL, Haarnoja et al. 2017, Thm 3.

    $$(T Q)(h) = r(h) + \gamma E_{s' \sim p(s'|h)}\Big[c \log\sum_{a'}\exp(Q(h')/c)\Big]$$

    Monotone, a contraction by gamma in the maximum norm; between $T^* Q$ and $T^* Q + \gamma c \log A$.

    Deviation: 1. `c = 0` is the limit: the maximum. 2. discounted, as in the reference; the talk is not.

    Args: mdp: finite MDP. q: `[S, A]`, reward units. c: entropy coefficient >= 0, reward units per nat.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; rounding: see the module.
    Raises: InputError: if `q` is not finite on the existing pairs, or `c` is negative or not finite.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> bellman_soft(mdp, [[0.0, 0.0]], c=1.0).round(4).tolist()
        [[1.3466, 0.3466]]
    """
    table, temperature = as_table(q, mdp, name="q"), as_non_negative(c, name="c")
    if temperature == 0:
        return _back_up(mdp, table.max(axis=1))
    v_next = np.empty(mdp.n_states)
    kernels.log_sum_exp(table, temperature, v_next)
    return _back_up(mdp, v_next)


def _back_up(mdp: TabularMDP, v_next: Array) -> Array:
    """Bellman backup `r + gamma E[v_next]`, `[S, A]`, `-inf` where the action does not exist."""
    out: Array = mdp.reward + mdp.gamma * mdp.expect_next(v_next)
    return out if mdp.mask is None else np.where(mdp.mask, out, -np.inf)
