"""Kernels that draw Garnet MDPs: compiled loops that check nothing; the caller owns the out-arguments.

Random numbers are one SplitMix64 stream (Steele et al. 2014) addressed by position: row `i` owns the
positions from `i * n_draws` on, so that the numbers do not depend on the order of the rows or on the number
of threads.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit
from virel_theory.threads.turns import FINISHED, NEXT, take

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_30, _SHIFT_27, _SHIFT_31, _SHIFT_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**53
_INSERTION_MAX = 64


@njit(cache=True)
@no_type_check
def random_53_bits(key, position):
    """Random number at `position` of the stream `key`: an integer in [0, 2**53), as an exact float64."""
    z = key + _GOLDEN * np.uint64(position + 1)
    z = (z ^ (z >> _SHIFT_30)) * _MIX_1
    z = (z ^ (z >> _SHIFT_27)) * _MIX_2
    return np.float64((z ^ (z >> _SHIFT_31)) >> _SHIFT_11)


@njit(cache=True)
@no_type_check
def floyd_sample(key, position, n, out):
    """Draw a uniform subset of {0..n-1} into `out`, ascending (Floyd's algorithm, sorted by insertion)."""
    for j in range(len(out)):
        top = n - len(out) + j
        draw = np.int64(random_53_bits(key, position + j) / _UNIT * (top + 1))
        k = j
        while k > 0 and out[k - 1] > draw:
            k -= 1
        if k > 0 and out[k - 1] == draw:
            out[j] = top  # larger than all before it
        else:
            for i in range(j, k, -1):
                out[i] = out[i - 1]
            out[k] = draw


@njit(cache=True)
@no_type_check
def selection_sample(key, position, n, out):
    """Draw a uniform subset of {0..n-1} into `out`, ascending (Knuth's Algorithm S).

    It takes one draw per candidate.
    """
    k = 0
    for i in range(n):
        if k == len(out):
            break
        if random_53_bits(key, position + i) / _UNIT * (n - i) < len(out) - k:
            out[k] = i
            k += 1


@njit(cache=True)
@no_type_check
def spacings(key, position, out):
    """Draw probabilities into `out`: gaps between uniform cuts of [0, 1], multiples of 2**-53, sum 1.

    The sum is exact.
    """
    n_cuts = len(out) - 1
    for j in range(n_cuts):
        cut = random_53_bits(key, position + j)
        k = j
        if n_cuts <= _INSERTION_MAX:
            while k > 0 and out[k - 1] > cut:
                out[k] = out[k - 1]
                k -= 1
        out[k] = cut
    if n_cuts > _INSERTION_MAX:
        out[:n_cuts].sort()
    last = 0.0
    for j in range(n_cuts):
        cut = out[j]
        out[j] = (cut - last) / _UNIT
        last = cut
    out[n_cuts] = (_UNIT - last) / _UNIT


@njit(cache=True)
@no_type_check
def fill_row(key, row, n_states, indices, data):
    """Draw one row of a Garnet's transition: successors without repetition, then their probabilities."""
    branching = len(indices)
    if branching == 0:
        return
    few = branching * branching <= 2 * n_states
    n_draws = branching if few else n_states
    position = row * (n_draws + branching - 1)
    if few:
        floyd_sample(key, position, n_states, indices)
    else:
        selection_sample(key, position, n_states, indices)
    spacings(key, position + n_draws, data)


@njit(cache=True, nogil=True)
@no_type_check
def fill(key, n_states, indptr, indices, data, turns, n_chunks):
    """Draw rows of a Garnet's CSR transition: those of the chunks that this thread gets (`threads.team`)."""
    n_rows, own, c = len(indptr) - 1, 0, take(turns, NEXT, 1)
    while c < n_chunks:
        for row in range(c * n_rows // n_chunks, (c + 1) * n_rows // n_chunks):
            low, high = indptr[row], indptr[row + 1]
            fill_row(key, row, n_states, indices[low:high], data[low:high])
        take(turns, FINISHED, 1)
        own, c = own + 1, take(turns, NEXT, 1)
    return own
