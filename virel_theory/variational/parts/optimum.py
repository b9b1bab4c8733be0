r"""Regularised optimum of an MDP for a given prior, and the discounted visits of a policy.

Both are what block-wise maximisation of the objective (7) needs: the best posterior for a prior, and the
weights with which the objective counts the states.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_theory.checks import Array, U, as_temperature
from virel_theory.mdp.policy_system import lu_solve, mixed_rows, transposed
from virel_theory.mdp.tables import as_policy
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.regularised import back_up, regularised_value

MAX_STEPS = 1000


def regularised_optimum(
    mdp: TabularMDP, *, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> tuple[Array, Array]:
    r"""Action values and policy that maximise the objective (7) for a given prior, Eqs. (9), (11).

    $$Q^*(s, a) = r + \gamma E\Big[\alpha\log\sum_{a'}p(a'|s')^\rho e^{Q^*(s', a')/\alpha}\Big]$$

    Method: soft policy iteration (Newton's method) from the prior on: $Q := Q_\pi$ by a linear solve, then
    $\pi := p^\rho e^{Q/\alpha}/Z$, until no state's value changes by more than the rounding of a solve.

    Args: mdp: the MDP. prior: `[S, A]` prior policy. alpha: temperature > 0, reward units. exponent: rho.
    Returns: $Q^*$ `[S, A]`, `-inf` at missing actions, and $\pi^*$ `[S, A]`; the error of $Q^*$ is that of a
        linear solve, 64 (S + 8) ulps of (max|r| + alpha (max|log p| + log A))/(1 - gamma)^2.
    Raises: InputError: on a prior that is not a policy, or a temperature or exponent out of range.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> q, _ = regularised_optimum(mdp, prior=[[0.5, 0.5]], alpha=1.0, exponent=0.0)
        >>> q.round(4).tolist()  # log 2
        [[0.6931, 0.6931]]
    """
    p, temperature = as_policy(prior, mdp, name="prior"), as_temperature(alpha, name="alpha")
    unit = temperature + float(np.abs(mdp.reward).max())  # of the rounding: values may be far smaller
    pi, v = p, np.full(mdp.n_states, -np.inf)
    for _ in range(MAX_STEPS):
        before, v = v, regularised_value(mdp, pi=pi, prior=p, alpha=temperature, exponent=exponent)
        q = back_up(mdp, v)
        pi = posterior_policy(q, prior=p, alpha=temperature, exponent=exponent)
        size = unit + float(np.abs(v).max())
        if np.abs(v - before).max() <= 16 * U * size / (1 - mdp.gamma):
            break
    return q, pi


def visit_distribution(mdp: TabularMDP, *, pi: ArrayLike) -> Array:
    r"""Discounted distribution of visited states, $(1 - \gamma)\sum_t\gamma^tP(s_t = s)$, Eq. (7).

    The weights with which the objective counts the states, normalised.

    Args: mdp: the MDP. pi: `[S, A]` policy.
    Returns: `[S]` probabilities; error 64 (S + 8) ulps / (1 - gamma). Negative rounding errors are set to 0.
    Raises: InputError: if `pi` is not a policy of the MDP.

    Example:
        >>> mdp = TabularMDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.5, [1.0, 0.0])
        >>> visit_distribution(mdp, pi=[[1.0], [1.0]]).tolist()
        [0.5, 0.5]
    """
    policy = as_policy(pi, mdp, name="pi")
    found = lu_solve(transposed(mixed_rows(mdp.transition, policy)), mdp.gamma, mdp.initial)
    out = np.maximum(found, 0.0)
    return np.asarray(out / out.sum(), dtype=np.float64)


def visits_after(mdp: TabularMDP, *, pi: Array, d: Array, sweeps: int) -> Array:
    r"""State distribution after backups $d \leftarrow (1 - \gamma)p_0 + \gamma P_\pi^\top d$, cf. (7)."""
    rows = transposed(mixed_rows(mdp.transition, pi))
    for _ in range(sweeps):
        d = (1 - mdp.gamma) * mdp.initial + mdp.gamma * (rows @ d)
    return np.asarray(d / d.sum(), dtype=np.float64)


def state_weights(mdp: TabularMDP, pi: Array, before: Array, *, d: Array | None, sweeps: int | None) -> Array:
    """Weights of states in an M-step: `d` if given, else the visits of `pi`, exact or `sweeps` backups on."""
    if d is not None:
        return d
    return (
        visit_distribution(mdp, pi=pi)
        if sweeps is None
        else visits_after(mdp, pi=pi, d=before, sweeps=sweeps)
    )
