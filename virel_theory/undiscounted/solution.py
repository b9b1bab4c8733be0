"""Results of the solvers without a discount: what `Solution` holds, and bounds on both sides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from virel_theory.checks import Array, Mask
from virel_theory.solvers.solution import Status
from virel_theory.undiscounted import rounding
from virel_theory.undiscounted.pairs import Ints, Pairs


@dataclass(frozen=True, eq=False)
class BoundedSolution:
    r"""Optimal values of reachability or shortest paths, with guaranteed bounds on both sides.

    Attributes:
        value: `[S]` midpoints of the bounds, or an infinite value that is exact.
        q: `[S, A]` action values: reward and expected `value` of the successor. Where the action does not
            exist `-inf` (`+inf` when minimised).
        policy: `[S]` actions whose value from every state is within the bounds. It need not be greedy for
            `q`: among equals, a greedy action may go round in circles for ever.
        status: how the solver ended.
        n_steps: policies that were evaluated.
        error_bound: guaranteed bound on the distance of every finite entry of `value` and `q` from the
            optimum, rounding included.
        method: what ran.
        lower: `[S]` guaranteed lower bounds on the optimal values.
        upper: `[S]` guaranteed upper bounds.

    Example:
        >>> from virel_theory import TabularMDP, reachability
        >>> mdp = TabularMDP([[[0.5, 0.25, 0.25]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0]] * 3, 0.9)
        >>> found = reachability(mdp, goal=[1], atol=1e-12)
        >>> bool(found.lower[0] <= 0.5 <= found.upper[0])
        True
    """

    value: Array
    q: Array
    policy: NDArray[np.intp]
    status: Status
    n_steps: int
    error_bound: float
    method: str
    lower: Array
    upper: Array


@dataclass(frozen=True, eq=False)
class FiniteHorizonSolution:
    r"""Optimal values and policy of a finite horizon of T steps, with a guaranteed error bound.

    Attributes:
        value: `[T + 1, S]` optimal values with T - t steps to go, t = 0, 1, ..., T; the last row is the
            terminal reward.
        policy: `[T, S]` optimal actions at time t, lowest index among equals.
        status: CONVERGED if the bound is within the tolerance, else ROUNDING_LIMIT.
        n_steps: T.
        error_bound: guaranteed bound on the error of every entry of `value`.
        method: what ran.

    Example:
        >>> from virel_theory import TabularMDP, finite_horizon
        >>> found = finite_horizon(TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0), 2, atol=1e-9)
        >>> found.value.tolist(), found.policy.tolist()
        ([[2.0], [1.0], [0.0]], [[0], [0]])
    """

    value: Array
    policy: NDArray[np.intp]
    status: Status
    n_steps: int
    error_bound: float
    method: str


@dataclass(frozen=True, eq=False)
class AverageSolution:
    r"""Optimal average reward per step, the same from every state, with guaranteed bounds on both sides.

    Attributes:
        gain: midpoint of the bounds.
        lower: guaranteed lower bound on the gain of `policy` from every state, and so on the optimal one.
        upper: guaranteed upper bound on the optimal gain.
        bias: `[S]` relative values h with $g + h \approx Th$, 0 in state 0; a by-product without a bound.
        policy: `[S]` actions whose gain from every state is within the bounds.
        status: how the solver ended.
        n_steps: sweeps of T.
        error_bound: guaranteed bound on |gain - g*|.
        method: what ran.

    Example:
        >>> from virel_theory import TabularMDP, average_reward
        >>> found = average_reward(TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0), atol=1e-9)
        >>> found.gain, found.policy.tolist()
        (1.0, [0])
    """

    gain: float
    lower: float
    upper: float
    bias: Array
    policy: NDArray[np.intp]
    status: Status
    n_steps: int
    error_bound: float
    method: str


def actions_of(p: Pairs, pair: Ints) -> NDArray[np.intp]:
    """Actions `[S]` of the pairs that a policy takes; the first pair of the state where it has none (-1)."""
    return p.action[np.where(pair >= 0, pair, p.first[:-1])].astype(np.intp)


def action_values(p: Pairs, value: Array, reward: Array) -> tuple[Array, float]:
    """Table `[S, A]` of rewards `[C]` and expected values `[S]` of the successor, and its rounding error.

    A value `-inf` of a successor outweighs everything, then one of `inf`. The table is `-inf` where the
    action does not exist. The error is that of finite entries.
    """
    known = np.where(np.isfinite(value), value, 0.0)
    worst, best = np.zeros((2, len(p.state)), dtype=np.bool_)
    worst[p.owner[np.isneginf(value)[p.successor]]] = True
    best[p.owner[np.isposinf(value)[p.successor]]] = True
    mean = np.bincount(p.owner, weights=p.prob * known[p.successor], minlength=len(p.state))
    rows = np.where(worst, -np.inf, np.where(best, np.inf, reward + mean))
    out = np.full((p.n_states, p.n_actions), -np.inf)
    out[p.state, p.action] = rows
    size = float(np.abs(reward).max()) + float(np.abs(known).max()) * 2
    return out, p.error * size


def set_rows(q: Array, p: Pairs, states: Mask, value: float) -> None:
    """Set the action values of `states` to one value, for all actions that exist."""
    chosen = states[p.state]
    q[p.state[chosen], p.action[chosen]] = value


def bounded_solution(
    p: Pairs,
    bounds: tuple[Array, Array],
    *,
    table: tuple[Array, float],
    pair: Ints,
    sign: float,
    tolerance: tuple[float, float],
    ended: tuple[Status, int],
) -> BoundedSolution:
    """Solution from bounds `[S]` when maximising, and a `table` with its error; negated for costs."""
    lower, upper = bounds
    q, q_error = table
    status, n_steps = ended
    value = midpoints(lower, upper)
    bound = float(rounding.above(rounding.half_width(lower, value, upper) + q_error))
    size = float(np.abs(value[np.isfinite(value)]).max(initial=0.0))
    if bound <= tolerance[0] + tolerance[1] * size:
        status = Status.CONVERGED
    elif status is Status.CONVERGED:
        status = Status.ROUNDING_LIMIT
    if sign < 0:
        lower, upper, value, q = 0.0 - upper, 0.0 - lower, 0.0 - value, 0.0 - q
    method = "policy iteration" if n_steps else "graph"
    return BoundedSolution(value, q, actions_of(p, pair), status, n_steps, bound, method, lower, upper)


def midpoints(lower: Array, upper: Array) -> Array:
    """Midpoints of the bounds; the finite bound where the other is missing, and 0 where both are."""
    with np.errstate(invalid="ignore"):
        middle = lower + (upper - lower) / 2
    one = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper, 0.0))
    exact = lower == upper
    both = np.isfinite(lower) & np.isfinite(upper)
    return np.where(exact, lower, np.where(both, middle, one))
