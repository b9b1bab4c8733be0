r"""What MDP is meant when nothing is discounted, and how wrong a float64 backup of it is.

The derivation was written before the first run.

Rows. With a discount the float arrays are the MDP (`solvers.bounds`). Without one they can't be: the row
(1/3, 1/3, 1/3) sums to less than 1 in exact arithmetic, so that a process under it would die out, and one
with a sum above 1 would have no value at all. Here the arrays stand for the MDP whose rows are divided by
their exact sums, $p(s'|h) = P(h, s')/\sigma_h$. Entries that are 0 stay 0, so that graphs are those of P.

Backups. Validation accepts rows with $|\sigma_h - 1| \le \delta := (3b + 8)\epsilon$, b the most non-zeros of
a row (`solvers.bounds`), so $|p - P| \le \delta/(1 - \delta)\,P$, entry by entry. A sum of b products in any
order and one sum with r round by at most $\gamma_{b+2}(|r| + \sum_{s'}P|v|)$, $\gamma_k = ku/(1 - ku)$, $u =
\epsilon/2$. Rewards that are sums of probabilities (those of entering a goal) are covered by the same count.
Together, for b below $10^{12}$,

$$|fl(r + Pv) - (r + pv)| \le \kappa\,(|r| + \sum P|v|), \qquad \kappa := (4b + 16)\epsilon,$$

where (3.5 b + 10) $\epsilon$ would do; the rest covers the roundings of the bound itself, of its sum with the
backup, and of a product of a backup with a discount. `TINY` covers underflow.
"""

import numpy as np

from virel_theory.checks import Array, U
from virel_theory.solvers.bounds import TINY as TINY  # noqa: PLC0414  # the same constant for all bounds


def backup_error(n_terms: int) -> float:
    r"""Relative error $\kappa$ of a backup whose rows have at most `n_terms` non-zeros."""
    return (4 * n_terms + 16) * U


def above(x: Array | float) -> Array:
    """Next float64 above x: a bound on what was rounded to x."""
    return np.asarray(np.nextafter(x, np.inf), dtype=np.float64)


def half_width(lower: Array, value: Array, upper: Array) -> float:
    """Largest distance of the finite values from their bounds, rounded up; `inf` if a bound is missing."""
    finite = np.isfinite(value)
    if not finite.any():
        return 0.0
    with np.errstate(invalid="ignore"):
        gaps = np.maximum(upper - value, value - lower)[finite]
    return float(above(np.nan_to_num(gaps, nan=np.inf, posinf=np.inf).max())) if gaps.max() > 0 else 0.0
