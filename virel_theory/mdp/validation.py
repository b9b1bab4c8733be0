"""Validation of the arrays that make an MDP: shapes, ranges and row sums; errors name the bad entry."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from virel_common.errors import InputError, require
from virel_theory.checks import Array, Mask, as_mask, as_number, as_real, first_bad
from virel_theory.mdp.row_sums import Rows, first_bad_row, is_fine

Transition = Array | sparse.csr_array
"""Transition probabilities p(s'|s, a): dense `[S, A, S]`, or CSR `[S*A, S]` with row `s*A + a`."""

Value = TypeVar("Value")
LARGE = 1_000_000  # entries from which validation takes care not to make temporary arrays
ROUNDED = 1e-3  # sums this close to 1 look like rounding in print, and the message says what to do
TOOLBOX = "`from_toolbox` reads the order of other toolboxes, one matrix [S, S] per action"


def as_gamma(gamma: ArrayLike) -> float:
    """Return the discount `gamma` as a float in [0, 1)."""
    value = as_number(gamma, name="gamma")
    require(0 <= value < 1, "gamma", gamma, "must lie in [0, 1)")
    return value


def as_transition(transition: Any) -> tuple[Transition, int, int]:
    """Return `transition` as float64, contiguous or CSR, and the numbers S of states and A of actions."""
    if sparse.issparse(transition):
        return _as_csr(transition)
    if isinstance(transition, list | tuple) and any(sparse.issparse(one) for one in transition):
        found = f"a list of {len(transition)} matrices"
        raise InputError(
            f"`transition` must have shape [S, A, S], or [S*A, S] as CSR; found {found}; {TOOLBOX}"
        )
    dense = as_real(transition, name="transition")
    ok = dense.ndim == 3 and dense.shape[0] == dense.shape[2] and 0 not in dense.shape
    by_action = dense.ndim == 3 and dense.shape[1] == dense.shape[2] and 0 not in dense.shape
    shape = "must have shape [S, A, S], S and A at least 1"
    hint = f"{shape}; {TOOLBOX}" if by_action else shape
    require(ok, "transition", dense.shape, hint)
    return np.ascontiguousarray(dense), dense.shape[0], dense.shape[1]  # solvers read rows as memory has them


def _as_csr(transition: Any) -> tuple[Transition, int, int]:
    """Return a sparse transition as float64 CSR, and the numbers S of states and A of actions."""
    kind = transition.dtype.kind
    require(kind in "biuf", "transition", transition.dtype, "must be an array of real numbers")
    require(transition.ndim == 2, "transition", transition.shape, "must have shape [S*A, S]")
    n_rows, n_states = transition.shape
    require(
        n_states > 0 and n_rows > 0 and n_rows % n_states == 0,
        "transition",
        (n_rows, n_states),
        "must have shape [S*A, S], S and A at least 1",
    )
    if transition.format == "coo":  # entries of one place are added below; those given must be valid
        data = transition.data
        first_bad(~(data >= 0), data, name="transition.data", rule="must be non-negative")
    csr = sparse.csr_array(transition)
    if csr.dtype != np.float64:
        csr = csr.astype(np.float64)
    return csr, n_states, n_rows // n_states


def as_reward(reward: ArrayLike, shape: tuple[int, int], mask: Mask | None) -> Array:
    """Return `reward` as float64 `[S, A]`, finite where the action exists."""
    out = as_real(reward, name="reward")
    of_successors = out.ndim == 3 and out.shape[:2] == shape
    hint = "; rewards of transitions must be averaged first: (transition * reward).sum(axis=2)"
    require(out.shape == shape, "reward", out.shape, f"must have shape {list(shape)}{hint * of_successors}")
    bad = ~np.isfinite(out) & (True if mask is None else mask)
    missing = bool(np.isneginf(out[bad]).all())
    rule = "must be finite" + ("; an action that does not exist must be False in `mask`" * missing)
    first_bad(bad, out, name="reward", rule=rule)
    return out


def as_action_mask(mask: ArrayLike | None, shape: tuple[int, int]) -> Mask | None:
    """Return `mask` as booleans `[S, A]`, True where the action exists, or None if every action does."""
    if mask is None:
        return None
    out = as_mask(mask, shape)
    return None if out.all() else out


def check_rows(transition: Transition, n_actions: int, mask: Mask | None) -> None:
    """Raise `InputError` unless each transition row is a distribution, or zero for a missing action."""
    large = not isinstance(transition, np.ndarray) and len(transition.data) >= LARGE
    if large and _is_surely_fine(transition, mask):
        return
    entries: Array
    rows: Rows
    if isinstance(transition, np.ndarray):
        entries, rows = transition, transition.reshape(-1, transition.shape[2])
        sums = transition.sum(axis=2).ravel()
    else:
        _check_csr(transition)
        entries, rows = transition.data, transition
        sums = transition @ np.ones(transition.shape[1])  # `.sum(axis=1)` takes twice the memory
    if not entries.min(initial=0.0) >= 0:
        _raise_bad_entry(transition, n_actions)
    target = np.ones(1) if mask is None else mask.ravel().astype(np.float64)
    found = first_bad_row(rows, sums, np.broadcast_to(target, sums.shape))
    if found is not None:
        row, total = found
        state, action = divmod(row, n_actions)
        exists = mask is None or mask[state, action]
        rule = "sum to 1 in every row" if exists else "be zero in the row of an action that `mask` excludes"
        rounded = 0 < abs(total - 1) < ROUNDED and (mask is None or bool(mask[state, action]))
        hint = (
            "; divide rows that were rounded, or are float32, by their sums first (`normalise`)"
            if rounded
            else ""
        )
        raise InputError(
            f"`transition` must {rule}; found the sum {total!r} for state {state}, action {action}{hint}"
        )


def _is_surely_fine(csr: Any, mask: Mask | None) -> bool:
    """Whether one pass over a large CSR transition, without temporary arrays, finds nothing to look at."""
    from virel_theory.mdp.large_rows import survey  # noqa: PLC0415  (numba is slow to import)

    exists = np.empty(0, dtype=np.bool_) if mask is None else np.ascontiguousarray(mask).reshape(-1)
    parts = (read_only(part) for part in (csr.indptr, csr.indices, csr.data))
    well_formed, worst, longest = survey(*parts, exists, csr.shape[1])
    return bool(well_formed) and is_fine(float(worst), int(longest))


def _check_csr(csr: sparse.csr_array) -> None:
    """Raise `InputError` unless the pointers and indices of a CSR transition lie within the matrix."""
    indptr, indices, n_states = csr.indptr, csr.indices, csr.shape[1]
    ok = indptr[0] == 0 and indptr[-1] == len(indices) == len(csr.data) and bool((np.diff(indptr) >= 0).all())
    require(
        ok,
        "transition.indptr",
        (int(indptr[0]), int(indptr[-1])),
        f"must rise from 0 to the {len(csr.data)} stored entries",
    )
    if len(indices):
        low, high = int(indices.min()), int(indices.max())
        require(
            low >= 0 and high < n_states, "transition.indices", (low, high), f"must lie in [0, {n_states})"
        )


def _raise_bad_entry(transition: Transition, n_actions: int) -> None:
    """Raise `InputError` for the first transition probability that is negative or NaN."""
    if isinstance(transition, np.ndarray):
        first_bad(~(transition >= 0), transition, name="transition", rule="must be non-negative")
    else:
        k = int(np.argmax(~(transition.data >= 0)))
        row = int(np.searchsorted(transition.indptr, k, side="right")) - 1
        state, action = divmod(row, n_actions)
        value, successor = float(transition.data[k]), int(transition.indices[k])
        raise InputError(
            f"`transition` must be non-negative; found {value!r} at [{state}, {action}, {successor}]"
        )


def read_only(value: Value) -> Value:
    """Read-only view of an array or CSR matrix; any other value as it is."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, sparse.csr_array):
        parts = (value.data, value.indices, value.indptr)
        if not any(part.flags.writeable for part in parts):
            return value
        views = tuple(map(read_only, parts))
        return sparse.csr_array(views, shape=value.shape, copy=False)  # type: ignore[return-value]
    return value
