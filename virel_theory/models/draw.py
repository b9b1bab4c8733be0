"""Generators of MDPs: random (Garnet), slow-mixing (ring), chain, gridworld, and MERL's counterexample.

Everything is built as CSR and made dense on request, so that both encodings hold the same numbers.
"""

from collections.abc import Iterable

import numpy as np

from virel_common.arguments import as_whole, require_flag
from virel_common.errors import require
from virel_theory.checks import as_finite_number, as_generator, as_probability
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.mdp.validation import as_gamma
from virel_theory.models.assemble import build, csr_rows, outcome_rows, point_mass
from virel_theory.models.garnet_rows import garnet_rows, random_mask
from virel_theory.models.grid import Cell, as_cell, grid_moves


def garnet(
    n_states: int,
    n_actions: int,
    branching: int,
    *,
    gamma: float,
    rng: np.random.Generator,
    sparse: bool = False,
    missing: float = 0.0,
) -> TabularMDP:
    """Random MDP with a fixed number of successors per state-action pair, Archibald et al. 1995.

    Every pair has `branching` distinct successors, uniform without repetition, whose probabilities are the
    gaps between uniform cuts of [0, 1]; rewards are standard normal. Equal `rng` states give equal MDPs,
    dense or sparse, on any number of threads.

    Deviation: 1. cuts lie on the grid of multiples of $2^{-53}$, so that every row sums to exactly 1 in
    float64, in any order, and the MDP is exactly rational; a row holds a probability 0 with chance below
    branching^2 / 2^53.

    Args:
        n_states: number S of states.
        n_actions: number A of actions.
        branching: number of successors per pair, at most `n_states`.
        gamma: discount in [0, 1).
        rng: source of randomness, which advances.
        sparse: True for CSR `[S*A, S]` (32-bit indices where they fit), False for dense `[S, A, S]`.
        missing: probability that an action does not exist in a state; one action always does.

    Returns: the MDP; initial distribution uniform. Exact: no rounding.
    Raises: InputError: on sizes that are not positive integers, `branching > n_states`, `missing` outside
        [0, 1], a `gamma` outside [0, 1), or an `rng` that is no numpy `Generator`.

    Example:
        >>> mdp = garnet(4, 2, 3, gamma=0.9, rng=np.random.default_rng(0))
        >>> (mdp.transition > 0).sum(axis=2).tolist()
        [[3, 3], [3, 3], [3, 3], [3, 3]]

    Source: Archibald, McKinnon & Thomas 1995, "On the generation of Markov decision processes".
    """
    require_flag(sparse, name="sparse")
    shape = as_whole(n_states, name="n_states", least=1), as_whole(n_actions, name="n_actions", least=1)
    n_successors = as_whole(branching, name="branching", least=1)
    require(n_successors <= shape[0], "branching", branching, f"must be at most n_states = {n_states}")
    chance, discount, source = as_probability(missing, name="missing"), as_gamma(gamma), as_generator(rng)
    key = source.integers(2**64, dtype=np.uint64)
    mask = random_mask(shape, missing=chance, rng=source)
    reward = source.standard_normal(shape)
    transition = garnet_rows(key, shape, branching=n_successors, mask=mask)
    return build(transition, reward, gamma=discount, mask=mask, is_sparse=sparse)


