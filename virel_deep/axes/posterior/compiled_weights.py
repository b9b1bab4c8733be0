"""Weights of particles as `smc_weights` has them, compiled."""

import math
from typing import no_type_check

import numpy as np
from numba import njit


@njit(cache=True)
@no_type_check
def log_total(log_weight):
    """Logarithm of the sum of weights."""
    top = log_weight.max()
    return top + math.log(np.exp(log_weight - top).sum())


@njit(cache=True)
@no_type_check
def effective_number(log_weight):
    """Effective number of particles."""
    w = np.exp(log_weight - log_weight.max())
    return w.sum() ** 2 / (w * w).sum()


@njit(cache=True)
@no_type_check
def systematic(log_weight, uniform):
    """Ancestors `[n]` by systematic resampling with one number."""
    n = len(log_weight)
    ends = np.cumsum(np.exp(log_weight - log_total(log_weight)))
    points = (np.arange(n) + uniform) / n * ends[-1]
    return np.minimum(np.searchsorted(ends, points, side="right"), n - 1)
