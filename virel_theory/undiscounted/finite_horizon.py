r"""Finite horizon: backward induction, with a bound on its rounding that is known before the first step.

With $e_T = 0$ and $V_t = \max_a r_t + \gamma p V_{t+1}$: $|\hat V_t - V_t| \le \gamma e_{t+1} +
\kappa(|r_t|_\infty + \gamma(1 + \delta)|\hat V_{t+1}|_\infty) =: e_t$ (`rounding`: p has sums of 1, maxima
are exact), and $|\hat V_{t+1}|$ is at most $|V_T|_\infty + \sum|r|_\infty$, rounded up. The factor $1 +
2\kappa$ covers $\delta$ and the rounding of $e_t$.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_common.arguments import as_whole, require_flag
from virel_common.errors import require
from virel_theory.checks import Array, as_finite, as_probability, as_real, as_sign, first_bad
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.bounds import TINY
from virel_theory.solvers.solution import Status, checked
from virel_theory.undiscounted import kernels
from virel_theory.undiscounted.pairs import LARGEST, Pairs, as_tolerances, pairs_of
from virel_theory.undiscounted.solution import FiniteHorizonSolution


def finite_horizon(
    mdp: TabularMDP,
    horizon: int,
    *,
    terminal: ArrayLike | None = None,
    rewards: ArrayLike | None = None,
    gamma: float = 1.0,
    sense: str = "max",
    atol: float = 1e-8,
    rtol: float = 0.0,
    throw: bool = False,
) -> FiniteHorizonSolution:
    r"""Optimal values of a finite horizon by backward induction, Puterman 1994, Section 4.5.

    $V_T = $ `terminal`, $V_t(s) = \max_a r_t(s, a) + \gamma\sum_{s'}p(s'|s, a)V_{t+1}(s')$ for t < T. The
    MDP's own discount plays no role; its rows are divided by their exact sums (`rounding`).

    Args:
        mdp: the MDP.
        horizon: number T of steps, at least 1.
        terminal: `[S]` reward for ending in each state; None: 0.
        rewards: `[T, S, A]` rewards of each step, in place of the MDP's; ignored where an action does not
            exist.
        gamma: discount in [0, 1]; 1 for none.
        sense: "max" (rewards) or "min" (costs).
        atol: absolute tolerance on the error bound, reward units.
        rtol: tolerance relative to max|V|.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `FiniteHorizonSolution`. The computation is the same whatever the tolerance.

    Raises:
        InputError: on a horizon below 1, arrays of other shapes, entries that are not finite or so large
            that values might overflow, a discount outside [0, 1], or a bad sense or tolerance.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> mdp = TabularMDP([[[0, 1], [1, 0]], [[0, 1], [0, 1]]], [[2.0, 1.0], [0.0, 0.0]], 0.9)
        >>> found = finite_horizon(mdp, 3)
        >>> found.value[:, 0].tolist(), found.policy[:, 0].tolist()
        ([4.0, 3.0, 2.0, 0.0], [1, 1, 0])
    """
    require_flag(throw, name="throw")
    sign = as_sign(sense)
    p = pairs_of(mdp, sign=sign)
    horizon = as_whole(horizon, name="horizon", least=1)
    atol, rtol = as_tolerances(atol, rtol)
    discount = as_probability(gamma, name="gamma")
    last = np.zeros(p.n_states) if terminal is None else as_finite(terminal, (p.n_states,), name="terminal")
    table = None if rewards is None else _as_rewards(rewards, p, (horizon, *mdp.shape), sign)
    value, policy = np.empty((horizon + 1, p.n_states)), np.empty((horizon, p.n_states), dtype=np.intp)
    value[-1] = sign * last
    peaks = _peaks(p, table, horizon, float(np.abs(last).max()))
    for t in reversed(range(horizon)):
        reward = p.reward if table is None else table[t]
        pair = np.empty(p.n_states, dtype=np.int64)
        kernels.sweep(p.first, p.start, p.successor, p.prob, reward, discount, value[t + 1], value[t], pair)
        policy[t] = p.action[pair]
    value = 0.0 + sign * value
    bound = _error(p, peaks, discount)
    met = bound <= atol + rtol * float(np.abs(value).max())
    status = Status.CONVERGED if met else Status.ROUNDING_LIMIT
    found = FiniteHorizonSolution(value, policy, status, horizon, bound, "backward induction")
    return checked(found, throw=throw)


def _as_rewards(rewards: ArrayLike, p: Pairs, shape: tuple[int, int, int], sign: float) -> Array:
    """Rewards `[T, C]` of all pairs, of an array `[T, S, A]`."""
    given = as_real(rewards, name="rewards")
    require(given.shape == shape, "rewards", given.shape, f"must have shape {list(shape)}")
    out: Array = sign * given[:, p.state, p.action]
    first_bad(
        ~(np.abs(out) <= LARGEST), out, name="rewards", rule=f"must be finite, at most {LARGEST:g} in size"
    )
    return out


def _peaks(p: Pairs, table: Array | None, horizon: int, last: float) -> list[tuple[float, float]]:
    """Bounds on max|r_t| and max|V_{t+1}| for t = T - 1, ..., 0, that no rounding can exceed."""
    require(last <= LARGEST, "terminal", last, f"must be at most {LARGEST:g} in size")
    out, size = [], last
    for t in reversed(range(horizon)):
        reward = float(np.abs(p.reward if table is None else table[t]).max())
        out.append((reward, size))
        size = (size + reward) * (1 + 4 * p.error)
    require(size <= LARGEST * 1e10, "horizon", horizon, "must not let values overflow")
    return out


def _error(p: Pairs, peaks: list[tuple[float, float]], discount: float) -> float:
    """A-priori bound on the rounding of all values."""
    out = worst = 0.0
    for reward, size in peaks:
        out = (discount * out + p.error * (reward + discount * size) + TINY) * (1 + 2 * p.error)
        worst = max(worst, out)
    return worst
