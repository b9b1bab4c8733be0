r"""Bounds on the optimal total reward of a process that ends: the core of reachability and shortest paths.

The derivation was written before the first run.

Setting. States `0 .. n-1`, pairs with rewards r and rows p; where a row sums to less than 1, the process may
end. A policy is *proper* if it ends with probability 1 from every state. $B v(s) = \max_c r_c + p_c v$,
$B_\pi$ the same for a policy, and $V^* = \sup V^\pi$ over proper policies, history-dependent ones included.

Bounds. (i) If $\pi$ is proper and $l \le B_\pi l$, then $l \le V^\pi \le V^*$: iterate, $B_\pi^k l \to
V^\pi$, as the probability of not having ended after k steps tends to 0 and l is bounded. (ii) If $B u \le u$,
then $V^\pi \le u$ for every proper $\pi$, by the same iteration from above, so $V^* \le u$. Nothing else is
trusted: both inequalities are checked on the very arrays that are returned, with the rounding of each backup
added (`rounding`), and that $\pi$ is proper is checked on the graph. How $\pi$, l and u were found plays no
role.

Search. For a policy, let x be its values and w its expected numbers of steps, $w = 1 + P_\pi w$. Then $l = x
- \rho w$ has $B_\pi l = l + \rho$, and $u = x + \rho w$ has $B_\pi u = u - \rho$: a margin of $\rho$ in every
state, against which rounding is checked. If $B u \le u$ fails in a state, the pair that violates it gains
more than $\rho$ there, and the policy takes it. That is policy iteration for the rewards $r + \rho$, in which
every change improves by more than $\rho$, so that rounding cannot make it cycle, and a tie is no change. It
ends with u - l = 2 $\rho$ w, and $\rho$ is the tolerance divided by 2 max w, or what rounding asks for. At
the end the least $\rho$ that rounding allows is tried: the policy is often optimal, and the bounds then as
close as can be.

The perturbed problem has the properties of the true one if the process cannot go on for ever (reachability,
end components collapsed), and, where it can at a negative reward per step (shortest paths), if $\rho$ is
smaller than that. A change that makes the policy improper shows that it is not, and makes $\rho$ smaller.
"""

from dataclasses import dataclass

import numpy as np

from virel_theory.checks import Array, Mask
from virel_theory.solvers.bounds import TINY
from virel_theory.solvers.solution import Status
from virel_theory.undiscounted import graph, kernels
from virel_theory.undiscounted.evaluation import Policy
from virel_theory.undiscounted.pairs import Ints, Pairs

