r"""Finite Markov decision processes: the data everything else is a function of.

States are `0 .. S-1`, actions `0 .. A-1`; a state-action pair is `h = (s, a)`. Shapes: `[S, A, S]` (dense)
or CSR `[S*A, S]` with row `s*A + a` (sparse) for `transition`; `[S, A]` for tables; `[S]` for state
vectors.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from virel_theory.checks import (
    Array,
    InputError,
    as_distribution,
    as_float_array,
    as_number,
    as_real,
    first_bad,
    require,
)
from virel_theory.mdp.row_sums import first_bad_row
from virel_theory.mdp.storage import atomic_npz, csr_from_parts, read_npz

Transition = Any  # float64 `[S, A, S]` array, or `scipy.sparse.csr_array` `[S*A, S]`


@dataclass(frozen=True, eq=False)
class TabularMDP:
    r"""Finite MDP $\langle S, A, r, p(s'|h), \gamma, p_0 \rangle$, Eq. (1).

    Validated once, then read-only; arrays of the right type are kept without a copy.
    Deviation: 1. actions may be missing in some states (`mask`), as in every real MDP; the paper has one
        action set.

    Args:
        transition: $p(s'|h)$, dense `[S, A, S]` or `scipy.sparse` `[S*A, S]` (kept as CSR); rows sum to 1
            within rounding (`row_sums`).
        reward: $r(h)$, `[S, A]`, finite, in reward units.
        gamma: discount in [0, 1).
        initial: $p_0(s)$, `[S]`; uniform if None.
        mask: `[S, A]` booleans, True where the action exists; at least one a state; all exist if None.
            Rows of missing actions are ignored: their transition must be zero and their reward reads 0.

    Raises:
        InputError: naming the argument, the rule, and the offending state, action and value.

    Example:
        >>> mdp = TabularMDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
        >>> mdp.shape, mdp.n_pairs
        ((2, 1), 2)

    Source: Fellows et al. 2019, Section 2.
    """

    transition: Transition
    reward: Array
    gamma: float
    initial: Any = None
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        """Validate once; store read-only float64 views."""
        gamma = _as_gamma(self.gamma)
        transition, n_states, n_actions = _as_transition(self.transition)
        mask = _as_mask(self.mask, (n_states, n_actions))
        reward = as_float_array(self.reward, (n_states, n_actions), name="reward")
        available = True if mask is None else mask
        first_bad(~np.isfinite(reward) & available, reward, name="reward", rule="must be finite")
        _check_rows(transition, n_actions, mask)
        if mask is not None:
            reward = np.where(mask, reward, 0.0)
        initial = np.full(n_states, 1 / n_states) if self.initial is None else self.initial
        initial = as_distribution(initial, n_states, name="initial")
        for name, value in {
            "transition": transition,
            "reward": reward,
            "gamma": gamma,
            "initial": initial,
            "mask": mask,
        }.items():
            object.__setattr__(self, name, _read_only(value))

    @property
    def n_states(self) -> int:
        """S, the number of states."""
        return int(self.reward.shape[0])

    @property
    def n_actions(self) -> int:
        """A, the largest number of actions of a state."""
        return int(self.reward.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """`(S, A)`."""
        return self.n_states, self.n_actions

    @cached_property
    def n_pairs(self) -> int:
        """|H|, the number of state-action pairs that exist."""
        return self.n_states * self.n_actions if self.mask is None else int(self.mask.sum())

    @cached_property
    def available(self) -> NDArray[np.bool_]:
        """`[S, A]` booleans: True where the action exists (read-only)."""
        if self.mask is not None:
            return self.mask
        return np.broadcast_to(np.True_, self.shape)

    @property
    def is_sparse(self) -> bool:
        """Whether `transition` is CSR."""
        return _is_sparse(self.transition)

    def expect_next(self, v: Array) -> Array:
        r"""$E_{s' \sim p(s'|h)}[v(s')]$ as `[S, A]`, the linear part of every Bellman operator.

        Args: v: `[S]` finite values (not checked here). Returns: a new `[S, A]` array; 0 where the action
            does not exist.
        """
        if isinstance(self.transition, np.ndarray):
            return self.transition @ v
        out: Array = (self.transition @ v).reshape(self.shape)
        return out

    @property
    def dense_transition(self) -> Array:
        """`[S, A, S]` transition probabilities, dense (a new array if the MDP is sparse)."""
        if isinstance(self.transition, np.ndarray):
            return self.transition
        out: Array = self.transition.toarray().reshape(*self.shape, self.n_states)
        return out

    @property
    def csr_transition(self) -> Any:
        """`[S*A, S]` transition probabilities as `scipy.sparse.csr_array` (new if the MDP is dense)."""
        if isinstance(self.transition, np.ndarray):
            return sparse.csr_array(self.transition.reshape(-1, self.n_states))
        return self.transition

    def to_dense(self) -> "TabularMDP":
        """The same MDP with a dense `[S, A, S]` transition (itself if it is dense already)."""
        if isinstance(self.transition, np.ndarray):
            return self
        return TabularMDP(self.dense_transition, self.reward, self.gamma, self.initial, self.mask)

    def to_sparse(self) -> "TabularMDP":
        """The same MDP with a CSR `[S*A, S]` transition (itself if it is sparse already)."""
        if not isinstance(self.transition, np.ndarray):
            return self
        return TabularMDP(self.csr_transition, self.reward, self.gamma, self.initial, self.mask)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `.npz` without pickle, under a temporary name first, so that no half file stays."""
        arrays: dict[str, Any] = {
            "reward": self.reward,
            "gamma": np.float64(self.gamma),
            "initial": self.initial,
        }
        if self.mask is not None:
            arrays["mask"] = self.mask
        if isinstance(self.transition, np.ndarray):
            arrays["transition"] = self.transition
        else:
            csr = self.transition
            arrays |= {"indptr": csr.indptr, "indices": csr.indices, "data": csr.data}
        atomic_npz(Path(path), arrays)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "TabularMDP":
        """Read what `save` wrote.

        Keys: `transition`, or `indptr`, `indices`, `data`; `reward`, `gamma`; optional `initial`, `mask`.

        Raises: InputError: if the file is missing, truncated, holds pickled objects, lacks a key, or fails
            validation.
        """
        arrays = read_npz(Path(path))
        for key in ("reward", "gamma"):
            require(key in arrays, str(path), sorted(arrays), f"must hold the array {key!r}")
        transition: Any
        if "transition" in arrays:
            transition = arrays["transition"]
        else:
            needed = "must hold 'transition', or 'indptr', 'indices' and 'data'"
            require({"indptr", "indices", "data"} <= set(arrays), str(path), sorted(arrays), needed)
            transition = csr_from_parts(arrays)
        require(arrays["gamma"].ndim == 0, "gamma", arrays["gamma"].shape, "must be a scalar")
        return TabularMDP(
            transition, arrays["reward"], arrays["gamma"].item(), arrays.get("initial"), arrays.get("mask")
        )


def _is_sparse(value: Any) -> bool:
    return bool(sparse.issparse(value))


def _as_gamma(gamma: Any) -> float:
    value = as_number(gamma, name="gamma")
    require(0 <= value < 1, "gamma", gamma, "must lie in [0, 1)")
    return value


def _as_transition(transition: Any) -> tuple[Transition, int, int]:
    if _is_sparse(transition):
        kind = transition.dtype.kind
        require(kind in "biuf", "transition", transition.dtype, "must be an array of real numbers")
        require(transition.ndim == 2, "transition", transition.shape, "must have shape [S*A, S]")
        n_rows, n_states = transition.shape
        require(
            n_states > 0 and n_rows > 0 and n_rows % n_states == 0,
            "transition",
            (n_rows, n_states),
            "must have shape [S*A, S]",
        )
        csr = sparse.csr_array(transition)
        if csr.dtype != np.float64:
            csr = csr.astype(np.float64)
        return csr, n_states, n_rows // n_states
    dense = as_real(transition, name="transition")
    ok = dense.ndim == 3 and dense.shape[0] == dense.shape[2] and 0 not in dense.shape
    require(ok, "transition", dense.shape, "must have shape [S, A, S]")
    return dense, dense.shape[0], dense.shape[1]


def _as_mask(mask: Any, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    out = np.asarray(mask)
    require(out.dtype == np.bool_, "mask", out.dtype, "must be an array of booleans")
    require(out.shape == shape, "mask", out.shape, f"must have shape {list(shape)}")
    empty = ~out.any(axis=1)
    require(
        not empty.any(),
        "mask",
        f"no action in state {int(np.argmax(empty))}",
        "must leave at least one action in every state",
    )
    return None if out.all() else out.astype(np.bool_)


def _check_rows(transition: Transition, n_actions: int, mask: NDArray[np.bool_] | None) -> None:
    if isinstance(transition, np.ndarray):
        entries, rows = transition, transition.reshape(-1, transition.shape[2])
        sums = transition.sum(axis=2).ravel()
    else:
        _check_csr(transition)
        entries, rows = transition.data, transition
        sums = transition @ np.ones(transition.shape[1])  # `.sum(axis=1)` takes twice the memory
    if not entries.min(initial=0.0) >= 0:
        _bad_entry(transition, n_actions)
    target = np.ones(1) if mask is None else mask.ravel().astype(np.float64)
    found = first_bad_row(rows, sums, np.broadcast_to(target, sums.shape))
    if found is not None:
        row, total = found
        state, action = divmod(row, n_actions)
        rule = (
            "sum to 1"
            if mask is None or mask[state, action]
            else "be zero, as the mask says that the action does not exist"
        )
        raise InputError(
            f"`transition` must {rule} in every row; "
            f"found the sum {total!r} for state {state}, action {action}"
        )


def _check_csr(csr: Any) -> None:
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


def _bad_entry(transition: Transition, n_actions: int) -> None:
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


def _read_only(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if _is_sparse(value):
        parts = tuple(_read_only(part) for part in (value.data, value.indices, value.indptr))
        return sparse.csr_array(parts, shape=value.shape, copy=False)
    return value
