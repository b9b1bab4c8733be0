"""Iterates of textbook value and policy iteration, for claims about their paths, not their limits."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.arguments import as_whole
from virel_theory.checks import Array, as_non_negative
from virel_theory.mdp.policy_system import direct_solve
from virel_theory.mdp.tables import as_actions, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.backups import backups
from virel_theory.solvers.problem import problem


def policy_iteration_iterates(
    mdp: TabularMDP, *, policy0: ArrayLike, n_steps: int, tie_tol: float = 0.0
) -> list[tuple[NDArray[np.intp], Array]]:
    r"""Iterates $(\pi_k, Q^{\pi_k})$ of textbook policy iteration, Puterman 1994, Section 6.4.

    $\pi_{k+1}(s)$ is the lowest action within `tie_tol` of $\max_a Q^{\pi_k}(s, a)$; it is not kept when it
    is merely as good.

    Args:
        mdp: the MDP.
        policy0: `[S]` first policy, one existing action per state.
        n_steps: number of improvement steps.
        tie_tol: actions within this of the maximum (reward units) count as tied.

    Returns:
        `n_steps + 1` pairs `(policy [S], q [S, A])`; q within the rounding of a direct solve.

    Raises:
        InputError: if `policy0` takes an action that does not exist, or `n_steps` or `tie_tol` is negative.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
        >>> [p.tolist() for p, q in policy_iteration_iterates(mdp, policy0=[0], n_steps=1)]
        [[0], [1]]
    """
    b = backups(problem(mdp, atol=0.0, rtol=0.0, sense="max"))
    policy, tolerance = as_actions(policy0, mdp, name="policy0"), as_non_negative(tie_tol, name="tie_tol")
    n = as_whole(n_steps, name="n_steps")
    states, scratch = np.arange(mdp.n_states), np.empty(mdp.n_states)
    out = []
    for _ in range(n + 1):
        b.policy[:] = policy
        v = direct_solve(b.policy_matrix(), mdp.gamma, b.reward[states, policy])
        b.full(v, scratch)
        q = b.q.copy()
        out.append((policy, q))
        policy = (q >= q.max(axis=1, keepdims=True) - tolerance).argmax(axis=1)
    return out


def value_iteration_iterates(mdp: TabularMDP, *, q0: ArrayLike, n_steps: int) -> list[Array]:
    r"""Iterates $Q_{k+1} = T^* Q_k$ of plain value iteration, Puterman 1994, Section 6.3.

    Args:
        mdp: the MDP.
        q0: `[S, A]` first table.
        n_steps: number of applications of T*.

    Returns:
        `n_steps + 1` tables `[S, A]`, the first a copy of `q0`; each step adds the rounding of one backup.

    Raises:
        InputError: if `q0` is not a finite table, or `n_steps` is negative.

    Example:
        >>> mdp = TabularMDP([[[1.0]]], [[1.0]], 0.5)
        >>> [q.item() for q in value_iteration_iterates(mdp, q0=[[0.0]], n_steps=2)]
        [0.0, 1.0, 1.5]
    """
    n, b = as_whole(n_steps, name="n_steps"), backups(problem(mdp, atol=0.0, rtol=0.0, sense="max"))
    scratch = np.empty(mdp.n_states)
    out = [as_table(q0, mdp, name="q0").copy()]
    for _ in range(n):
        b.full(out[-1].max(axis=1), scratch)
        out.append(b.q.copy())
    return out
