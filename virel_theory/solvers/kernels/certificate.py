"""Compiled twin of `solvers.bounds`, for kernels that certify MDPs themselves; a test holds the two together.

`beta` encloses gamma times the row sums; `eta` bounds the rounding of a backup, `noise` that of a compensated
one; `enclosure` returns a shift and an error bound.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit

UNIT, EPS, TINY = 2.0**-53, 2.0**-52, 1e-300


@njit(cache=True, nogil=True)
@no_type_check
def row_slack(n_terms):
    """Largest distance from 1 of the exact sum of a validated row with `n_terms` non-zeros."""
    return (3 * n_terms + 8) * EPS


@njit(cache=True, nogil=True)
@no_type_check
def beta_interval(gamma, n_terms):
    """Bounds on gamma times the sum of a row."""
    slack = row_slack(n_terms)
    slack = slack * (1 + slack) + 4 * EPS
    return gamma * (1 - slack), gamma * (1 + slack)


@njit(cache=True, nogil=True)
@no_type_check
def backup_error(n_terms, r_max, v_max, beta_hi):
    """Rounding bound eta of one backup in float64."""
    k = (n_terms + 6) * UNIT
    return k / (1 - k) * (r_max + beta_hi * v_max) + TINY


@njit(cache=True, nogil=True)
@no_type_check
def noise(n_terms, r_max, v_max, beta_hi):
    """Rounding bound of a compensated backup, and of the tail of the table that is returned (`refine`)."""
    n_roundings = (3 * n_terms + 32) * UNIT
    scale = r_max + (1 + beta_hi) * v_max * (1 + 4 * UNIT)
    return 4 * n_roundings**2 * scale + TINY, 2 * n_roundings * scale * UNIT


@njit(cache=True, nogil=True)
@no_type_check
def enclosure(low, high, beta, eta, also, q_scale):
    """Shift and error bound of a table from the extremes of its residual T V - V.

    `eta` bounds the rounding of the residual, `also` what else the table may be off by, and `q_scale` its
    entries before the shift. An infinite bound means that there is none; the shift is 0 then.
    """
    beta_lo, beta_hi = beta
    if not beta_hi < 1:
        return 0.0, np.inf
    low, high = low - UNIT * abs(low) - eta, high + UNIT * abs(high) + eta
    down = beta_hi if low < 0 else beta_lo
    up = beta_hi if high >= 0 else beta_lo
    below, above = down * low / (1 - down), up * high / (1 - up)
    shift = (below + above) / 2
    if not np.isfinite(shift):
        return 0.0, np.inf
    radius = (max(above - shift, shift - below) + 16 * UNIT * (abs(below) + abs(above))) * (1 + 32 * UNIT)
    bound = (radius + eta + also + UNIT * (q_scale + 2 * abs(shift))) * (1 + 32 * UNIT) + TINY
    return shift, np.inf if np.isnan(bound) else bound
