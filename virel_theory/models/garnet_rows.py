"""Random rows of Garnet MDPs as CSR, filled by threads, and random masks of actions."""

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

from virel_theory.checks import Mask
from virel_theory.models import garnet_kernels
from virel_theory.threads.count import n_threads
from virel_theory.threads.team import share

PER_THREAD = 500_000  # non-zeros per thread; below, waking it costs more than it saves
CHUNK = 65_536  # non-zeros of a chunk


def random_mask(shape: tuple[int, int], *, missing: float, rng: np.random.Generator) -> Mask | None:
    """Random mask of existing actions, at least one per state; None if no action can be missing."""
    if missing == 0:
        return None
    mask: Mask = rng.random(shape) >= missing
    mask[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] = True
    return mask


def garnet_rows(
    key: np.uint64, shape: tuple[int, int], *, branching: int, mask: Mask | None
) -> sparse.csr_array:
    """CSR transition of a Garnet MDP, drawn from the random stream `key`."""
    n_rows = shape[0] * shape[1]
    n_entries = branching * (n_rows if mask is None else int(mask.sum()))
    dtype = index_dtype(n_rows, n_entries)
    if mask is None:
        indptr = np.arange(0, n_entries + 1, branching, dtype=dtype)
    else:
        indptr = np.concatenate([[0], branching * mask.ravel().cumsum()]).astype(dtype)
    indices, data = np.empty(n_entries, dtype=dtype), np.empty(n_entries)
    n_chunks = min(n_entries // CHUNK + 1, n_rows)
    n_helpers = min(n_threads(), n_entries // PER_THREAD) - 1
    args = (key, shape[0], indptr, indices, data)
    share(garnet_kernels.fill, args, n_chunks=n_chunks, n_helpers=max(n_helpers, 0))
    return sparse.csr_array((data, indices, indptr), shape=(n_rows, shape[0]))


def index_dtype(n_rows: int, n_entries: int) -> DTypeLike:
    """Index type of a CSR matrix, as in `scipy.sparse`: int32 if row and entry numbers fit, else int64."""
    return np.int32 if max(n_rows, n_entries) <= np.iinfo(np.int32).max else np.int64
