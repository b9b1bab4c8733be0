"""MDP instances that several claims share: Gymnasium's toy-text MDPs; random MDPs with exact Q*, or with a choice.

In the second kind Q* is drawn and the reward is computed from it. With transition probabilities 0, 1/2, 1 and
gamma in {0, 1/2, 3/4}, `r = Q* - gamma P max Q*` and the backup of Q* are exact in float64 for integers Q*
below 2^40, so T* Q* = Q* to the last bit.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.engine.claim import Instance
from verify.strategies import mdps
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

GYM_IDS = ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1")
DYADIC_GAMMAS = (0.5, 0.75, 0.0)


@cache
def gym_mdp(env_id: str) -> TabularMDP:
    """Gymnasium's toy-text MDP `env_id` at gamma = 0.99, loaded once per process."""
    from virel_theory.models.readers import from_gymnasium  # noqa: PLC0415  # read only when a check runs

    mdp: TabularMDP = from_gymnasium(env_id, gamma=0.99)
    return mdp.to_sparse()


def gym_instances(*, seed: int = 0, **parts: Any) -> Callable[[], list[tuple[str, Instance]]]:
    """Function for a check's `named` field: builds one instance per Gymnasium MDP in `GYM_IDS`.

    Args: seed: seed of the random parts. parts: what an instance holds beside `mdp`: `q`, `pi_theta`, `d`
        or `eps`, each True for the one made here, or a value.
    """

    def build() -> list[tuple[str, Instance]]:
        return [
            (env_id, {"mdp": gym_mdp(env_id)} | _parts(gym_mdp(env_id), parts, seed)) for env_id in GYM_IDS
        ]

    return build


def _parts(mdp: TabularMDP, parts: dict[str, Any], seed: int) -> Instance:
    rng = np.random.default_rng(seed)
    drawn = {
        "q": np.where(mdp.available, rng.normal(size=mdp.shape), -np.inf),
        "pi_theta": _rows(rng.exponential(size=mdp.shape) * mdp.available),
        "d": rng.dirichlet(np.ones(mdp.n_states)),
        "eps": 0.5,
    }
    return {name: drawn[name] if part is True else part for name, part in parts.items()}


def _rows(weights: Any) -> Any:
    return weights / weights.sum(axis=1, keepdims=True)


def choices(*, max_actions: int = 3, **settings: Any) -> st.SearchStrategy[TabularMDP]:
    """Hypothesis strategy that draws MDPs with two or more actions, and one in eight with any number of them.

    With a single action every policy is the same one, and what is said of policies is trivial.
    `settings` are those of `mdps`.
    """
    usual, rare = (mdps(min_actions=n, max_actions=max_actions, **settings) for n in (2, 1))
    return st.integers(0, 7).flatmap(lambda k: rare if k == 7 else usual)


def fractions(shape: int | tuple[int, ...], largest: int, *, over: int = 1) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws arrays of fractions k / `over`, k an integer in [-largest, largest]."""
    return hnp.arrays(np.float64, shape, elements=st.integers(-largest, largest).map(lambda k: k / over))


@st.composite
def solved(
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
    """Hypothesis strategy that draws an instance (MDP, its exact Q*, and further `parts`).

    Args: draw: given by hypothesis; leave it out. shape: largest `(S, A)`. min_actions: smallest A. gammas:
        discounts to draw from. gaps: range of the integer gaps `max Q* - Q*` of the actions that are not
        best; from 1 on, maxima are unique. lowest: range of the smallest value of Q* in each state, above 0
        for Assumption 1; V* differs between states. parts: further parts by name, each a function of `(mdp, q_star)` that returns a
        strategy.
    """
    n_states, n_actions = draw(st.integers(1, shape[0])), draw(st.integers(min_actions, shape[1]))
    gamma = draw(st.sampled_from(gammas))
    gap = draw(hnp.arrays(np.int64, (n_states, n_actions), elements=st.integers(*gaps))).astype(np.float64)
    best = draw(hnp.arrays(np.int64, n_states, elements=st.integers(0, n_actions - 1)))
    gap[np.arange(n_states), best] = 0.0
    low = np.array([[draw(st.integers(*lowest))] for _ in range(n_states)])  # [S, 1]
    q_star = low + gap.max(axis=1, keepdims=True) - gap
    successors = st.integers(0, n_states - 1)
    pairs = draw(hnp.arrays(np.int64, (n_states, n_actions, 2), elements=successors))
    transition = np.eye(n_states)[pairs].mean(axis=2)
    reward = q_star - gamma * (transition @ q_star.max(axis=1))
    mdp = TabularMDP(transition, reward, gamma)
    return {"mdp": mdp, "q_star": q_star} | {name: draw(part(mdp, q_star)) for name, part in parts.items()}


def integer_tables(low: int, high: int, *, count: int = 0) -> Any:
    """Part of a `solved` instance: integer tables in [low, high], `[S, A]`, or `[n, S, A]` if `count`.

    n is drawn from 1..count.
    """

    def part(mdp: TabularMDP, _: Array) -> st.SearchStrategy[Array]:
        sizes = st.just(mdp.shape) if count == 0 else st.integers(1, count).map(lambda n: (n, *mdp.shape))
        elements = st.integers(low, high)
        return sizes.flatmap(lambda size: hnp.arrays(np.int64, size, elements=elements)).map(
            lambda table: table.astype(np.float64)
        )

    return part


def on_mdp(strategy: Any) -> Any:
    """Part of a `solved` instance: a Hypothesis strategy, or a function from the MDP to one."""
    return lambda mdp, _: strategy if isinstance(strategy, st.SearchStrategy) else strategy(mdp)


def policy_values(mdp: TabularMDP, pi: Array) -> Array:
    """State values V^pi of a policy, `[S]`, by one linear solve."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, (pi * mdp.reward).sum(axis=1))


def solve_rounding(mdp: TabularMDP, size: float) -> float:
    """Rounding bound of V^pi by a linear solve, `64 (S^2 + 8) u size/(1 - gamma)^2`, size >= max|r|.

    `size` bounds max|r|, and Q values that are compared. LU on an M-matrix with condition number at most
    2/(1 - gamma), with S^2 operations per entry.
    """
    return float(64 * (mdp.n_states**2 + 8) * U * size / (1 - mdp.gamma) ** 2)


def boltzmann_loss(n_actions: int, eps: float) -> float:
    """Bound `eps min(log A, (A - 1)/e)` on the Boltzmann policy's loss, `max Q - E_{pi_omega}[Q]`.

    Derivation: Gibbs' principle, E_pi[Q] + eps H(pi) >= max Q with H <= log A. And each term of the loss is
    gap exp(-gap/eps) over a partition sum >= 1, with x e^-x <= 1/e for the A - 1 actions that are not best.
    """
    return float(eps * min(np.log(n_actions), (n_actions - 1) / np.e))
