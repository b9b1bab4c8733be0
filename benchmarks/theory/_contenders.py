"""Our solver and its peers, behind one interface: `prepare(mdp, atol)` returns a function that returns V.

What a peer is asked for is what its documentation says guarantees `atol` on V; what it returns is checked
against our certified values, so that a peer that is quick because it is wrong is seen to be so.
"""

from collections.abc import Callable, Collection
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy import sparse

from virel_theory.mdp.tabular import TabularMDP

Solve = Callable[[], Any]
SWEEPS = 10_000_000  # "no limit"


def ours(mdp: TabularMDP, atol: float) -> Solve:
    """`virel_theory.solve` with method "auto"; its function returns the whole solution."""
    from virel_theory.solvers.solve import solve  # noqa: PLC0415  # each worker imports its own contender only

    return lambda: solve(mdp, atol=atol)


def quantecon(mdp: TabularMDP, atol: float) -> Solve:
    """QuantEcon's modified policy iteration: epsilon-optimal means |V - V*| < epsilon / 2."""
    from quantecon.markov import DiscreteDP  # noqa: PLC0415

    if isinstance(mdp.transition, np.ndarray):
        problem = DiscreteDP(mdp.reward.copy(), mdp.transition.copy(), mdp.gamma)
    else:
        n_states, n_actions = mdp.shape
        rows = sparse.csr_matrix(mdp.transition)
        pairs = np.repeat(np.arange(n_states), n_actions), np.tile(np.arange(n_actions), n_states)
        problem = DiscreteDP(mdp.reward.ravel(), rows, mdp.gamma, *pairs)
    return lambda: problem.solve(method="modified_policy_iteration", epsilon=2 * atol, max_iter=SWEEPS).v


def mdpsolver(mdp: TabularMDP, atol: float) -> Solve:
    """mdpsolver's modified policy iteration (C++), on nested lists, which it requires."""
    import mdpsolver as package  # noqa: PLC0415

    csr = mdp.csr_transition
    n_states, n_actions = mdp.shape
    cuts = csr.indptr.tolist()
    probs, columns = csr.data.tolist(), csr.indices.tolist()

    def nested(flat: list[Any]) -> list[list[list[Any]]]:
        rows = (range(s * n_actions, (s + 1) * n_actions) for s in range(n_states))
        return [[flat[cuts[i] : cuts[i + 1]] for i in row] for row in rows]

    model = package.model()
    model.mdp(
        discount=mdp.gamma,
        rewards=mdp.reward.tolist(),
        tranMatProbs=nested(probs),
        tranMatColumns=nested(columns),
    )

    def run() -> Any:
        model.solve(algorithm="mpi", tolerance=atol, verbose=False, initValueVector=[0.0] * n_states)
        return np.array(model.getValueVector())

    return run


def pymdptoolbox(mdp: TabularMDP, atol: float) -> Solve:
    """pymdptoolbox's modified policy iteration, on one sparse matrix per action."""
    from mdptoolbox import mdp as package  # noqa: PLC0415

    n_actions = mdp.n_actions
    if isinstance(mdp.transition, np.ndarray):
        rows = [np.ascontiguousarray(mdp.transition[:, a]) for a in range(n_actions)]
    else:
        rows = [sparse.csr_matrix(mdp.transition[a::n_actions]) for a in range(n_actions)]

    def run() -> Any:
        solver = package.PolicyIterationModified(rows, mdp.reward, mdp.gamma, epsilon=atol, max_iter=SWEEPS)
        solver.run()
        return np.array(solver.V)

    return run


def mdpax(mdp: TabularMDP, atol: float) -> Solve:
    """mdpax's value iteration (JAX)."""
    from benchmarks.theory import _mdpax  # noqa: PLC0415

    run: Solve = _mdpax.contender(mdp, atol, max_sweeps=SWEEPS)
    return run


CONTENDERS: dict[str, Callable[[TabularMDP, float], Solve]] = {
    "ours": ours,
    "quantecon": quantecon,
    "mdpsolver": mdpsolver,
    "pymdptoolbox": pymdptoolbox,
    "mdpax": mdpax,
}
MODULES = {
    "ours": "virel_theory",
    "quantecon": "quantecon",
    "mdpsolver": "mdpsolver",
    "pymdptoolbox": "mdptoolbox",
    "mdpax": "mdpax",
}
LARGEST = {"mdpsolver": 100_000, "pymdptoolbox": 100_000, "mdpax": 100_000}
"""Largest number of states of a contender: beyond, its nested lists or its hours are too many."""


def available(elsewhere: Collection[str]) -> tuple[list[str], dict[str, str]]:
    """Contenders that are installed, here or `elsewhere`, and the reason why each other one is left out."""
    missing = {
        name: "not installed"
        for name, module in MODULES.items()
        if name not in elsewhere and find_spec(module) is None
    }
    return [name for name in CONTENDERS if name not in missing], missing
