"""Small MDPs from textbooks, with published or closed-form answers, on which solvers are tested."""

import numpy as np

from virel_common.arguments import as_whole
from virel_theory.checks import as_finite_number, as_probability
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.assemble import build, outcome_rows, point_mass
from virel_theory.models.grid import MOVES


def two_state_toy(*, gamma: float) -> TabularMDP:
    r"""Two-state MDP: stay or swap, reward 1 for staying in state 1, Puterman 1994, Section 6.2.

    $$V^* = (\gamma, 1) / (1 - \gamma), \qquad
      Q^*(0, \cdot) = (\gamma^2, \gamma) / (1 - \gamma), \quad Q^*(1, \cdot) = (1, \gamma^2) / (1 - \gamma)$$

    Args:
        gamma: discount in [0, 1).

    Returns: the MDP, exact: action 0 stays, 1 swaps; starts in state 0.
    Raises: InputError: if `gamma` is not in [0, 1).

    Example:
        >>> two_state_toy(gamma=0.5).reward.tolist()
        [[0.0, 0.0], [1.0, 0.0]]
    """
    stay, swap = np.eye(2), np.eye(2)[::-1]
    reward = np.array([[0.0, 0.0], [1.0, 0.0]])
    return TabularMDP(np.stack([stay, swap], axis=1), reward, gamma, point_mass(2, 0))


def puterman_two_state(*, gamma: float) -> TabularMDP:
    r"""Two-state MDP with a state-dependent action set, Puterman 1994, Section 3.1.

    In $s_1$, $a_{1,1}$ pays 5 and stays or leaves with probability 1/2, $a_{1,2}$ pays 10 and leaves; in
    $s_2$ the only action pays -1 and stays.

    $$V^*(s_2) = -\frac{1}{1-\gamma}, \qquad V^*(s_1) = \max\Big\{
      \frac{5 - 5.5\gamma}{(1 - \gamma/2)(1-\gamma)}, \frac{10 - 11\gamma}{1-\gamma}\Big\}$$

    The first is the larger where $\gamma > 10/11$.

    Args:
        gamma: discount in [0, 1).

    Returns: the MDP, exact; starts in $s_1$ (state 0).
    Raises: InputError: if `gamma` is not in [0, 1).

    Example:
        >>> puterman_two_state(gamma=0.5).available.tolist()
        [[True, True], [True, False]]
    """
    transition = np.array([[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    reward = np.array([[5.0, 10.0], [-1.0, 0.0]])
    mask = np.array([[True, True], [True, False]])
    return TabularMDP(transition, reward, gamma, point_mass(2, 0), mask)


def sutton_barto_gridworld(*, gamma: float = 0.9) -> TabularMDP:
    """Five by five gridworld with two jump cells, Sutton & Barto 2018, Example 3.5.

    Moves off the grid stay and pay -1; all moves from A = (0, 1) pay 10 and lead to (4, 1), from B = (0, 3)
    pay 5 and lead to (2, 3). Published optimal values (Example 3.8, one decimal): 22.0 24.4 22.0 19.4 17.5
    in the first row.

    Args:
        gamma: discount in [0, 1); the book's is 0.9.

    Returns: the MDP, exact; state `5 * row + column`; actions up, right, down, left; starts anywhere.
    Raises: InputError: if `gamma` is not in [0, 1).

    Example:
        >>> sutton_barto_gridworld().reward[:4].tolist()
        [[-1.0, 0.0, 0.0, -1.0], [10.0, 10.0, 10.0, 10.0], [-1.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, 5.0]]
    """
    cells = np.moveaxis(np.indices((5, 5)), 0, 2).reshape(25, 1, 2)
    wished = cells + np.array(MOVES)  # [S, A, 2]
    reached = wished.clip(0, 4)
    reward = np.where((wished != reached).any(axis=2), -1.0, 0.0)
    target = reached[..., 0] * 5 + reached[..., 1]
    for cell, jump, pay in ((1, 21, 10.0), (3, 13, 5.0)):
        target[cell], reward[cell] = jump, pay
    transition = outcome_rows(target.reshape(-1, 1), np.ones((100, 1)), n_states=25)
    return build(transition, reward, gamma=gamma)


def forest(
    n_states: int = 3, *, gamma: float, fire: float = 0.1, wait_reward: float = 4.0, cut_reward: float = 2.0
) -> TabularMDP:
    """Forest-management MDP: wait or cut a stand that may burn, Chades et al. 2014.

    Waiting (0) ages the stand by one class, or burns it down with probability `fire`; cutting (1) restarts
    it. Waiting in the oldest class pays `wait_reward`, cutting there `cut_reward`, cutting in between 1. By
    default at gamma = 0.9 it is best to wait always: $V^* = (26.244, 29.484, 33.484)$.

    Args:
        n_states: number of age classes, at least 2.
        gamma: discount in [0, 1).
        fire: probability of a fire per step, in [0, 1].
        wait_reward: reward of waiting in the oldest class, in reward units.
        cut_reward: reward of cutting in the oldest class, in reward units.

    Returns: the MDP, starting in class 0; probabilities rounded once.
    Raises: InputError: if `n_states < 2`, `fire` is outside [0, 1], or `gamma` is not in [0, 1).

    Example:
        >>> forest(gamma=0.9).reward.tolist()
        [[0.0, 0.0], [0.0, 1.0], [4.0, 2.0]]

    Source: Chades et al. 2014, "MDPtoolbox: a multi-platform toolbox", Ecography 37.
    """
    n_states, fire = as_whole(n_states, name="n_states", least=2), as_probability(fire, name="fire")
    pay = tuple(
        as_finite_number(given, name=name)
        for name, given in {"wait_reward": wait_reward, "cut_reward": cut_reward}.items()
    )
    oldest = n_states - 1
    older = np.arange(1, n_states + 1).clip(max=oldest)
    target = np.zeros((n_states, 2, 2), dtype=np.int64)  # [S, A, outcome]; the second outcome restarts
    target[:, 0, 0] = older
    prob = np.broadcast_to([[1 - fire, fire], [1.0, 0.0]], target.shape)
    reward = np.zeros((n_states, 2))
    reward[1:, 1] = 1.0
    reward[oldest] = pay
    transition = outcome_rows(target.reshape(-1, 2), prob.reshape(-1, 2), n_states=n_states)
    return build(transition, reward, gamma=gamma, initial=point_mass(n_states, 0))
