"""Bellman backups of one MDP on preallocated arrays: one interface, dense and sparse.

- `full(v, w)`: `q <- r + gamma P v`, `w <- max q`, `policy <- argmax q`.
- `restrict()` fixes `policy`; then `sweep(v, w)`: `w <- r_pi + gamma P_pi v`.
- `sweep(v, w, rhs)` has `rhs` in place of `r_pi`.

Every sweep returns the smallest and the largest entry of `w - v`.

Dense transitions have one compiled loop of such sweeps, `evaluate`.

Memory: `q` and `policy`, and, where it costs little, a copy of the policy's rows. `factors` lends the memory
of `q` to a linear solve.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from virel_theory.checks import Array
from virel_theory.solvers.kernels import dense, shared, sweeps
from virel_theory.solvers.kernels import rows as _rows
from virel_theory.solvers.problem import Problem
from virel_theory.threads.count import n_threads
from virel_theory.threads.team import Kernel, Pace

PER_THREAD = 500_000  # entries that a sweep of the policy must read per thread: below, waking it does not pay
PER_THREAD_FULL = 1_000_000  # the same threshold for sweeps of T*, which are few
CHUNK = 65_536  # entries of a chunk, about 0.1 ms: as long may a thread that is held up be waited for
COPY_SHARE = 0.2  # gather the policy's rows only if they are at most this share of the MDP's entries
AHEAD = 200  # entries between the fetch of a value and its use
AHEAD_FROM = 50_000  # states from which values are fetched ahead: fewer fit in the inner caches
MAX_DOUBT = 0.03  # share of actions in doubt above which all of them are computed, in order
N_SAMPLES = 1000
MIN_COLUMNS = 4  # of the table; the factors of a ring with moves to either side have 4
FAR = 512  # two successors of a row that are more states apart are not on one page

Integers = NDArray[np.signedinteger]


@dataclass(eq=False)
class PolicyCopy:
    """Contiguous copy of a policy's transition rows, with room per state for the row of any action.

    `old` is the policy that was copied, -1 where nothing was; `r_pi` are its rewards.
    """

    starts: Integers
    stops: Integers
    indices: Integers
    data: Array
    r_pi: Array
    old: NDArray[np.intp]


class SparseBackups:
    """Bellman backups with a CSR transition `[S*A, S]`; `reward` is `-inf` where an action is missing."""

    def __init__(self, transition: sparse.csr_array, reward: Array, gamma: float) -> None:
        """Store the MDP's arrays; allocate the `[S, A]` table `q` and the greedy policy."""
        self.indptr, self.indices, self.data = transition.indptr, transition.indices, transition.data
        self.reward, self.gamma = reward, gamma
        self._table: Array = np.empty(0)
        self.q: Array = self._table
        self.factors(MIN_COLUMNS)
        self.policy: NDArray[np.intp] = np.zeros(len(reward), dtype=np.intp)
        self._ahead = look_ahead(self.indices, len(reward))
        self.pace = Pace(n_threads())
        self.copy: PolicyCopy | None = None
        self._copy_tried = False

    def full(self, v: Array, w: Array) -> tuple[float, float]:
        """Sweep with the optimal operator T*: `q <- r + gamma P v`, `w <- max q`, `policy <- argmax q`.

        Returns the smallest and the largest entry of w - v.
        """
        args = (self.indptr, self.indices, self.data, self.reward, self.gamma, v, self.q, w, self.policy)
        if len(self.data) >= 2 * PER_THREAD_FULL:
            return share_sweep(
                self.pace, shared.full, (*args, self._ahead), len(v), len(self.data), PER_THREAD_FULL
            )
        low, high = sweeps.full_range(*args, 0, len(v), self._ahead)
        return float(low), float(high)

    def improve(self, v: Array, w: Array, drift: float) -> tuple[float, float, float]:
        """Apply the optimal operator, `w <- T* v`, reading only the rows of actions that may be greedy.

        The upper bounds `q + drift` on the new action values rule out the others, after a backup of the fixed
        policy. Where that leaves too many actions it is a full sweep, whose rows come in order. Returns the
        extremes of `w - v` and the drift, which starts again from 0 after a full sweep.
        """
        rows = (self.indptr, self.indices, self.data, self.reward, self.gamma, v, self.q)
        if sweeps.share_in_doubt(*rows, drift, self.policy, 1 + len(v) // N_SAMPLES) > MAX_DOUBT:
            return (*self.full(v, w), 0.0)
        self.sweep(v, w)
        return (*self._lazy(v, w, drift), drift)

    def _lazy(self, v: Array, w: Array, drift: float) -> tuple[float, float]:
        """Run the lazy sweep of T*, which skips actions proved not greedy; parallel if the MDP is large."""
        args = (
            self.indptr,
            self.indices,
            self.data,
            self.reward,
            self.gamma,
            v,
            self.q,
            drift,
            w,
            self.policy,
        )
        if len(self.data) >= 2 * PER_THREAD_FULL:
            return share_sweep(self.pace, shared.lazy, args, len(v), len(self.data), PER_THREAD_FULL)
        low, high = sweeps.lazy_range(*args, 0, len(v))
        return float(low), float(high)

    def factors(self, n_columns: int) -> Array:
        """Lend the memory of `q` as a work array `[S, n_columns]`; `q` is undefined until the next backup."""
        n_states, n_actions = self.reward.shape
        if n_states * n_columns > self._table.size:
            self._table = self.q = np.empty(0)  # free the old memory first
            self._table = np.empty(n_states * max(n_actions, n_columns))
        self.q = self._table[: n_states * n_actions].reshape(n_states, n_actions)
        return self._table[: n_states * n_columns].reshape(n_states, n_columns)

    def release(self) -> Array:
        """Hand over the table `q`, its memory cut to size; this object no longer holds it."""
        out, self._table, self.q = self._table, np.empty(0), np.empty((0, 0))
        out.resize(self.reward.shape, refcheck=False)  # `q` was the only view
        return out

    def restrict(self) -> None:
        """Make later sweeps apply the current `policy`; do not change it until the next `restrict`.

        Its transition rows are copied, unless the copy would take too large a share of the MDP.
        """
        if not self._copy_tried:
            self._copy_tried = True
            self.copy = self._make_copy()
        if self.copy is not None:
            c = self.copy
            rows = (self.indptr, self.indices, self.data, self.reward, self.policy)
            _rows.gather_changed(*rows, c.old, c.starts, c.stops, c.indices, c.data, c.r_pi)

    def sweep(self, v: Array, w: Array, rhs: Array | None = None) -> tuple[float, float]:
        """Sweep with the fixed policy, `w <- rhs + gamma P_pi v`; returns the extremes of w - v.

        `rhs=None` stands for the policy's rewards.
        """
        n_entries = len(self.data) // self.reward.shape[1]
        if self.copy is None and rhs is None:
            chosen = (self.indptr, self.indices, self.data, self.reward, self.policy, self.gamma, v, w)
            if n_entries >= 2 * PER_THREAD:
                return share_sweep(self.pace, shared.chosen, chosen, len(v), n_entries, PER_THREAD)
            low, high = sweeps.chosen_range(*chosen, 0, len(v))
            return float(low), float(high)
        ahead = sweeps.NEVER if self.copy is None else self._ahead
        args = (*self.rows(), self.policy_reward() if rhs is None else rhs, self.gamma, v, w)
        if n_entries >= 2 * PER_THREAD:
            return share_sweep(self.pace, shared.policy, (*args, ahead), len(v), n_entries, PER_THREAD)
        low, high = sweeps.policy_range(*args, 0, len(v), ahead)
        return float(low), float(high)

    def rows(self) -> tuple[Integers, Integers, Integers, Array]:
        """Transition rows of the fixed policy, as `starts, stops, indices, data`."""
        if self.copy is not None:
            return self.copy.starts, self.copy.stops, self.copy.indices, self.copy.data
        starts, stops = np.empty((2, len(self.policy)), dtype=self.indptr.dtype)
        _rows.point_at_rows(self.indptr, self.reward.shape[1], self.policy, starts, stops)
        return starts, stops, self.indices, self.data

    def policy_reward(self) -> Array:
        """Rewards `[S]` of the fixed policy, to be read only."""
        if self.copy is not None:
            return self.copy.r_pi
        out = np.empty(len(self.policy))
        _rows.policy_reward(self.reward, self.policy, out)
        return out

    def policy_matrix(self) -> sparse.csr_array:
        """Copy of the transition matrix `P_pi [S, S]` of `policy`."""
        n_states, n_actions = self.reward.shape
        parts = (self.data, self.indices, self.indptr)
        whole = sparse.csr_array(parts, shape=(n_states * n_actions, n_states), copy=False)
        return sparse.csr_array(whole[np.arange(n_states) * n_actions + self.policy])

    def _make_copy(self) -> PolicyCopy | None:
        """Allocate the copy of a policy's rows; None if it would take too large a share of the MDP."""
        n_states, n_actions = self.reward.shape
        nothing = np.empty(0, dtype=self.indptr.dtype)
        total = int(_rows.slots(self.indptr, n_states, n_actions, nothing))
        if total > COPY_SHARE * len(self.data):
            return None
        starts, stops = np.empty((2, n_states), dtype=self.indptr.dtype)
        _rows.slots(self.indptr, n_states, n_actions, starts)
        entries = np.zeros(total, dtype=self.indices.dtype), np.empty(total)
        return PolicyCopy(starts, stops, *entries, np.empty(n_states), np.full(n_states, -1, dtype=np.intp))


class DenseBackups:
    """Bellman backups with a dense transition `[S, A, S]`; `reward` is `-inf` where an action is missing.

    A policy's rows are read where they are: each is contiguous, so that a copy would save nothing.
    """

    def __init__(self, transition: Array, reward: Array, gamma: float) -> None:
        """Store the MDP's arrays; allocate the `[S, A]` table `q` and the greedy policy."""
        self.transition = transition
        self.reward, self.gamma = reward, gamma
        self.flat = transition.reshape(-1)
        self.q: Array = np.empty(reward.shape)
        self.policy: NDArray[np.intp] = np.zeros(len(reward), dtype=np.intp)
        self.pace = Pace(n_threads() if len(self.flat) >= 2 * PER_THREAD_FULL else 1)

    def full(self, v: Array, w: Array) -> tuple[float, float]:
        """Sweep with the optimal operator T*: `q <- r + gamma P v`, `w <- max q`, `policy <- argmax q`.

        Returns the smallest and the largest entry of w - v.
        """
        args = (self.flat, self.reward, self.gamma, v, self.q, w, self.policy)
        if len(self.flat) >= 2 * PER_THREAD_FULL:
            return share_sweep(self.pace, shared.dense_full, args, len(v), len(self.flat), PER_THREAD_FULL)
        low, high = dense.full_range(*args, 0, len(v))
        return float(low), float(high)

    def factors(self, n_columns: int) -> Array:
        """Scratch memory `[S, n_columns]`, as `SparseBackups.factors`; the table `q` is not lent."""
        return np.empty((len(self.policy), n_columns))

    def release(self) -> Array:
        """Hand over the table `q` of action values to the caller."""
        return self.q

    def restrict(self) -> None:
        """Nothing to do: rows of the policy are contiguous where they are."""

    def sweep(self, v: Array, w: Array, rhs: Array | None = None) -> tuple[float, float]:
        """Sweep with the fixed policy, `w <- rhs + gamma P_pi v`; returns the extremes of w - v.

        `rhs=None` stands for the policy's rewards.
        """
        rhs = self.policy_reward() if rhs is None else rhs
        n_states, n_actions = self.reward.shape
        args = (self.flat, rhs, n_actions, self.policy, self.gamma, v, w)
        low, high = dense.chosen_range(*args, 0, n_states)
        return float(low), float(high)

    def evaluate(
        self, v: Array, w: Array, rhs: Array | None, *, atol: float, forcing: float, slow: float, most: int
    ) -> bool:
        """Improve `v` towards the values of the fixed policy by at most `most` sweeps; `w` is scratch.

        `rhs=None` stands for the policy's rewards. Returns False as soon as a sweep leaves more than a share
        `slow` of the span of the residual. `dense.evaluate` says where they stop.
        """
        rhs = self.policy_reward() if rhs is None else rhs
        args = (self.flat, rhs, self.reward.shape[1], self.policy, self.gamma, v, w)
        return bool(dense.evaluate(*args, atol, forcing, slow, most))

    def policy_reward(self) -> Array:
        """Rewards `[S]` of the fixed policy."""
        out = np.empty(len(self.policy))
        _rows.policy_reward(self.reward, self.policy, out)
        return out

    def policy_matrix(self) -> Array:
        """Copy of the transition matrix `P_pi [S, S]` of `policy`."""
        return self.transition[np.arange(len(self.policy)), self.policy]


Backups = SparseBackups | DenseBackups


def backups(task: Problem) -> Backups:
    """Make the Bellman backups of a problem, with work arrays; dense or sparse, as its transition is."""
    if isinstance(task.transition, np.ndarray):
        return DenseBackups(task.transition, task.reward, task.gamma)
    return SparseBackups(task.transition, task.reward, task.gamma)


def share_sweep(
    pace: Pace, kernel: Kernel, args: tuple[Any, ...], n_states: int, n_entries: int, per_thread: int
) -> tuple[float, float]:
    """Let threads share a sweep that reads `n_entries` entries; returns the extremes of w - v."""
    n_chunks = min(n_entries // CHUNK + 1, n_states)
    lows, highs = np.empty((2, n_chunks))
    pace.run(kernel, (*args, lows, highs), n_chunks=n_chunks, n_threads=n_entries // per_thread)
    return float(lows.min()), float(highs.max())


def look_ahead(indices: Integers, n_states: int) -> np.uint64:
    """Prefetch distance of sparse sweeps, in matrix entries; `NEVER` where prefetching would not pay.

    It pays if values are many and successors, by a sample, scattered.
    """
    if n_states < AHEAD_FROM or len(indices) < 2:
        return sweeps.NEVER
    sample = np.linspace(0, len(indices) - 2, N_SAMPLES).astype(np.intp)
    jumps = np.abs(indices[sample + 1].astype(np.int64) - indices[sample])
    return np.uint64(AHEAD) if np.median(jumps) > FAR else sweeps.NEVER
