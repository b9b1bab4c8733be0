"""Bellman backups of one MDP on preallocated arrays: one interface, dense and sparse.

`full(v, w)`: `q <- r + gamma P v`, `w <- max q`, `policy <- argmax`; returns the extremes of `w - v`.
`restrict()`: fix `policy`; then `sweep(v, w)`: `w <- r_pi + gamma P_pi v`; returns the extremes of `w - v`.
"""

import numpy as np
from numba import get_num_threads
from numpy.typing import NDArray
from scipy import sparse

from virel_theory import _dense, _sweeps
from virel_theory._validate import Array

PARALLEL_FROM = 1_000_000  # entries that a sweep of the policy reads: below, threads cost more than they save
PARALLEL_FROM_FULL = 2_000_000  # the same for T*, of which there are few
N_CHUNKS = 32
COPY_SHARE = 0.2  # gather the policy's rows only if that costs at most this share of the MDP's bytes


class SparseBackups:
    """Backups of a CSR `[S*A, S]` transition; `reward` is `-inf` where the action does not exist."""

    def __init__(self, transition: sparse.csr_array, reward: Array, gamma: float) -> None:
        """Allocate the `[S, A]` table and, where it pays, the slots of the policy's rows."""
        self.indptr, self.indices, self.data = transition.indptr, transition.indices, transition.data
        self.reward, self.gamma = reward, gamma
        n_states, n_actions = reward.shape
        self.q = np.empty((n_states, n_actions))
        self.policy: NDArray[np.intp] = np.zeros(n_states, dtype=np.intp)
        self.r_pi = np.empty(n_states)
        self._starts = np.empty(n_states, dtype=self.indptr.dtype)
        self._stops = np.empty(n_states, dtype=self.indptr.dtype)
        self._slots: tuple[NDArray[np.signedinteger], Array, NDArray[np.intp]] | None = None
        self._slots_tried = False

    def full(self, v: Array, w: Array) -> tuple[float, float]:
        """One sweep of T*."""
        args = (self.indptr, self.indices, self.data, self.reward, self.gamma, v, self.q, w, self.policy)
        if self._is_parallel(len(self.data), PARALLEL_FROM_FULL):
            low, high = _sweeps.full_parallel(*args, N_CHUNKS)
        else:
            low, high = _sweeps.full_range(*args, 0, len(v))
        return float(low), float(high)

    def lazy(self, v: Array, w: Array, drift: float) -> tuple[float, float]:
        """From w = T_pi v: `w <- T v` and `policy`, less the actions that `q + drift` rules out."""
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
        if self._is_parallel(len(self.data), PARALLEL_FROM_FULL):
            low, high = _sweeps.lazy_parallel(*args, N_CHUNKS)
        else:
            low, high = _sweeps.lazy_range(*args, 0, len(v))
        return float(low), float(high)

    def restrict(self) -> None:
        """Fix the rows of `policy` for `sweep`."""
        if not self._slots_tried:
            self._slots_tried = True
            self._make_slots()
        if self._slots is None:
            args = (self.indptr, self.reward, self.policy, self._starts, self._stops, self.r_pi)
            _sweeps.point_at_rows(*args)
            return
        indices, data, old = self._slots
        _sweeps.gather_changed(
            self.indptr,
            self.indices,
            self.data,
            self.reward,
            self.policy,
            old,
            self._starts,
            self._stops,
            indices,
            data,
            self.r_pi,
        )

    def sweep(self, v: Array, w: Array) -> tuple[float, float]:
        """One sweep of the fixed policy."""
        starts, stops, indices, data = self.rows()
        args = (starts, stops, indices, data, self.r_pi, self.gamma, v, w)
        if self._is_parallel(len(self.data) // self.reward.shape[1], PARALLEL_FROM):
            low, high = _sweeps.policy_parallel(*args, N_CHUNKS)
        else:
            low, high = _sweeps.policy_range(*args, 0, len(v))
        return float(low), float(high)

    def rows(
        self,
    ) -> tuple[NDArray[np.signedinteger], NDArray[np.signedinteger], NDArray[np.signedinteger], Array]:
        """`starts, stops, indices, data` of the fixed policy's rows."""
        if self._slots is None:
            return self._starts, self._stops, self.indices, self.data
        return self._starts, self._stops, self._slots[0], self._slots[1]

    def policy_matrix(self) -> sparse.csr_array:
        """P_pi `[S, S]` of `policy`, a copy."""
        n_states, n_actions = self.reward.shape
        parts = (self.data, self.indices, self.indptr)
        whole = sparse.csr_array(parts, shape=(n_states * n_actions, n_states), copy=False)
        return sparse.csr_array(whole[np.arange(n_states) * n_actions + self.policy])

    def _make_slots(self) -> None:
        n_states, n_actions = self.reward.shape
        total = int(_sweeps.slot_offsets(self.indptr, n_actions, self._starts))
        if total <= COPY_SHARE * len(self.data):
            old = np.full(n_states, -1, dtype=np.intp)
            self._slots = (np.empty(total, dtype=self.indices.dtype), np.empty(total), old)

    @staticmethod
    def _is_parallel(n_entries: int, threshold: int) -> bool:
        return n_entries >= threshold and get_num_threads() > 1


class DenseBackups:
    """Backups of a dense `[S, A, S]` transition; `reward` is `-inf` where the action does not exist."""

    def __init__(self, transition: Array, reward: Array, gamma: float) -> None:
        """Allocate the `[S, A]` table."""
        self.transition = transition
        self.reward, self.gamma = reward, gamma
        n_states, n_actions = reward.shape
        self.flat = transition.reshape(n_states * n_actions, n_states)
        self.q = np.empty((n_states, n_actions))
        self.policy: NDArray[np.intp] = np.zeros(n_states, dtype=np.intp)
        self.r_pi = np.empty(n_states)
        self._p_pi = np.empty((0, 0))

    def full(self, v: Array, w: Array) -> tuple[float, float]:
        """One sweep of T*."""
        np.dot(self.flat, v, out=self.q.reshape(-1))
        low, high = _dense.finish_full(self.q, self.reward, self.gamma, v, w, self.policy)
        return float(low), float(high)

    def restrict(self) -> None:
        """Fix the rows of `policy` for `sweep`."""
        states = np.arange(len(self.policy))
        self._p_pi = self.transition[states, self.policy]
        self.r_pi = self.reward[states, self.policy]

    def sweep(self, v: Array, w: Array) -> tuple[float, float]:
        """One sweep of the fixed policy."""
        np.dot(self._p_pi, v, out=w)
        low, high = _dense.finish_policy(self.r_pi, self.gamma, v, w)
        return float(low), float(high)

    def policy_matrix(self) -> Array:
        """P_pi `[S, S]` of `policy`, a copy."""
        return self.transition[np.arange(len(self.policy)), self.policy]


Backups = SparseBackups | DenseBackups


def backups(transition: Array | sparse.csr_array, reward: Array, gamma: float) -> Backups:
    """The backups that fit the transition's format."""
    if isinstance(transition, np.ndarray):
        return DenseBackups(transition, reward, gamma)
    return SparseBackups(transition, reward, gamma)
