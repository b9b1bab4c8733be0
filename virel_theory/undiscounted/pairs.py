"""State-action pairs of an MDP as rows of successors: what all objectives without a discount work on.

A dense transition is converted, so that dense and sparse MDPs are solved by the same code, bit for bit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from virel_common.arguments import as_whole
from virel_common.errors import InputError, require, shown
from virel_theory.checks import Array, Mask, as_array, as_non_negative
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.undiscounted import rounding

Ints = NDArray[np.int64]
LARGEST = 1e140  # largest |reward| allowed; sums of so many that they overflow do not fit in memory


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs `c = 0 .. C-1`; those of state s are `first[s] : first[s + 1]`.

    Attributes:
        first: `[S + 1]` pointers to the pairs of each state.
        state: `[C]` state of each pair.
        action: `[C]` its action.
        start: `[C + 1]` pointers to the entries of each pair.
        successor: `[N]` successor states of positive probability.
        prob: `[N]` their probabilities, as the MDP gives them; what is meant is `rounding`'s business.
        reward: `[C]` rewards, negated where costs are minimised.
        n_actions: A.
        n_terms: largest number of terms in the sum of a row, before equal successors were added up.
    """

    first: Ints
    state: Ints
    action: Ints
    start: Ints
    successor: Ints
    prob: Array
    reward: Array
    n_actions: int
    n_terms: int

    @property
    def n_states(self) -> int:
        """Number S of states."""
        return len(self.first) - 1

    @cached_property
    def owner(self) -> Ints:
        """Pair of each entry, `[N]`."""
        return np.repeat(np.arange(len(self.state)), np.diff(self.start))

    @cached_property
    def before(self) -> tuple[Ints, Ints]:
        """Pairs that may lead to a state: pointers `[S + 1]` to them, and the pairs `[N]`."""
        counts = np.bincount(self.successor, minlength=self.n_states)
        order = np.argsort(self.successor, kind="stable")
        return np.concatenate([[0], counts.cumsum()]), self.owner[order]

    @cached_property
    def error(self) -> float:
        """Relative error of a backup, see `rounding`."""
        return rounding.backup_error(self.n_terms)


def pairs_of(mdp: TabularMDP, *, sign: float) -> Pairs:
    """Pairs of a checked MDP, with rewards times `sign`; 0 is for objectives without rewards."""
    require_mdp(mdp)
    largest = float(np.abs(mdp.reward).max()) if sign else 0.0
    require(largest <= LARGEST, "reward", largest, f"must be at most {LARGEST:g} in size")
    exists = np.ascontiguousarray(mdp.available).ravel()
    row = np.flatnonzero(exists)
    csr = sparse.csr_array(mdp.csr_transition[row])
    csr.eliminate_zeros()
    n_terms = int(np.diff(csr.indptr).max())
    csr.sum_duplicates()
    state = row // mdp.n_actions
    first = np.concatenate([[0], np.bincount(state, minlength=mdp.n_states).cumsum()])
    return Pairs(
        first=first.astype(np.int64),
        state=state.astype(np.int64),
        action=(row % mdp.n_actions).astype(np.int64),
        start=csr.indptr.astype(np.int64),
        successor=csr.indices.astype(np.int64),
        prob=csr.data,
        reward=sign * mdp.reward.ravel()[row],
        n_actions=mdp.n_actions,
        n_terms=n_terms,
    )


def as_goal(goal: ArrayLike | Iterable[int], n_states: int) -> Mask:
    """Goal states as booleans `[S]`, of state numbers or booleans; at least one."""
    listed = _listed(goal)
    given = np.atleast_1d(as_array(listed, name="goal"))
    require(given.ndim == 1, "goal", listed, "must be one list of state numbers, or booleans [S]")
    require(given.size > 0, "goal", listed, "must name at least one state")
    if given.dtype == np.bool_:
        require(given.shape == (n_states,), "goal", given.shape, f"must have shape [{n_states}] as booleans")
        require(bool(given.any()), "goal", "none", "must name at least one state")
        return given
    require(given.dtype.kind in "iu", "goal", listed, "must be state numbers, or booleans [S]")
    outside = (given < 0) | (given >= n_states)
    require(not outside.any(), "goal", given[outside][:1].tolist(), f"must lie in [0, {n_states})")
    out = np.zeros(n_states, dtype=np.bool_)
    out[given] = True
    return out


def _listed(goal: ArrayLike | Iterable[int]) -> Any:
    """A set, range or generator of states as a list; anything else as it is."""
    if isinstance(goal, str | bytes):
        raise InputError(f"`goal` must be state numbers, or booleans [S]; found {shown(goal)}")
    return goal if isinstance(goal, np.ndarray) or not isinstance(goal, Iterable) else list(goal)


def as_tolerances(atol: float, rtol: float) -> tuple[float, float]:
    """Both tolerances as floats, non-negative and finite."""
    return as_non_negative(atol, name="atol"), as_non_negative(rtol, name="rtol")


def as_steps(max_steps: int) -> int:
    """Return the largest number of sweeps, at least 1."""
    return as_whole(max_steps, name="max_steps", least=1)