def ring(
    n_states: int,
    *,
    gamma: float,
    n_actions: int = 3,
    slip: float = 0.1,
    closed: bool = True,
    rng: np.random.Generator | None = None,
) -> TabularMDP:
    r"""Slow-mixing ring or corridor, an MDP with local moves and slips, cf. Sutton & Barto 2018, Example 6.2.

    Action `a` moves by `a - A // 2` states (for A = 3: left, stay, right); with probability `slip` one state
    to either side of that. Far states hear of each other after O(S) steps only, so that bounds on the span of
    successive values gain nothing over plain contraction.

    Args:
        n_states: number S of states.
        gamma: discount in [0, 1).
        n_actions: number A of actions.
        slip: probability of a slip, in [0, 1].
        closed: whether the ends meet (ring); otherwise moves stop at them (corridor).
        rng: source of rewards, uniform in [0, 1). None: reward 1 in state 0 and 0 elsewhere, with the
            solution $V^*(s) = \gamma^{d(s)} / (1 - \gamma)$, d the distance to state 0, for A = 3 and slip 0.

    Returns: the MDP as CSR, initial distribution uniform; probabilities rounded once.
    Raises: InputError: on sizes that are not positive integers, `slip` outside [0, 1], a `gamma` outside
        [0, 1), or an `rng` that is no numpy `Generator`.

    Example:
        >>> ring(5, gamma=0.5, slip=0.2).transition.toarray()[0].tolist()
        [0.1, 0.0, 0.0, 0.1, 0.8]
    """
    n_states, n_actions = (
        as_whole(n_states, name="n_states", least=1),
        as_whole(n_actions, name="n_actions", least=1),
    )
    require_flag(closed, name="closed")
    slip, gamma = as_probability(slip, name="slip"), as_gamma(gamma)
    move = np.arange(n_actions)[:, None] - n_actions // 2 + np.array([0, -1, 1])  # [A, 3]
    target = np.arange(n_states)[:, None, None] + move  # [S, A, 3]
    target = target % n_states if closed else target.clip(0, n_states - 1)
    prob = np.broadcast_to(np.array([1 - slip, slip / 2, slip / 2]), target.shape)
    transition = outcome_rows(target.reshape(-1, 3), prob.reshape(-1, 3), n_states=n_states)
    if rng is None:
        reward = np.zeros((n_states, n_actions))
        reward[0] = 1.0
    else:
        reward = as_generator(rng).random((n_states, n_actions))
    return build(transition, reward, gamma=gamma, is_sparse=True)


