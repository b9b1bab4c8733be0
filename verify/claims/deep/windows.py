r"""All windows of n steps of a finite MDP with ends of episodes, as the deep agent's data, and their exact targets.

An episode ends where a state is reached that is terminal, whose value is 0, or in which a time limit truncates it,
whose value counts. The next transition in the window is then the first of another episode, from the first state.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from verify.claims.deep.tools import Tensor, tensor
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


class Ends(NamedTuple):
    """States in which episodes end, `[S]` each: terminal ones, and those in which a time limit truncates them."""

    terminal: Flags
    limit: Flags

    @property
    def either(self) -> Flags:
        """Whether the state ends an episode, for either reason."""
        ended: Flags = self.terminal | self.limit
        return ended


class Paths(NamedTuple):
    """Windows of n transitions: indices `s, a, s_next [B, n]` and probability `weight [B]`."""

    s: Index
    a: Index
    s_next: Index
    weight: Array


def some_ends(mdp: TabularMDP) -> st.SearchStrategy[Ends]:
    """Hypothesis strategy that draws the ends of episodes; the first state, where they begin, is not terminal."""
    state = np.arange(mdp.n_states)
    sets = st.integers(0, 2**16 - 1)  # a bit for each state: of one size, so that shrinking may drop states
    return st.tuples(sets, sets).map(
        lambda x: Ends((x[0] >> state & 1 > 0) & (state > 0), x[1] >> state & 1 > 0)
    )


def paths(mdp: TabularMDP, *, acting: Array, ends: Ends, n: int) -> Paths:
    """All windows whose first pair is any that is not terminal, each as likely, and whose actions are `acting`'s.

    `acting [S, A]` is a policy.
    """
    p = mdp.dense_transition
    s, a = np.nonzero(np.broadcast_to(~ends.terminal[:, None], mdp.shape))
    weight = np.full(len(s), 1 / len(s))
    columns: list[Index] = []
    for i in range(n):
        if i:
            s = np.where(ends.either[s], 0, s)
            row, a = np.nonzero(acting[s])
            weight, s, columns = weight[row] * acting[s[row], a], s[row], [x[row] for x in columns]
        row, s_next = np.nonzero(p[s, a])
        weight = weight[row] * p[s[row], a[row], s_next]
        columns = [*(x[row] for x in columns), s[row], a[row], s_next]
        s = s_next
    visited, taken, reached = (np.stack(columns[i::3], axis=1) for i in range(3))
    return Paths(visited, taken, reached, weight)


def as_data(mdp: TabularMDP, of: Paths, *, acting: Array, ends: Ends, whole: bool = False) -> Any:
    """The deep agent's transitions with these windows; of each the first is one, or all are if `whole`."""
    from virel_deep.axes.tensors import Transitions, Window  # noqa: PLC0415

    states, actions = np.eye(mdp.n_states), np.eye(mdp.n_actions)
    terminated = ends.terminal[of.s_next] * 1.0
    columns = map(
        tensor,
        (
            np.concatenate([states[of.s], actions[of.a]], axis=-1),
            mdp.reward[of.s, of.a],
            terminated,
            ends.limit[of.s_next] * (1 - terminated),
            states[of.s_next],
            actions[of.a],
            np.log(np.where(acting > 0, acting, 1.0))[of.s, of.a],
        ),
    )
    window = Window(*columns)

    def pick(x: Tensor) -> Tensor:
        return x.flatten(1, 2) if whole else x[:, :, 0]

    return Transitions(
        pick(tensor(states[of.s])),
        pick(window.history),
        pick(window.reward),
        pick(window.terminated),
        pick(window.next_state),
        window,
    )


def expected_at(of: Paths, x: Array, shape: tuple[int, int], *, step: int) -> Array:
    """Expectation `[S, A]` of `x [B]` given the pair at a step of the windows; NaN where none has that pair.

    It is infinite where an x is NaN.
    """
    total, mass = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (of.s[:, step], of.a[:, step]), of.weight * np.nan_to_num(x, nan=np.inf))
    np.add.at(mass, (of.s[:, step], of.a[:, step]), of.weight)
    mean: Array = np.divide(total, mass, out=np.full(shape, np.nan), where=mass > 0)
    return mean


def exact_targets(
    mdp: TabularMDP, *, gain: Array, v: Array, follow: Array, less: Array, ends: Ends, n: int
) -> list[Array]:
    r"""Expected targets `[S, A]` of one to n steps, by a recursion over the steps that are left.

    $$ G_1 = g + \gamma P \bar V, \qquad G_{k+1} = g + \gamma P \Big[\bar V - [\text{no end}] \sum_b f_b l_b
    + [\text{no end}] \sum_b f_b G_k\Big] $$

    With $l = \bar V(s)$ and f the acting policy this is the return of n steps; with $l = \bar Q$ and $f_b$ the
    share of its probability that Retrace's cut leaves of an action, it is Retrace's target.

    Args:
        mdp: finite MDP, S states and A actions.
        gain: `[S, A]` what a step earns.
        v: `[S]` values of the states, without regard to ends.
        follow: `[S, A]` factors f.
        less: `[S, A]` values l that a longer target puts its own in place of.
        ends: where episodes end.
        n: most steps.
    """
    v_end = np.where(ends.terminal, 0.0, v)
    targets = [gain + mdp.gamma * mdp.dense_transition @ v_end]
    while len(targets) < n:
        later = np.where(ends.either, 0.0, (follow * (targets[-1] - less)).sum(axis=1))
        targets.append(gain + mdp.gamma * mdp.dense_transition @ (v_end + later))
    return targets


def evaluated(mdp: TabularMDP, *, pi: Array, gain: Array, ends: Ends) -> Array:
    """State values `[S]` of a policy, 0 in terminal states, in which a step earns `gain [S, A]`."""
    on = ~ends.terminal
    p = np.einsum("sa,sat->st", pi, mdp.dense_transition) * on
    system = np.eye(mdp.n_states) - mdp.gamma * p * on[:, None]
    return np.linalg.solve(system, np.where(on, (pi * gain).sum(axis=1), 0.0))
