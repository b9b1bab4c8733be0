"""Howard's policy iteration by dense solves, with its error bound; EM is checked against it."""

import numpy as np

from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP


def solve_bound(mdp: TabularMDP) -> float:
    """Rounding bound on |Q - Q'| for two float64 evaluations of one policy; derived in `em.py`."""
    scale = 1 + float(np.abs(mdp.reward).max())
    return 32 * mdp.n_pairs * U * scale / (1 - mdp.gamma) ** 2


def lowest_greedy(q: Array, tie_tol: float) -> Array:
    """Greedy policy `[S]` by index: the lowest action within `tie_tol` of the maximum, in every state."""
    out: Array = np.argmax(q >= q.max(axis=1, keepdims=True) - tie_tol, axis=1)
    return out


def policy_iteration_steps(
    mdp: TabularMDP, policy: Array, n_steps: int, tie_tol: float
) -> list[tuple[Array, Array]]:
    """Howard's policy iteration over state values: `(q [S, A], policy [S])` for each of `n_steps` steps.

    Puterman 1994, Section 6.4.
    """
    states, steps = np.arange(mdp.n_states), []
    dense = mdp.dense_transition
    for _ in range(n_steps):
        v = np.linalg.solve(
            np.eye(mdp.n_states) - mdp.gamma * dense[states, policy], mdp.reward[states, policy]
        )
        q = np.where(mdp.available, mdp.reward + mdp.gamma * dense @ v, -np.inf)
        policy = lowest_greedy(q, tie_tol)
        steps.append((q, policy))
    return steps
