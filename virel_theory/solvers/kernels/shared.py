"""Kernels of sparse sweeps that several threads share: each takes chunks of states until none is left.

They are called as `threads.team` says. Every state's results depend on its own rows and on v alone, so their
bits do not depend on who computes them; `lows` and `highs` hold the extremes of w - v of each chunk.
"""

from typing import no_type_check

from virel_common.compiled import njit
from virel_theory.solvers.kernels.dense import full_range as dense_range
from virel_theory.solvers.kernels.sweeps import chosen_range, full_range, lazy_range, policy_range
from virel_theory.threads.turns import FINISHED, NEXT, take


@njit(cache=True, nogil=True)
@no_type_check
def full(
    indptr, indices, data, reward, gamma, v, q, w, policy, ahead, lows, highs, turns, n_chunks
):  # fmt: skip
    """Sweep of T*, `full_range`, on the chunks that this thread gets."""
    n, own, c = reward.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n // n_chunks, (c + 1) * n // n_chunks
        lows[c], highs[c] = full_range(
            indptr, indices, data, reward, gamma, v, q, w, policy, first, last, ahead
        )
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own


@njit(cache=True, nogil=True)
@no_type_check
def lazy(
    indptr, indices, data, reward, gamma, v, q, drift, w, policy, lows, highs, turns, n_chunks
):  # fmt: skip
    """Lazy sweep of T*, `lazy_range`, on the chunks that this thread gets."""
    n, own, c = reward.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n // n_chunks, (c + 1) * n // n_chunks
        lows[c], highs[c] = lazy_range(
            indptr, indices, data, reward, gamma, v, q, drift, w, policy, first, last
        )
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own


@njit(cache=True, nogil=True)
@no_type_check
def policy(starts, stops, indices, data, reward, gamma, v, w, ahead, lows, highs, turns, n_chunks):
    """Sweep of a policy, `policy_range`, on the chunks that this thread gets."""
    n, own, c = reward.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n // n_chunks, (c + 1) * n // n_chunks
        lows[c], highs[c] = policy_range(
            starts, stops, indices, data, reward, gamma, v, w, first, last, ahead
        )
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own


@njit(cache=True, nogil=True)
@no_type_check
def chosen(indptr, indices, data, reward, policy, gamma, v, w, lows, highs, turns, n_chunks):
    """Sweep of a policy, its rows read from the MDP, `chosen_range`, on the chunks that this thread gets."""
    n, own, c = reward.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n // n_chunks, (c + 1) * n // n_chunks
        lows[c], highs[c] = chosen_range(indptr, indices, data, reward, policy, gamma, v, w, first, last)
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own


@njit(cache=True, nogil=True)
@no_type_check
def dense_full(flat, reward, gamma, v, q, w, policy, lows, highs, turns, n_chunks):
    """Sweep of T* on a dense transition, `dense.full_range`, on the chunks that this thread gets."""
    n, own, c = reward.shape[0], 0, take(turns, NEXT, 1)
    while c < n_chunks:
        first, last = c * n // n_chunks, (c + 1) * n // n_chunks
        lows[c], highs[c] = dense_range(flat, reward, gamma, v, q, w, policy, first, last)
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own
