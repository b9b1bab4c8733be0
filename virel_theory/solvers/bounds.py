r"""Guaranteed error bounds of all solvers: those of MacQueen and Porteus, with rounding.

The derivation was written before the first run.

Setting. The float arrays are the MDP: `P >= 0`, `r`, `gamma` are taken as given, exactly. Row sums $\sigma_h$
of `P` are 1 only within a few ulp: validation (`row_sums`, in every format) accepts
$|fl(\sigma_h) - 1| \le (2b+4)\epsilon$ and summing rounds by at most $b u\sigma$ with $u = \epsilon/2$, b the
largest number of non-zeros of a row, so $|\sigma_h - 1| \le \delta := (3b + 8)\epsilon$ with room to spare.
$T V(s) = \max_a Q_V(s,a)$, $Q_V(h) = r(h) + \gamma\sum_{s'}p(s'|h)V(s')$, $Q^* = Q_{V^*}$, unique if
$\gamma(1+\delta) < 1$.

Rounding of one backup. Sums of b products in any order, with or without FMA, one product with gamma and one
sum with r: $|\hat Q_V - Q_V| \le \gamma_{b+6}(|r|_\infty + \gamma(1+\delta)|V|_\infty) + b\,2^{-1074} =:
\eta$, $\gamma_k = ku/(1-ku)$ (Higham 2002, Section 3.1; b + 2 would do; four more cover the computation of
$\eta$ itself). Maxima are exact; $\hat d = fl(\max_a\hat Q_V - V)$ is off by $u|\hat d|$. So $TV - V \in [l,
h]$ with $l = \min\hat d(1 \mp u) - \eta$, $h = \max\hat d(1 \pm u) + \eta$.

Bounds. For a constant $c \ge 0$: $T(V + c) \le TV + \gamma(1+\delta)c$; for $c < 0$: $T(V+c) \le TV +
\gamma(1-\delta)c$. With $c_h = h/(1-\beta_h)$, $\beta_h = \gamma(1+\delta)$ if $h \ge 0$ else
$\gamma(1-\delta)$: $T(V + c_h) \le V + h + \beta_h c_h = V + c_h$, and T is monotone and a contraction, so
$V^* \le V + c_h$. Likewise $V^* \ge V + c_l$, $c_l = l/(1-\beta_l)$, $\beta_l = \gamma(1+\delta)$ if $l < 0$
else $\gamma(1-\delta)$. Then $Q^* - Q_V = \gamma P(V^* - V) \in [\beta_l c_l, \beta_h c_h]$ (the sign of c
picks the row sum that is worst). Returned is $\hat Q = fl(\hat Q_V + m)$, m the midpoint of that interval,
which halves the error (MacQueen 1966; Porteus 1971; Puterman 1994, 6.6):

$$\|\hat Q - Q^*\|_\infty \le \max(\beta_h c_h - m, m - \beta_l c_l) + \eta + u\|\hat Q\|_\infty,$$

and the same for $\max_a\hat Q$, since max is a non-expansion and exact. The scalar computation has fewer than
16 roundings, each relative to $|\beta_h c_h| + |\beta_l c_l|$; `1 - beta` is exact for beta in [1/2, 1]
(Sterbenz) and otherwise rounds once; $\delta$ carries 4 spare ulps for the two roundings of beta. All of it
is added, times $1 + 32u$.

Fixed policy. The same with $T^\pi V = \sum_a\pi Q_V$, pi taken as given: row sums within $\delta_\pi =
(3A+8)\epsilon$ of 1 multiply into beta, and A more products into the rounding index; for $\hat V =
fl(\sum_a\pi\hat Q)$ the bound is multiplied by $1+\delta_\pi$ and $\gamma_{A+6}\|\hat Q\|_\infty$ added.
"""

import math
from dataclasses import dataclass

import numpy as np

from virel_theory.checks import U

EPS, UNIT = U, U / 2  # epsilon and u of the derivation above
TINY = 1e-300  # covers every underflow: far above 2^-1074 times any number of entries that fits in memory


@dataclass(frozen=True)
class Bracket:
    """Enclosure of $Q^* - Q_V$, $Q_V$ the backup of V: the shift `mid` to add to it, a half-width `radius`.

    Both are in reward units.
    """

    mid: float
    radius: float


def dot_error(n_terms: int) -> float:
    r"""Bound $\gamma_k = k u / (1 - k u)$ on the relative error of k = `n_terms` roundings."""
    k = n_terms * UNIT
    return k / (1 - k)


def row_sum_slack(n_terms: int) -> float:
    r"""Largest distance $\delta$ from 1 of the exact sum of a validated transition row with `n_terms`."""
    return (3 * n_terms + 8) * EPS


def contraction_interval(gamma: float, n_terms: int, *, n_mixed: int = 0) -> tuple[float, float]:
    """Bounds on a backup's contraction modulus: gamma times the possible sums of a row of `n_terms` entries.

    The row has passed validation; `n_mixed` is A if a policy mixes the rows, else 0.
    """
    slack = row_sum_slack(n_terms) + (row_sum_slack(n_mixed) if n_mixed else 0.0)
    slack = slack * (1 + slack) + 4 * EPS
    return gamma * (1 - slack), gamma * (1 + slack)


def backup_error(n_terms: int, *, r_max: float, v_max: float, beta_hi: float) -> float:
    r"""Rounding bound $\eta$ of one Bellman backup: how far the computed one can be from the exact one."""
    return dot_error(n_terms + 6) * (r_max + beta_hi * v_max) + TINY


def bracket(low: float, high: float, *, beta: tuple[float, float], eta: float) -> Bracket:
    """MacQueen's enclosure of $Q^* - Q_V$ from the extremes of $TV - V$; a radius `inf` means no bound."""
    beta_lo, beta_hi = beta
    if not beta_hi < 1:
        return Bracket(0.0, np.inf)
    low_sure = low - UNIT * abs(low) - eta
    high_sure = high + UNIT * abs(high) + eta
    below = _geometric(low_sure, beta_hi if low_sure < 0 else beta_lo)
    above = _geometric(high_sure, beta_hi if high_sure >= 0 else beta_lo)
    mid = (below + above) / 2
    if not math.isfinite(mid):
        return Bracket(0.0, np.inf)
    rounding = 16 * UNIT * (abs(below) + abs(above))
    return Bracket(mid, (max(above - mid, mid - below) + rounding) * (1 + 32 * UNIT))


def _geometric(x: float, beta: float) -> float:
    """Sum `beta x + beta^2 x + ...` over all further backups, beta their contraction modulus."""
    return beta * x / (1 - beta)


def total_bound(radius: float, *, eta: float, q_max: float) -> float:
    """Error bound of returned action values: the bracket's radius, and rounding of the backup and the shift.

    A NaN becomes `inf`.
    """
    bound = (radius + eta + UNIT * q_max) * (1 + 32 * UNIT) + TINY
    return np.inf if math.isnan(bound) else bound
