"""One pass over the rows of a large CSR transition, without temporary arrays, that tells if all is well."""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit


@njit(cache=True, nogil=True)
@no_type_check
def survey(indptr, indices, data, exists, n_states):
    """Check the pointers, indices and entries of a CSR transition; measure its row sums.

    Args:
        indptr: `[N + 1]` ends of the rows.
        indices: successor states.
        data: probabilities.
        exists: `[N]` booleans, whether the row's action exists; empty if all do.
        n_states: number of states.

    Returns:
        Whether pointers rise from 0 to the number of entries, indices are states and entries are >= 0; the
        largest distance of a row's sum from 1 (from 0 where the action does not exist); the largest number
        of non-zeros in a row.
    """
    n_rows = len(indptr) - 1
    if indptr[0] != 0 or indptr[n_rows] != len(indices) or len(indices) != len(data):
        return False, np.inf, 0
    worst, longest = 0.0, 0
    for row in range(n_rows):
        first, last = indptr[row], indptr[row + 1]
        if last < first or last > len(indices):
            return False, np.inf, 0
        total, count = 0.0, 0
        for j in range(first, last):
            if not data[j] >= 0.0 or indices[j] < 0 or indices[j] >= n_states:
                return False, np.inf, 0
            total += data[j]
            count += data[j] != 0.0
        target = 1.0 if len(exists) == 0 or exists[row] else 0.0
        worst, longest = max(worst, abs(total - target)), max(longest, count)
    return True, worst, longest
