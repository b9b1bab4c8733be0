"""Solver of many small dense MDPs at once, by one compiled, parallel policy iteration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError, require
from virel_theory.checks import Array, Mask, as_float_array, as_mask, as_number, as_real, first_bad
from virel_theory.mdp.row_sums import SURE, first_bad_row
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.kernels import batch
from virel_theory.solvers.problem import check_scale
from virel_theory.threads.count import n_threads
from virel_theory.threads.team import share

MAX_STEPS = 1000
N_CHUNKS = 1024  # at most: short, so that a thread that is held up is not waited for for long


@dataclass(frozen=True, eq=False)
class BatchSolution:
    r"""Optimal values of N MDPs, each with a guaranteed error bound.

    Attributes:
        value: `[N, S]` state values.
        q: `[N, S, A]` action values, `-inf` where the action does not exist.
        policy: `[N, S]` greedy actions of `q`, lowest index among equals.
        error_bound: `[N]` guaranteed bounds on $\|Q - Q^*\|_\infty$, rounding included; `inf` where gamma is
            too close to 1.
        met: `[N]` whether the bound is within the tolerance.

    Example:
        >>> found = solve_batch([[[[1.0]]], [[[1.0]]]], [[[1.0]], [[2.0]]], 0.5, atol=1e-9)
        >>> found.policy.tolist(), found.met.tolist()
        ([[0], [0]], [True, True])
    """

    value: Array
    q: Array
    policy: NDArray[np.intp]
    error_bound: Array
    met: Mask


def solve_batch(
    transition: ArrayLike,
    reward: ArrayLike,
    gamma: ArrayLike,
    *,
    atol: float,
    mask: ArrayLike | None = None,
) -> BatchSolution:
    r"""Optimal values of a stack of dense MDPs by policy iteration, Puterman 1994, Section 6.4.

    Every MDP is solved to rounding (direct solves without pivoting: $I - \gamma P_\pi$ is strictly diagonally
    dominant); `atol` only says which bounds count as met. The bound is that of `solve`, one MDP at a time.

    Args:
        transition: `[N, S, A, S]` probabilities; rows sum to 1 within rounding.
        reward: `[N, S, A]`, finite, reward units.
        gamma: discounts in [0, 1), a scalar or `[N]`.
        atol: tolerance on the error bound, reward units.
        mask: `[N, S, A]` booleans, True where the action exists; rows of missing actions must be zero.

    Returns:
        A `BatchSolution`.

    Raises:
        InputError: naming the argument, the rule and the offending index and value.

    Example:
        >>> solve_batch([[[[1.0]]], [[[1.0]]]], [[[1.0]], [[2.0]]], 0.5, atol=1e-9).value.tolist()
        [[2.0], [4.0]]
    """
    rows, rewards, gammas = _checked(transition, reward, gamma, mask)
    require(0 <= as_number(atol, name="atol") < np.inf, "atol", atol, "must be non-negative and finite")
    n, n_states, n_actions = rewards.shape
    q, policy = np.empty((n, n_states, n_actions)), np.empty((n, n_states), dtype=np.intp)
    low, high, v_max = np.empty(n), np.empty(n), np.empty(n)
    r_max = np.abs(rewards, where=np.isfinite(rewards), out=np.zeros_like(rewards)).max(axis=(1, 2))
    for size, one in zip(r_max.tolist(), gammas.tolist(), strict=True):
        check_scale(size, one, name="reward", what="max|r|")
    args = (rows, rewards, gammas, MAX_STEPS, q, policy, low, high, v_max)
    share(batch.policy_iterations, args, n_chunks=min(N_CHUNKS, n), n_helpers=min(n_threads(), n) - 1)
    n_terms = np.count_nonzero(rows, axis=3).max(axis=(1, 2)).astype(np.float64)
    shift, bound = cert.shifts_and_bounds(low, high, gamma=gammas, n_terms=n_terms, r_max=r_max, v_max=v_max)
    q += shift[:, None, None]
    return BatchSolution(q.max(axis=2), q, q.argmax(axis=2), bound, bound <= atol)


def _checked(
    transition: ArrayLike, reward: ArrayLike, gamma: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Check the inputs of `solve_batch`; return transition, reward and discounts as contiguous arrays.

    Their shapes are `[N, S, A, S]`, `[N, S, A]` and `[N]`.

    The reward is `-inf` where the action does not exist.
    """
    rows = np.ascontiguousarray(as_real(transition, name="transition"))
    right = rows.ndim == 4 and rows.shape[1] == rows.shape[3] and 0 not in rows.shape
    require(right, "transition", rows.shape, "must have shape [N, S, A, S]")
    n, n_states, n_actions, _ = rows.shape
    rewards = as_float_array(reward, (n, n_states, n_actions), name="reward")
    available = np.ones(rewards.shape, dtype=np.bool_) if mask is None else as_mask(mask, rewards.shape)
    first_bad(~np.isfinite(rewards) & available, rewards, name="reward", rule="must be finite")
    first_bad(~(rows >= 0), rows, name="transition", rule="must be non-negative")
    _check_sums(rows, available, masked=mask is not None)
    gammas = as_real(gamma, name="gamma")
    require(gammas.shape in ((), (n,)), "gamma", gammas.shape, f"must be a scalar or have shape [{n}]")
    gammas = np.broadcast_to(gammas, (n,)).copy()
    first_bad(~((gammas >= 0) & (gammas < 1)), gammas, name="gamma", rule="must lie in [0, 1)")
    return rows, np.where(available, rewards, -np.inf), gammas


def _check_sums(rows: Array, available: Mask, *, masked: bool) -> None:
    """Raise `InputError` unless the transition rows of each MDP sum to 1, by the rule of `TabularMDP`."""
    n_actions, n_states = rows.shape[2:]
    sums, target = rows.sum(axis=3), available.astype(np.float64)
    for i in np.flatnonzero(~(np.abs(sums - target) <= SURE).all(axis=(1, 2))):
        found = first_bad_row(rows[i].reshape(-1, n_states), sums[i].ravel(), target[i].ravel())
        if found is not None:
            where = f"{found[1]!r} at [{i}, {found[0] // n_actions}, {found[0] % n_actions}]"
            rule = (
                "must sum to 1 where the action exists, else to 0" if masked else "must sum to 1 in every row"
            )
            raise InputError(f"`transition` {rule}; found {where}")
