r"""Largest and smallest probability of ever reaching a goal, with bounds on both sides.

States whose value the graph tells come first: 0 where the goal cannot be reached (max) or can be avoided for
ever (min), 1 where some policy reaches it surely (max) or none may avoid it (min). For max, end components of
the rest become single states: inside one every state has the same value, and staying for ever is worth
nothing, but an iteration from above would never notice (Haddad & Monmege 2018). For min there are none: they
avoid the goal. What is left ends with probability 1 under every policy; `transient` bounds its values.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from virel_common.arguments import require_flag
from virel_theory.checks import Array, Mask, as_sign
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solution import checked
from virel_theory.undiscounted import graph
from virel_theory.undiscounted.pairs import Ints, Pairs, as_goal, as_steps, as_tolerances, pairs_of
from virel_theory.undiscounted.quotient import open_bounds, quotient
from virel_theory.undiscounted.solution import (
    BoundedSolution,
    action_values,
    bounded_solution,
    midpoints,
    set_rows,
)

MAX_STEPS = 10_000


def reachability(
    mdp: TabularMDP,
    goal: ArrayLike | Iterable[int],
    *,
    atol: float,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int = MAX_STEPS,
    throw: bool = False,
) -> BoundedSolution:
    r"""Optimal probability of ever reaching a goal state, Baier & Katoen 2008, Section 10.6.

    $V^*(s) = \sup_\pi P_\pi(s_t \in G \text{ for some } t \ge 0 \mid s_0 = s)$, or the infimum. Rewards and
    discount of the MDP play no role; its rows are divided by their exact sums (`rounding`).

    Args:
        mdp: the MDP.
        goal: numbers of the goal states, or booleans `[S]`; what comes after the goal plays no role.
        atol: absolute tolerance on the error bound, a probability.
        rtol: tolerance relative to max|V|, which is 1.
        sense: "max" or "min".
        max_steps: largest number of policies that are evaluated.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `BoundedSolution`; values that the graph tells are exactly 0 or 1.

    Raises:
        InputError: on goal states that do not exist, an unknown sense, or bad tolerances.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> mdp = TabularMDP([[[0.5, 0.25, 0.25]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0]] * 3, 0.9)
        >>> reachability(mdp, goal=[1], atol=1e-12).value.tolist()
        [0.5, 1.0, 0.0]
    """
    require_flag(throw, name="throw")
    sign = as_sign(sense)
    (atol, rtol), max_steps = as_tolerances(atol, rtol), as_steps(max_steps)
    p, target = pairs_of(mdp, sign=0.0), as_goal(goal, mdp.n_states)
    zero, one, via = (_known_max if sign > 0 else _known_min)(p, target)
    merged = graph.end_components(p, ~(zero | one), _all(p)) if sign > 0 else graph.no_components(p)
    entering: Array = sign * np.bincount(p.owner, p.prob * one[p.successor], len(p.state)).astype(np.float64)
    process = quotient(p, is_open=~(zero | one), allowed=_all(p), merged=merged, reward=entering)
    found = open_bounds(p, process, merged, atol=atol, rtol=rtol, max_steps=max_steps)
    ends = np.where(one, sign, 0.0)
    least, most = min(0.0, sign), max(0.0, sign)
    lower = found.lower.clip(least, most) + ends  # one of the two is 0
    upper = found.upper.clip(least, most) + ends
    q, q_error = action_values(p, midpoints(lower, upper), np.zeros(len(p.state)))
    set_rows(q, p, target, sign)
    return checked(
        bounded_solution(
            p,
            (lower, upper),
            table=(q, q_error),
            pair=np.where(found.pair >= 0, found.pair, via),
            sign=sign,
            tolerance=(atol, rtol),
            ended=(found.status, found.n_steps),
        ),
        throw=throw,
    )


def _all(p: Pairs) -> Mask:
    return np.ones(len(p.state), dtype=np.bool_)


def _known_max(p: Pairs, target: Mask) -> tuple[Mask, Mask, Ints]:
    """States whose largest probability is 0, those where it is 1, and pairs `[S]` that attain it, or -1."""
    sure, _ = graph.surely(p, target)
    return ~graph.can_reach(p, target, _all(p)).states, sure.states, sure.via


def _known_min(p: Pairs, target: Mask) -> tuple[Mask, Mask, Ints]:
    """States whose smallest probability is 0, those where it is 1, and pairs `[S]` that attain it, or -1."""
    safe = graph.avoidable(p, target)
    escapes = graph.can_reach(p, safe.states, ~target[p.state])
    return safe.states, ~escapes.states, safe.via
