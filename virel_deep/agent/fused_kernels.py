"""Compiled tanh-Gaussian sample, row by row: the numbers of `tanh_gaussian.sample` without its twenty calls.

Every number is computed by itself, in float64, so the bits of a seed depend on no other seed.
"""

import math
from typing import no_type_check

import numpy as np
import torch
from torch import Tensor

from virel_common.compiled import njit
from virel_deep.axes.posterior.tanh_gaussian import LOG_STD_RANGE, Sample

LEAST, MOST = LOG_STD_RANGE


def sample(head: Tensor, noise: Tensor) -> Sample:
    """Draw a tanh-Gaussian action and its log density per row of `head [..., 2 A]` and `noise [..., A]`."""
    action, pushed, inside = torch.empty_like(noise), torch.empty_like(noise), torch.empty_like(noise)
    log_pi = torch.empty(noise.shape[:-1], dtype=noise.dtype)
    rows = (x.flatten(0, -2).numpy() for x in (head, noise, action, pushed, inside))
    fill(*rows, log_pi.flatten().numpy())
    return Sample(action, log_pi, pushed, inside)


@njit(cache=True)
@no_type_check
def clamped(log_std):
    """Log standard deviation within its range; NaN stays NaN."""
    if log_std < LEAST:
        return LEAST
    return MOST if log_std > MOST else log_std  # noqa: FURB136  (`min` may lose NaN)


@njit(cache=True, error_model="numpy")
@no_type_check
def fill(head, noise, action, pushed, inside, log_pi):
    """Fill the members of a `Sample`; log density as in `tanh_gaussian`, with `softplus(-2u)` split at 0.

    With `e = exp(-2|u|)`, `tanh|u| = (1 - e) / (1 + e)` and `softplus(-2u) = max(-2u, 0) + log(1 + e)`; the
    first is off by two roundings of float64 at most.
    """
    n = noise.shape[1]
    for r in range(len(head)):
        total = -0.5 * n * math.log(2 * math.pi) - 2 * n * math.log(2.0)
        for i in range(n):
            raw, xi = np.float64(head[r, n + i]), np.float64(noise[r, i])
            log_std = clamped(raw)
            push = math.exp(log_std) * xi
            u = head[r, i] + push
            e = math.exp(-2 * abs(u))
            pushed[r, i], inside[r, i] = push, raw == log_std
            action[r, i] = math.copysign((1 - e) / (1 + e), u)
            total += -0.5 * xi * xi - log_std + 2 * (u + max(-2 * u, 0.0) + math.log1p(e))
        log_pi[r] = total
