r"""Kernels: banded elimination for $(I - \gamma P_\pi)x = b$ without pivoting (Golub & Van Loan 2013, 4.3.1).

Row sums of P_pi are 1, so the matrix is strictly diagonally dominant by rows: elimination without pivoting
exists and its growth factor is at most 2 (Higham 2002, Theorem 9.9). `order[s]` is the place of state s in
the elimination order.
"""

from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True)
@no_type_check
def bandwidth(starts, stops, indices, order):
    """Largest |order[s] - order[s']| over the stored entries."""
    out = 0
    for s in range(len(order)):
        for j in range(np.uint64(starts[s]), np.uint64(stops[s])):
            out = max(out, abs(order[s] - order[indices[j]]))
    return out


@njit(cache=True)
@no_type_check
def fill_band(starts, stops, indices, data, gamma, order, band):
    """band[order[s], k + order[s'] - order[s]] <- (I - gamma P_pi)[s, s']; `band` is `[S, 2k+1]`."""
    width = band.shape[1] // 2
    band[:] = 0.0
    for s in range(len(order)):
        i = order[s]
        band[i, width] = 1.0
        for j in range(np.uint64(starts[s]), np.uint64(stops[s])):
            band[i, width + order[indices[j]] - i] -= gamma * data[j]


@njit(cache=True, error_model="numpy")
@no_type_check
def solve_band(band, x):
    """X <- A^-1 x; `band` is overwritten by its factors."""
    n, width = len(x), band.shape[1] // 2
    for k in range(n):
        pivot = 1.0 / band[k, width]
        for i in range(k + 1, min(k + width + 1, n)):
            factor = band[i, width + k - i] * pivot
            if factor != 0.0:
                shift = k - i
                for j in range(width + 1, 2 * width + 1):
                    band[i, j + shift] -= factor * band[k, j]
                x[i] -= factor * x[k]
    for k in range(n - 1, -1, -1):
        acc = x[k]
        for j in range(1, min(width, n - 1 - k) + 1):
            acc -= band[k, width + j] * x[k + j]
        x[k] = acc / band[k, width]
