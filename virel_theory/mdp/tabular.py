r"""Finite Markov decision processes: the input of everything else.

States are `0 .. S-1`, actions `0 .. A-1`; a state-action pair is `h = (s, a)`. Shapes: `[S, A, S]` (dense)
or CSR `[S*A, S]` with row `s*A + a` (sparse) for `transition`; `[S, A]` for tables; `[S]` for state
vectors.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from virel_common.arguments import as_path
from virel_common.errors import require
from virel_theory.checks import Array, Mask, as_distribution
from virel_theory.mdp.row_sums import longest_row
from virel_theory.mdp.storage import (
    FOLDER,
    atomic_npy_folder,
    atomic_npz,
    csr_from_parts,
    map_npy_folder,
    read_npz,
    require_known_arrays,
)
from virel_theory.mdp.validation import (
    Transition,
    as_action_mask,
    as_gamma,
    as_reward,
    as_transition,
    check_rows,
    read_only,
)

PRINTED = 300
"""Number of entries of a transition up to which hypothesis and IPython print an MDP in full."""


@dataclass(frozen=True, eq=False)
class TabularMDP:
    r"""Finite MDP $\langle S, A, r, p(s'|h), \gamma, p_0 \rangle$, Eq. (1).

    Validated once, then read-only. Arrays of the right type are kept without a copy: whoever writes to them
    afterwards has an MDP that passed no check, and bounds that are false. Two MDPs are equal only if they
    are one object.
    Deviation: 1. actions may be missing in some states (`mask`), as in every real MDP; the paper has one
        action set.

    Args:
        transition: $p(s'|h)$, dense `[S, A, S]` or `scipy.sparse` `[S*A, S]` (kept as CSR); rows sum to 1
            within rounding (`row_sums`).
        reward: $r(h)$, `[S, A]`, finite, in reward units.
        gamma: discount in [0, 1).
        initial: $p_0(s)$, `[S]`; uniform if None.
        mask: `[S, A]` booleans, True where the action exists; at least one per state; None: all exist.
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
    mask: Mask | None = None

    def __post_init__(self) -> None:
        """Validate every field of the MDP once and store read-only float64 views."""
        gamma = as_gamma(self.gamma)
        transition, n_states, n_actions = as_transition(self.transition)
        mask = as_action_mask(self.mask, (n_states, n_actions))
        reward = as_reward(self.reward, (n_states, n_actions), mask)
        check_rows(transition, n_actions, mask)
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
            object.__setattr__(self, name, read_only(value))

    def __reduce__(self) -> tuple[type["TabularMDP"], tuple[Any, ...]]:
        """Make copies and unpickled MDPs by the constructor, so that they are validated and read-only too."""
        return TabularMDP, (self.transition, self.reward, self.gamma, self.initial, self.mask)

    def __repr__(self) -> str:
        """Sizes, storage and discount in one line; the tables themselves are the attributes."""
        sizes = f"S={self.n_states}, A={self.n_actions}, {self.n_pairs} pairs"
        return f"TabularMDP({sizes}, {'sparse' if self.is_sparse else 'dense'}, gamma={self.gamma!r})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Print a small MDP as the call that makes it again; a large one as `repr` does.

        hypothesis and IPython ask for it.
        """
        if cycle or self.is_sparse or self.n_states * self.n_actions * self.n_states > PRINTED:
            printer.text(repr(self))
            return
        fields: dict[str, Any] = {"transition": self.transition, "reward": self.reward, "gamma": self.gamma}
        if (self.initial != 1 / self.n_states).any():
            fields["initial"] = self.initial
        if self.mask is not None:
            fields["mask"] = self.mask
        with printer.group(4, "TabularMDP(", ")"):
            for i, (name, value) in enumerate(fields.items()):
                if i:
                    printer.text(",")
                    printer.breakable()
                printer.text(f"{name}={value.tolist() if isinstance(value, np.ndarray) else value!r}")

    @property
    def n_states(self) -> int:
        """Number S of states of the MDP."""
        return int(self.reward.shape[0])

    @property
    def n_actions(self) -> int:
        """Number A of actions: the width of every `[S, A]` table."""
        return int(self.reward.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers `(S, A)` of states and of actions."""
        return self.n_states, self.n_actions

    @cached_property
    def n_pairs(self) -> int:
        """Number |H| of state-action pairs that exist."""
        return self.n_states * self.n_actions if self.mask is None else int(self.mask.sum())

    @cached_property
    def available(self) -> Mask:
        """Action availability `[S, A]`, read-only booleans: True where the action exists."""
        if self.mask is not None:
            return self.mask
        return np.broadcast_to(np.True_, self.shape)

    @cached_property
    def row_length(self) -> int:
        """Largest number of terms in a sum over successors: non-zeros if dense, stored entries if CSR."""
        if isinstance(self.transition, np.ndarray):
            return longest_row(self.transition.reshape(-1, self.n_states))
        return int(np.diff(self.transition.indptr).max())

    @property
    def is_sparse(self) -> bool:
        """Whether the transition is CSR, not dense."""
        return not isinstance(self.transition, np.ndarray)

    def expect_next(self, v: Array) -> Array:
        r"""Expected value of the successor state, $E_{s' \sim p(s'|h)}[v(s')]$, `[S, A]`.

        It is the linear part of every Bellman operator.

        Args: v: `[S]` finite values (not checked here).
        Returns: a new `[S, A]` array; 0 where the action does not exist.
        """
        if isinstance(self.transition, np.ndarray):
            return self.transition @ v
        out: Array = (self.transition @ v).reshape(self.shape)
        return out

    @property
    def dense_transition(self) -> Array:
        """Transition probabilities `[S, A, S]`, dense: a new array if the MDP is sparse."""
        if isinstance(self.transition, np.ndarray):
            return self.transition
        out: Array = self.transition.toarray().reshape(*self.shape, self.n_states)
        return out

    @property
    def csr_transition(self) -> sparse.csr_array:
        """Transition probabilities `[S*A, S]` as `scipy.sparse.csr_array`: a new one if the MDP is dense."""
        if isinstance(self.transition, np.ndarray):
            return sparse.csr_array(self.transition.reshape(-1, self.n_states))
        return self.transition

    def to_dense(self) -> "TabularMDP":
        """This MDP with a dense `[S, A, S]` transition; itself if it is dense already."""
        if isinstance(self.transition, np.ndarray):
            return self
        return TabularMDP(self.dense_transition, self.reward, self.gamma, self.initial, self.mask)

    def to_sparse(self) -> "TabularMDP":
        """This MDP with a CSR `[S*A, S]` transition; itself if it is sparse already."""
        if not isinstance(self.transition, np.ndarray):
            return self
        return TabularMDP(self.csr_transition, self.reward, self.gamma, self.initial, self.mask)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the MDP without pickles, atomically: on an error nothing is left.

        A `path` that ends in `.npz` is one file, one that ends in `.mdp` a folder of `.npy` files. `load`
        maps the folder into memory, so that several processes share one copy of a large MDP.

        Raises: InputError: if `path` is no path, has another suffix, or can't be written.
        """
        where = as_path(path)
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
        if where.suffix == FOLDER:
            atomic_npy_folder(where, arrays)
        else:
            atomic_npz(where, arrays)

    @staticmethod
    def load(path: str | os.PathLike[str], *, gamma: float | None = None) -> "TabularMDP":
        """Read an MDP from an `.npz` file, or map one from a `.mdp` folder, that `TabularMDP.save` wrote.

        Keys of the archive: `transition`, or `indptr`, `indices` and `data`; `reward`, `gamma`; optional
        `initial` and `mask`. The argument `gamma` takes the place of the discount in the file, which may
        then be missing or out of range.

        Raises: InputError: if `path` is no path, the file is missing, truncated, holds pickled objects, lacks
            a key, has one that is not listed here or both kinds of transition, or fails validation.
        """
        where = as_path(path)
        arrays = map_npy_folder(where) if where.is_dir() else read_npz(where)
        require_known_arrays(arrays, path)
        discount: Any = gamma
        if gamma is None:
            rule = "must hold the array 'gamma', if no discount is given"
            require("gamma" in arrays, str(path), sorted(arrays), rule)
            require(arrays["gamma"].ndim == 0, "gamma", arrays["gamma"].shape, "must be a scalar")
            discount = arrays["gamma"].item()
        transition = arrays["transition"] if "transition" in arrays else csr_from_parts(arrays)
        return TabularMDP(transition, arrays["reward"], discount, arrays.get("initial"), arrays.get("mask"))
