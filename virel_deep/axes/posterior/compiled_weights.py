"""Weights of particles as `smc_weights` has them, compiled.

Loops in place of array expressions: they compile in less than half the time.
"""

import math
from typing import no_type_check

import numpy as np

from virel_common.compiled import njit


@njit(cache=True)
@no_type_check
def largest(x):
    """Largest entry of a vector; NaN if there is one."""
    top = x[0]
    for one in x:
        if one > top or np.isnan(one):
            top = one
    return top


@njit(cache=True)
@no_type_check
def log_total(log_weight):
    """Logarithm of the sum of weights."""
    top, total = largest(log_weight), 0.0
    for x in log_weight:
        total += math.exp(x - top)
    return top + math.log(total)


@njit(cache=True)
@no_type_check
def effective_number(log_weight):
    """Effective number of particles."""
    top, total, squares = largest(log_weight), 0.0, 0.0
    for x in log_weight:
        w = math.exp(x - top)
        total += w
        squares += w * w
    return total**2 / squares


@njit(cache=True)
@no_type_check
def systematic(log_weight, uniform):
    """Ancestors `[n]` by systematic resampling with one number."""
    n, log_sum, end = len(log_weight), log_total(log_weight), 0.0
    ends, kept, k = np.empty(n), np.empty(n, np.int64), 0
    for i in range(n):
        end += math.exp(log_weight[i] - log_sum)
        ends[i] = end
    for i in range(n):
        point = (i + uniform) / n * end
        while k < n - 1 and ends[k] <= point:
            k += 1
        kept[i] = k
    return kept


@njit(cache=True)
@no_type_check
def taken(x, kept):
    """Rows `kept` of an array, `x[kept]`."""
    out = np.empty_like(x)
    a, b = x.reshape(len(x), -1), out.reshape(len(x), -1)
    for i in range(len(kept)):
        for j in range(a.shape[1]):
            b[i, j] = a[kept[i], j]
    return out