ROUGH = 0.1  # residual to which expected numbers of steps are solved; a margin of 1 absorbs it
SHARE = 0.125  # residual of the values that a margin of 1 absorbs
FLOOR = 2.0  # margin as a multiple of the rounding error of a backup, at least
SMALLER, LARGER, LIMIT = 1 / 16, 4.0, 1e6  # how the margin falls and rises, and how far it rises


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds `[n]` on the optimal values, the pair `[n]` that the policy takes, and how the search ended.

    `lower` is below the values of that policy, which is proper; a bound that was not found is infinite.
    """

    lower: Array
    upper: Array
    pair: Ints
    status: Status
    n_steps: int


def optimal_bounds(p: Pairs, ends: Mask, pair: Ints, *, atol: float, rtol: float, max_steps: int) -> Bounds:
    """Improve a proper policy until its values are proved optimal up to the tolerance, if rounding allows.

    Args:
        p: the process; rows that sum to less than 1 may end it.
        ends: `[C]` the pairs that may end it.
        pair: `[n]` pair that a proper policy takes in each state.
        atol: absolute tolerance on half the distance of the bounds.
        rtol: tolerance relative to max|V|.
        max_steps: largest number of policies.
    """
    if p.n_states == 0:
        return _nothing(p, pair, Status.CONVERGED, 0)
    proper, rho, lift, forced = pair, np.inf, 1.0, False
    x, bounds = np.zeros(p.n_states), _nothing(p, pair, Status.MAX_STEPS, 0)
    for step in range(1, max_steps + 1):
        if not is_proper(p, ends, pair):
            if forced:
                return _ended(bounds, Status.ROUNDING_LIMIT, step)
            pair, rho = proper, rho * SMALLER
        proper, policy = pair, Policy(p, pair)
        w = policy.solve(np.ones(p.n_states), np.ones(p.n_states), goal=ROUGH)
        if not (np.isfinite(w).all() and w.min() > 0):
            return _ended(bounds, Status.ROUNDING_LIMIT, step)
        share = 1 / (2 * float(w.max()))
        size = float(np.abs(x).max()) or float(np.abs(p.reward).max() * w.max())
        goal = max(SHARE * share * _tolerance(x, atol, rtol), p.error * size)
        x = policy.solve(p.reward[pair], x, goal=goal)
        least = lift * _least_margin(policy, x)
        rho = min(rho, share * _tolerance(x, atol, rtol))
        forced = not rho > least
        bounds, arg, better = _check(p, policy, x, max(rho, least) * w, step)
        if bounds.status is Status.CONVERGED:
            tighter, _, _ = _check(p, policy, x, least * w, step)
            bounds = tighter if tighter.status is Status.CONVERGED else bounds
            width = float((bounds.upper - bounds.lower).max()) / 2
            met = width <= _tolerance(x, atol, rtol)
            return _ended(bounds, Status.CONVERGED if met else Status.ROUNDING_LIMIT, step)
        if better.any():
            pair = np.where(better, arg, pair)
        elif lift < LIMIT:
            lift *= LARGER
        else:
            return _ended(bounds, Status.ROUNDING_LIMIT, step)
    return _ended(bounds, Status.MAX_STEPS, max_steps)


def is_proper(p: Pairs, ends: Mask, pair: Ints) -> bool:
    """Whether a policy ends the process from every state: each reaches a pair that may end it."""
    allowed = np.zeros(len(p.state), dtype=np.bool_)
    allowed[pair] = True
    return bool(graph.can_reach(p, ends[pair], allowed).states.all())


def _check(p: Pairs, policy: Policy, x: Array, half: Array, step: int) -> tuple[Bounds, Ints, Mask]:
    """Bounds `x - half` and `x + half` as far as they pass their checks, and where another pair is better.

    The status is CONVERGED if both pass, whatever their distance.
    """
    lower, upper = x - half, x + half
    high, arg = np.empty_like(x), np.empty_like(policy.pair)
    kernels.best_above(p.first, p.start, p.successor, p.prob, p.reward, upper, p.error, TINY, high, arg)
    backup, error = policy.backup(lower)
    proved_below = bool((backup - error >= lower).all())
    violated = ~(high <= upper)
    proved_above = not violated.any()
    none = _nothing(p, policy.pair, Status.MAX_STEPS, step)
    status = Status.CONVERGED if proved_below and proved_above else Status.MAX_STEPS
    found = Bounds(
        lower if proved_below else none.lower,
        upper if proved_above else none.upper,
        policy.pair,
        status,
        step,
    )
    return found, arg, violated & (arg != policy.pair)


def _least_margin(policy: Policy, x: Array) -> float:
    """Least margin that covers the rounding of a backup of x, and the residual of x."""
    backup, error = policy.backup(x)
    return max(FLOOR * float(error.max()), float(np.abs(backup - x).max()) / SHARE)


def _tolerance(x: Array, atol: float, rtol: float) -> float:
    return atol + rtol * float(np.abs(x).max())


def _nothing(p: Pairs, pair: Ints, status: Status, step: int) -> Bounds:
    """No bounds at all."""
    return Bounds(np.full(p.n_states, -np.inf), np.full(p.n_states, np.inf), pair, status, step)


def _ended(found: Bounds, status: Status, step: int) -> Bounds:
    """The bounds found last, with the status and the number of steps of the end."""
    return Bounds(found.lower, found.upper, found.pair, status, step)