def chain(n_states: int, *, gamma: float, slip: float = 0.0) -> TabularMDP:
    r"""Chain MDP with reward 1 for going right (action 1; 0 is left) in the last state, cf. Strens 2000.

    $$V^*(s) = \gamma^{S-1-s} / (1 - \gamma) \quad\text{for slip 0}$$

    Args:
        n_states: number S of states.
        gamma: discount in [0, 1).
        slip: probability of the opposite move, in [0, 1].

    Returns: the MDP (dense), starting in state 0; moves past an end stay; probabilities rounded once.
    Raises: InputError: if `n_states < 1`, `slip` is outside [0, 1], or `gamma` is not in [0, 1).

    Example:
        >>> chain(3, gamma=0.5).transition[0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    n_states, slip = as_whole(n_states, name="n_states", least=1), as_probability(slip, name="slip")
    gamma = as_gamma(gamma)
    states = np.arange(n_states)
    target = np.stack([states - 1, states + 1], axis=1).clip(0, n_states - 1)  # [S, 2]
    pairs = np.stack([target, target[:, ::-1]], axis=2).reshape(-1, 2)  # intended, opposite
    transition = outcome_rows(pairs, np.broadcast_to([1 - slip, slip], pairs.shape), n_states=n_states)
    reward = np.zeros((n_states, 2))
    reward[-1, 1] = 1.0
    return build(transition, reward, gamma=gamma, initial=point_mass(n_states, 0))


def gridworld(
    height: int,
    width: int,
    *,
    gamma: float,
    goal: Cell | None = None,
    walls: Iterable[Cell] = (),
    slip: float = 0.0,
    step_reward: float = -1.0,
    goal_reward: float = 0.0,
    sparse: bool = False,
) -> TabularMDP:
    r"""Gridworld: moves up, right, down, left and one absorbing goal, cf. Sutton & Barto 2018, Example 4.1.

    Cell `(row, column)` is state `row * width + column`. With probability `slip` the move turns by a right
    angle, to either side alike. Moves into a border or a wall stay. Every step pays `step_reward`, and
    `goal_reward` on top with the probability of entering the goal, where everything stops (reward 0).

    $$V^*(s) = -(1 - \gamma^{d(s)}) / (1 - \gamma) \quad\text{by default, } d \text{ the steps to the goal}$$

    Args:
        height: number of rows; S = height * width (walls included: they keep to themselves, at
            `step_reward`).
        width: number of columns.
        gamma: discount in [0, 1).
        goal: `(row, column)`; the last cell if None.
        walls: cells that cannot be entered.
        slip: probability of a slip, in [0, 1].
        step_reward: reward of every step, in reward units.
        goal_reward: reward of entering the goal, in reward units.
        sparse: True for a CSR transition, False for a dense one.

    Returns: the MDP, starting in the first cell that is neither wall nor goal (in the goal if there is none).
    Raises: InputError: on sizes below 1, cells off the grid, a goal in a wall, `slip` outside
        [0, 1], or a `gamma` outside [0, 1).

    Example:
        >>> gridworld(1, 3, gamma=0.5).reward[:, 1].tolist()
        [-1.0, -1.0, 0.0]
    """
    require_flag(sparse, name="sparse")
    height, width = as_whole(height, name="height", least=1), as_whole(width, name="width", least=1)
    slip, gamma = as_probability(slip, name="slip"), as_gamma(gamma)
    per_step = as_finite_number(step_reward, name="step_reward")
    at_goal = as_finite_number(goal_reward, name="goal_reward")
    listed = isinstance(walls, Iterable) and getattr(walls, "ndim", 1) > 0  # an array of no dimension is none
    require(listed, "walls", walls, "must be a list of cells (row, column)")
    free = np.ones((height, width), dtype=np.bool_)
    for cell in walls:
        free[as_cell(cell, free.shape, name="walls")] = False
    goal = as_cell((height - 1, width - 1) if goal is None else goal, free.shape, name="goal")
    require(bool(free[goal]), "goal", goal, "must not be a wall")
    g = goal[0] * width + goal[1]
    target = grid_moves(free)  # [S, 4]
    target[g] = g
    outcomes = np.stack([np.roll(target, turn, axis=1) for turn in (0, 1, -1)], axis=2).reshape(-1, 3)
    prob = np.broadcast_to([1 - slip, slip / 2, slip / 2], outcomes.shape)
    reward = per_step + at_goal * (prob * (outcomes == g)).sum(axis=1).reshape(-1, 4)
    reward[g] = 0.0
    start = int(np.argmax(free.ravel() & (np.arange(free.size) != g)))
    start = start if free.ravel()[start] else g
    transition = outcome_rows(outcomes, prob, n_states=free.size)
    return build(transition, reward, gamma=gamma, initial=point_mass(free.size, start), is_sparse=sparse)


def merl_counterexample(k1: int, *, gamma: float, sparse: bool = False) -> TabularMDP:
    r"""MDP on which maximum-entropy RL prefers the worthless action, talk, MERL counterexample.

    $s_0$ has $a_1$ (to $s_1$, which has `k1` actions, each to a state of its own) and $a_2$ (to $s_2$,
    reward 1); all other rewards are 0. States with no further choice have one action and absorb.
    $\pi^*(a_2|s_0) = 1$, yet $\pi^*_{merl}(a_1|s_0) = 1/(k_1^{-\gamma}\exp(1/c) + 1) > 1/2$ where
    $k_1^{-\gamma}\exp(1/c) < 1$.

    Args:
        k1: number of actions of $s_1$.
        gamma: discount in [0, 1).
        sparse: True for a CSR transition, False for a dense one.

    Returns: the MDP, exact: states $s_0, s_1, s_2$, then k1 leaves; $a_1, a_2$ are 0, 1; starts in $s_0$.
    Raises: InputError: if `k1 < 1` or `gamma` is not in [0, 1).

    Example:
        >>> mdp = merl_counterexample(3, gamma=0.9)
        >>> mdp.shape, mdp.available.sum(axis=1).tolist()
        ((6, 3), [2, 3, 1, 1, 1, 1])

    Source: Fellows et al. 2019, talk, "Problems with MERL".
    """
    k1, gamma = as_whole(k1, name="k1", least=1), as_gamma(gamma)
    n_states, n_actions = 3 + k1, max(2, k1)
    absorbing = [(s, 0, s) for s in range(2, n_states)]
    edges = np.array([(0, 0, 1), (0, 1, 2), *((1, a, 3 + a) for a in range(k1)), *absorbing])
    mask = np.zeros((n_states, n_actions), dtype=np.bool_)
    mask[edges[:, 0], edges[:, 1]] = True
    reward = np.zeros(mask.shape)
    reward[0, 1] = 1.0
    rows = edges[:, 0] * n_actions + edges[:, 1]
    transition = csr_rows(np.ones(len(edges)), rows, edges[:, 2], shape=(mask.size, n_states))
    start = point_mass(n_states, 0)
    return build(transition, reward, gamma=gamma, initial=start, mask=mask, is_sparse=sparse)
