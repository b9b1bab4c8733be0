r"""Best total reward until a goal over the policies that surely reach it, with bounds on both sides.

The class of policies decides what the problem means. A policy counts from a state if it reaches the goal with
probability 1 from there (it is *proper*). For costs of at least 0 that is the usual convention: a policy that
may never arrive costs infinity. For rewards it gives -1 per step its usual meaning.

What the graph tells, for the maximum (costs are negated):

1. From a state without a proper policy the value is $-\infty$. Pairs that may lead to one are no longer used.
2. In an end component of what is left, a policy can go round as long as it likes and still arrive. If the
   best gain per step there is positive, the value is $\infty$, as is that of all states that may get there.
   The signs of the rewards tell, or, where both occur, bounds on the gain (`average_reward`) of what is left
   once components of reward 0 are single states.
3. Components of the pairs with reward 0 become single states: going round in them changes nothing, but an
   iteration would not notice that a policy never leaves.
4. Then every way to go on for ever costs infinitely much: in a component whose rewards are at most 0, one
   that never ends must take a negative one again and again; in one whose gain is negative it loses per step.
   So proper policies suffice, values are finite, and $V^* = BV^*$ has one solution (Bertsekas & Tsitsiklis
   1991). `transient` bounds it.

Refused is a component with rewards of both signs in which to go round gains 0, or so little that float64
can't tell:
the equation then has many solutions (Baier et al. 2018).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virel_common.arguments import require_flag
from virel_common.errors import InputError
from virel_theory.checks import Mask, as_sign
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solution import checked
from virel_theory.undiscounted import graph
from virel_theory.undiscounted.average_reward import gain_bounds
from virel_theory.undiscounted.graph import Components
from virel_theory.undiscounted.pairs import Ints, Pairs, as_goal, as_steps, as_tolerances, pairs_of
from virel_theory.undiscounted.quotient import open_bounds, quotient
from virel_theory.undiscounted.reachability import MAX_STEPS
from virel_theory.undiscounted.solution import (
    BoundedSolution,
    action_values,
    bounded_solution,
    midpoints,
    set_rows,
)

DECIDED = 0.5  # relative error of a gain that leaves no doubt about its sign
MAX_SWEEPS = 10_000


def shortest_path(
    mdp: TabularMDP,
    goal: ArrayLike | Iterable[int],
    *,
    atol: float,
    rtol: float = 0.0,
    sense: str = "min",
    max_steps: int = MAX_STEPS,
    throw: bool = False,
) -> BoundedSolution:
    r"""Optimal expected total reward until a goal, over proper policies, Bertsekas & Tsitsiklis 1991.

    $V^*(s) = \inf_\pi E_\pi[\sum_{t < T} r(h_t) \mid s_0 = s]$, T the first time in a goal state, over the
    policies with $P_\pi(T < \infty) = 1$; or the supremum. The MDP's discount plays no role; its rows are
    divided by their exact sums (`rounding`).

    Args:
        mdp: the MDP; its `reward` are costs where they are minimised.
        goal: numbers of the goal states, or booleans `[S]`; what comes after the goal plays no role.
        atol: absolute tolerance on the error bound, reward units.
        rtol: tolerance relative to the largest finite |V|.
        sense: "min" (costs) or "max" (rewards).
        max_steps: largest number of policies that are evaluated.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `BoundedSolution`. Where no policy is proper the value is `inf` (min) or `-inf` (max). Where proper
        policies gain as much as one likes, it is `-inf` (min) or `inf` (max).

    Raises:
        InputError: on goal states that do not exist, an unknown sense, bad tolerances, or an end component
            with rewards of both signs in which the best gain is 0.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> mdp = TabularMDP([[[0.5, 0.5]], [[0, 1]]], [[1.0], [0.0]], 0.9)
        >>> shortest_path(mdp, goal=[1], atol=1e-12).value.tolist()
        [2.0, 0.0]
    """
    require_flag(throw, name="throw")
    sign = as_sign(sense)
    (atol, rtol), max_steps = as_tolerances(atol, rtol), as_steps(max_steps)
    p, target = pairs_of(mdp, sign=sign), as_goal(goal, mdp.n_states)
    known = _known(p, target)
    is_open = np.isnan(known.value)
    process = quotient(p, is_open=is_open, allowed=known.allowed, merged=known.merged, reward=p.reward)
    found = open_bounds(p, process, known.merged, atol=atol, rtol=rtol, max_steps=max_steps)
    lower = np.where(is_open, found.lower, known.value)
    upper = np.where(is_open, found.upper, known.value)
    q, q_error = action_values(p, midpoints(lower, upper), p.reward)
    set_rows(q, p, target, 0.0)
    return checked(
        bounded_solution(
            p,
            (lower, upper),
            table=(q, q_error),
            pair=np.where(found.pair >= 0, found.pair, known.via),
            sign=sign,
            tolerance=(atol, rtol),
            ended=(found.status, found.n_steps),
        ),
        throw=throw,
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """What the graph tells: values `[S]` (NaN: open), a proper pair `[S]`, what is allowed and collapsed."""

    value: np.ndarray
    via: Ints
    allowed: Mask
    merged: Components


def _known(p: Pairs, target: Mask) -> _Known:
    """Values that the graph tells, and the pairs and components of what is left."""
    sure, allowed = graph.surely(p, target)
    value = np.where(sure.states, np.nan, -np.inf)
    inside = sure.states & ~target
    allowed = allowed & inside[p.state]
    cycles = graph.end_components(p, inside, allowed)
    endless = graph.can_reach(p, _gaining(p, cycles), allowed).states & inside
    value[endless] = np.inf
    value[target] = 0.0
    still = inside & ~endless
    merged = graph.end_components(p, still, allowed & (p.reward == 0))
    return _Known(value, sure.via, allowed, merged)


def _gaining(p: Pairs, cycles: Components) -> Mask:
    """States of end components in which going round gains; refuses those whose gain has no sign."""
    where = cycles.of[p.state]
    gains, loses = np.zeros((2, cycles.n + 1), dtype=np.bool_)
    gains[where[cycles.pairs & (p.reward > 0)]] = True
    loses[where[cycles.pairs & (p.reward < 0)]] = True
    for k in np.flatnonzero((gains & loses)[: cycles.n]):
        gains[k] = _gains(p, cycles, int(k))
    gains[-1] = False
    return gains[cycles.of]


def _gains(p: Pairs, cycles: Components, k: int) -> bool:
    """Whether the best gain of end component k is positive; refuses what bounds on it cannot tell.

    What goes round at reward 0 counts as one state here, too: to wait there gains nothing and costs nothing.
    """
    inside = cycles.of == k
    idle = graph.end_components(p, inside, cycles.pairs & (p.reward == 0))
    part = quotient(p, is_open=inside, allowed=cycles.pairs, merged=idle, reward=p.reward)
    low, high = gain_bounds(part.p, rtol=DECIDED, max_steps=MAX_SWEEPS)
    if low <= 0 <= high:
        raise InputError(
            "`reward` must not have both signs where a policy can go round for ever at a gain of 0 per step; "
            f"found that in the end component of state {int(np.flatnonzero(inside)[0])}, gain {low:.3g} to "
            f"{high:.3g}"
        )
    return low > 0
