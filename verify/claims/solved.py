"""Instances whose Q* is known exactly: Q* is drawn, and the reward computed from it.

With transition probabilities 0, 1/2, 1 and gamma in {0, 1/2, 3/4}, `r = Q* - gamma P max Q*` and the backup
of Q* are exact in float64 for integers Q* below 2^40, so T* Q* = Q* to the last bit.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.engine.claim import Instance
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

U = float(np.finfo(np.float64).eps)
DYADIC_GAMMAS = (0.5, 0.75, 0.0)


@st.composite
def solved(  # noqa: D417
    draw: st.DrawFn,
    /,
    *,
    shape: tuple[int, int] = (3, 3),
    min_actions: int = 1,
    gammas: tuple[float, ...] = DYADIC_GAMMAS,
    gaps: tuple[int, int] = (0, 4),
    lowest: tuple[int, int] = (1, 4),
    **parts: Any,
) -> Instance:
    """`{"mdp", "q_star"}` and further parts, each a function of `(mdp, q_star)` that returns a strategy.

    Args:
        shape: largest `(S, A)`.
        gaps: range of the integer gaps `max Q* - Q*` of the actions that are not best; from 1 on, maxima are
        unique.
        lowest: range of the smallest value of Q*, above 0 for Assumption 1.
    """
    n_states, n_actions = draw(st.integers(1, shape[0])), draw(st.integers(min_actions, shape[1]))
    gamma = draw(st.sampled_from(gammas))
    gap = draw(hnp.arrays(np.int64, (n_states, n_actions), elements=st.integers(*gaps))).astype(np.float64)
    best = draw(hnp.arrays(np.int64, n_states, elements=st.integers(0, n_actions - 1)))
    gap[np.arange(n_states), best] = 0.0
    low = draw(st.integers(*lowest))
    q_star = low + gap.max() - gap
    successors = st.integers(0, n_states - 1)
    pairs = draw(hnp.arrays(np.int64, (n_states, n_actions, 2), elements=successors))
    transition = np.eye(n_states)[pairs].mean(axis=2)
    reward = q_star - gamma * (transition @ q_star.max(axis=1))
    mdp = TabularMDP(transition, reward, gamma)
    return {"mdp": mdp, "q_star": q_star} | {name: draw(part(mdp, q_star)) for name, part in parts.items()}


def integer_tables(low: int, high: int, *, count: int = 0) -> Any:
    """A part of `solved`: integer tables in [low, high], `[S, A]` or, if `count`, `[1..count, S, A]`."""

    def part(mdp: TabularMDP, _: Array) -> st.SearchStrategy[Array]:
        sizes = st.just(mdp.shape) if count == 0 else st.integers(1, count).map(lambda n: (n, *mdp.shape))
        elements = st.integers(low, high)
        return sizes.flatmap(lambda size: hnp.arrays(np.int64, size, elements=elements)).map(
            lambda table: table.astype(np.float64)
        )

    return part


def on_mdp(strategy: Any) -> Any:
    """A part of `solved` from a strategy of the MDP (`policies`, `distributions`) or a plain strategy."""
    return lambda mdp, _: strategy if isinstance(strategy, st.SearchStrategy) else strategy(mdp)


def policy_values(mdp: TabularMDP, pi: Array) -> Array:
    """V^pi by one linear solve, `[S]`."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, (pi * mdp.reward).sum(axis=1))


def solve_rounding(mdp: TabularMDP, size: float) -> float:
    """Error of `policy_values`: LU on an M-matrix with condition at most 2/(1 - gamma), S^2 operations an entry."""
    return float(64 * (mdp.n_states**2 + 8) * U * size / (1 - mdp.gamma) ** 2)


def boltzmann_loss(n_actions: int, eps: float) -> float:
    r"""Bound of `max Q - E_pi[Q]` at temperature eps: eps min(log A, (A - 1)/e).

    Derivation: Gibbs' principle, E_pi[Q] + eps H(pi) >= max Q with H <= log A; and, each term of the loss
    being gap exp(-gap/eps) over a partition sum >= 1, x e^-x <= 1/e for the A - 1 actions that are not
    best.
    """
    return float(eps * min(np.log(n_actions), (n_actions - 1) / np.e))
