"""The recursion (34)-(35) on the smallest MDP, and its trajectories for a figure."""

from collections.abc import Sequence

import numpy as np
from numba import njit

from verify.plotdata import Curve, Figure, Panel
from virel_theory._validate import Array

EARLY, LATE = 100, 250_000


@njit(cache=True)
def distances(
    omega_scale: float, omega_power: float, zeta_scale: float, zeta_power: float, out: Array
) -> None:
    """out[k-1] <- |omega_k - 1| for S = A = 1, gamma = 0, r = 1, b = 1: every sample is the expectation."""
    omega, zeta = 0.0, 0.0
    for k in range(1, out.shape[0] + 1):
        zeta_next = zeta + zeta_scale * k**-zeta_power * (1.0 - omega - zeta)
        omega += omega_scale * k**-omega_power * zeta
        zeta = zeta_next
        out[k - 1] = abs(omega - 1.0)


def envelope_ratio(path: Array) -> float:
    """Largest distance over [LATE, 4 LATE] relative to that over [EARLY, 4 EARLY]."""
    return float(path[LATE : 4 * LATE].max() / path[EARLY : 4 * EARLY].max())


def trajectory(*, slow_zeta: bool, scale: float, power: float, n_steps: int = 4 * LATE) -> Array:
    """Distances with zeta slower than omega (as printed) or omega slower than zeta (Bhatnagar et al. 2009)."""
    out = np.empty(n_steps)
    if slow_zeta:
        distances(1.0, power, scale, 1.0, out)
    else:
        distances(scale, 1.0, 1.0, power, out)
    return out


def figures(seed: int) -> Sequence[Figure]:
    """Both orderings of the step sizes: the printed one grows, the other one converges."""
    scale, power = 0.1, 0.55
    k = np.unique(np.geomspace(1, 4 * LATE, 1500).astype(np.int64))
    x = k.astype(np.float64)
    printed = trajectory(slow_zeta=True, scale=scale, power=power)[k - 1]
    other = trajectory(slow_zeta=False, scale=scale, power=power)[k - 1]
    growth = (1 - power) / 4 - scale / 2
    curves = [
        Curve("zeta slower (as printed)", x, printed, kind="line"),
        Curve("omega slower (Bhatnagar et al.)", x, other, kind="line"),
        Curve(f"predicted envelope k^{growth:.4f}", x, 1.2 * x**growth, kind="predicted"),
        Curve(f"predicted k^-{scale}", x, x**-scale, kind="predicted"),
    ]
    panel = Panel("one state, one action", "step k", "|omega_k - omega*|", curves, xscale="log", yscale="log")
    caption = f"S = A = 1, gamma = 0, r = 1, b = 1; step sizes k^-{power} and {scale}/k. No sampling; seed {seed} unused."
    return [Figure("app-f1-two-timescales", [panel], caption)]
