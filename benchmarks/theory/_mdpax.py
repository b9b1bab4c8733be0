"""Mdpax, whose problems are JAX functions: one that looks its numbers up in the tables of an MDP.

It needs JAX, which needs its own environment: see `--python` of `benchmarks.theory.solvers`.
"""

import os
from typing import Any

import numpy as np

from virel_theory.mdp.tabular import TabularMDP


def contender(mdp: TabularMDP, atol: float, *, max_sweeps: int) -> Any:
    """mdpax's value iteration; `max_diff` below epsilon (1 - gamma)/gamma means |V - V*| < epsilon."""
    os.environ |= {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1"}  # read at the first import
    from loguru import logger  # noqa: PLC0415
    from mdpax.solvers.value_iteration import ValueIteration  # noqa: PLC0415

    logger.remove()
    options = {"convergence_test": "max_diff", "max_batch_size": 2**20, "verbose": 0}
    solver = ValueIteration(_problem(mdp), gamma=mdp.gamma, epsilon=atol, **options)
    solver.solve(max_iterations=1)  # compiles

    def run() -> Any:
        solver._initialize_solver_state_elements()  # it would go on from the solution
        return np.asarray(solver.solve(max_iterations=max_sweeps).values)

    return run


def _problem(mdp: TabularMDP) -> Any:
    import jax.numpy as jnp  # noqa: PLC0415
    from mdpax.core.problem import Problem  # noqa: PLC0415

    columns, probabilities = padded(mdp)
    columns, probabilities, reward = map(jnp.asarray, (columns, probabilities, mdp.reward))

    class Tables(Problem):  # type: ignore[misc]
        """State s, action a, event k: the k-th successor of (s, a)."""

        name = "tables"

        def _construct_state_space(self) -> Any:
            return jnp.arange(mdp.n_states)

        def _construct_action_space(self) -> Any:
            return jnp.arange(mdp.n_actions)

        def _construct_random_event_space(self) -> Any:
            return jnp.arange(columns.shape[2])

        def state_to_index(self, state: Any) -> Any:
            return state[0]

        def random_event_probability(self, state: Any, action: Any, random_event: Any) -> Any:
            return probabilities[state[0], action[0], random_event[0]]

        def transition(self, state: Any, action: Any, random_event: Any) -> Any:
            return columns[state[0], action[0], random_event[0]][None], reward[state[0], action[0]]

    return Tables()


def padded(mdp: TabularMDP) -> tuple[Any, Any]:
    """Successors and their probabilities, both `[S, A, b]`; shorter rows end in zeros."""
    csr = mdp.csr_transition
    counts = np.diff(csr.indptr)
    shape = (len(counts), int(counts.max()))
    columns, probabilities = np.zeros(shape, dtype=np.int32), np.zeros(shape)
    used = np.arange(shape[1]) < counts[:, None]
    columns[used], probabilities[used] = csr.indices, csr.data
    full = (mdp.n_states, mdp.n_actions, shape[1])
    return columns.reshape(full), probabilities.reshape(full)
