"""Solver of many small dense MDPs at once: one compiled call, in parallel over MDPs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError, require
from virel_theory.checks import Array, Mask, as_float_array, as_mask, as_non_negative, as_real, first_bad
from virel_theory.mdp.row_sums import first_bad_row
from virel_theory.mdp.validation import read_only
from virel_theory.solvers.kernels import batch
from virel_theory.solvers.problem import check_scale
from virel_theory.threads.count import n_threads
from virel_theory.threads.team import share

SAFE = 1e100  # values far below those that `check_scale` refuses
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
    r"""Optimal values of a stack of dense MDPs, each with the bound of `solve`, Puterman 1994, Section 6.5.

    One compiled call checks, solves and certifies them, in parallel over MDPs, by the steps of `solve`:
    sweeps of the greedy policy, elimination for MDPs that are tiny or mix slowly ($I - \gamma P_\pi$ is
    strictly diagonally dominant, so without pivoting), compensated sweeps where `atol` is below what one
    float64 sweep certifies. An MDP's answer does not depend on the others, nor on the number of threads.

    Args:
        transition: `[N, S, A, S]` probabilities; rows sum to 1 within rounding.
        reward: `[N, S, A]`, finite, reward units.
        gamma: discounts in [0, 1), a scalar or `[N]`.
        atol: tolerance on the error bound to reach, reward units.
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
    tolerance = as_non_negative(atol, name="atol")
    n, n_states, n_actions = rewards.shape
    flat = rows.reshape(n, -1)
    out = BatchSolution(
        value=np.empty((n, n_states)),
        q=np.empty((n, n_states, n_actions)),
        policy=np.empty((n, n_states), dtype=np.intp),
        error_bound=np.empty(n),
        met=np.empty(n, dtype=np.bool_),
    )
    fine = np.empty(n, dtype=np.bool_)
    inputs = (flat, rows.view(np.int64).reshape(n, -1, n_states), rewards, gammas)
    known = tuple(map(read_only, inputs))  # kernels compile anew for each kind of array
    found = (out.q, out.policy, out.value, out.error_bound, fine)
    share(
        batch.solve_stack,
        (*known, tolerance, False, *found),
        n_chunks=min(N_CHUNKS, n),
        n_helpers=min(n_threads(), n) - 1 if n > 1 else 0,  # counting CPUs takes 0.1 ms
    )
    for i in np.flatnonzero(~fine).tolist():
        _check_rows(rows[i], rewards[i], i, masked=mask is not None)
        alone = slice(i, i + 1)
        args = (*(x[alone] for x in known), tolerance, True, *(x[alone] for x in found))
        share(batch.solve_stack, args, n_chunks=1, n_helpers=0)
    np.less_equal(out.error_bound, tolerance, out=out.met)
    return out


def _checked(
    transition: ArrayLike, reward: ArrayLike, gamma: ArrayLike, mask: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Check the inputs of `solve_batch` but for the rows; return them as contiguous arrays.

    Their shapes are `[N, S, A, S]`, `[N, S, A]` and `[N]`. The reward is `-inf` where the action does not
    exist.
    """
    rows = np.ascontiguousarray(as_real(transition, name="transition"))
    right = rows.ndim == 4 and rows.shape[1] == rows.shape[3] and 0 not in rows.shape
    require(right, "transition", rows.shape, "must have shape [N, S, A, S]")
    n, n_states, n_actions, _ = rows.shape
    rewards = np.ascontiguousarray(as_float_array(reward, (n, n_states, n_actions), name="reward"))
    bad = ~np.isfinite(rewards)
    if mask is not None:
        available = as_mask(mask, rewards.shape)
        bad &= available
    first_bad(bad, rewards, name="reward", rule="must be finite")
    gammas = as_real(gamma, name="gamma")
    require(gammas.shape in ((), (n,)), "gamma", gammas.shape, f"must be a scalar or have shape [{n}]")
    gammas = np.broadcast_to(gammas, (n,)).copy()
    first_bad(~((gammas >= 0) & (gammas < 1)), gammas, name="gamma", rule="must lie in [0, 1)")
    if mask is not None:
        rewards = np.where(available, rewards, -np.inf)
    _check_scales(rewards, gammas)
    return rows, rewards, gammas


def _check_scales(rewards: Array, gammas: Array) -> None:
    """Raise `InputError` for the first MDP whose values may overflow float64."""
    sizes = np.abs(rewards, where=np.isfinite(rewards), out=np.zeros_like(rewards)).max(axis=(1, 2))
    for i in np.flatnonzero(sizes > SAFE * (1 - gammas)).tolist():
        check_scale(float(sizes[i]), float(gammas[i]), name="reward", what="max|r|")


def _check_rows(rows: Array, rewards: Array, i: int, *, masked: bool) -> None:
    """Raise `InputError` unless the transition rows of MDP i are distributions, by the rule of `TabularMDP`.

    Args: the MDP's `rows [S, A, S]` and `rewards [S, A]`; whether the user gave a `mask`.
    """
    if not (rows >= 0).all():
        state, action, successor = (int(k) for k in np.argwhere(~(rows >= 0))[0])
        where = f"{float(rows[state, action, successor])!r} at [{i}, {state}, {action}, {successor}]"
        raise InputError(f"`transition` must be non-negative; found {where}")
    sums, target = rows.sum(axis=2), (rewards > -np.inf).astype(np.float64)
    found = first_bad_row(rows.reshape(-1, rows.shape[2]), sums.ravel(), target.ravel())
    if found is not None:
        state, action = divmod(found[0], rows.shape[1])
        where = f"{found[1]!r} at [{i}, {state}, {action}]"
        rule = "must sum to 1 where the action exists, else to 0" if masked else "must sum to 1 in every row"
        raise InputError(f"`transition` {rule}; found {where}")
