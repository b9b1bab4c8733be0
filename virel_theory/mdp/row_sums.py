"""Rule that decides which rows of probabilities sum to 1, dense or sparse; `solvers.bounds` relies on it."""

import math

import numpy as np
from scipy import sparse

from virel_theory.checks import Array, U, row_sum_tolerance

Rows = Array | sparse.csr_array
SURE = 5 * U  # a sum this close to 1 is accepted whatever the row, see `first_bad_row`


def first_bad_row(rows: Rows, sums: Array, target: Array) -> tuple[int, float] | None:
    r"""First row of a matrix `[n, S]`, dense or CSR, whose sum is not its `target`: index and sum, or None.

    A row of b non-zeros, normalised in float64, has quotients off by at most $bu$ (a sum of b terms and a
    division; $u = \epsilon/2$), so that its exact sum $\sigma$ is 1 within $bu$. Accepted is
    $|fl(\sigma) - 1| \le (2b + 4)\epsilon$ with b the most non-zeros of a row: four times that, and what
    `bounds` covers. Zeros do not count, as they add no rounding.

    The computed `sums` are off by at most $bu\sigma$, which depends on their order; within $b\epsilon$ of the
    limit the correctly rounded sum decides, so that dense and sparse rows have the same verdict.
    """
    off = np.abs(sums - target)
    if (off <= SURE).all():
        return None
    n_terms = longest_row(rows)
    limit, doubt = row_sum_tolerance(n_terms), n_terms * U
    for row in np.flatnonzero(~(off <= limit - doubt)):
        in_doubt = off[row] <= limit + doubt
        total = math.fsum(_entries(rows, int(row))) if in_doubt else float(sums[row])
        if not abs(total - target[row]) <= limit:
            return int(row), total
    return None


def is_fine(worst: float, n_terms: int) -> bool:
    """Whether no row can be bad, from the largest |sum - target| of all and the most non-zeros of a row.

    By the rule of `first_bad_row`; if False, that function decides.
    """
    return worst <= max(SURE, row_sum_tolerance(n_terms) - n_terms * U)


def longest_row(rows: Rows) -> int:
    """Largest number of non-zeros in a row of a matrix; zeros that a CSR matrix stores do not count."""
    if isinstance(rows, np.ndarray):
        counts = np.count_nonzero(rows, axis=1)
    elif rows.data.all():
        counts = np.diff(rows.indptr)
    else:
        counts = np.diff(np.concatenate([[0], np.cumsum(rows.data != 0)])[rows.indptr])
    return int(counts.max(initial=0))


def _entries(rows: Rows, row: int) -> Array:
    """Entries of one row of a dense or CSR matrix, in the order in which they are stored."""
    out: Array = rows[row] if isinstance(rows, np.ndarray) else rows.data[slice(*rows.indptr[row : row + 2])]
    return out
