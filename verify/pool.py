"""Claims in worker processes, one thread each; results come back as they are ready.

Claims hold functions and strategies, which do not travel between processes: workers get ids and return plain
data. Nothing that loads numba is imported at the top, see `_own_numba_cache`.
"""

import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING

from joblib import Parallel, delayed, parallel_config

if TYPE_CHECKING:
    from verify.results import Row


def available_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_rows(ids: Sequence[str], *, seed: int, figures: Path | None, jobs: int) -> "Iterator[Row]":
    """Rows in the order in which claims finish; with `jobs=1` in this process, one after the other.

    Closing the generator, or an interrupt, stops the workers.
    """
    if jobs == 1:
        from verify.work import run_row  # noqa: PLC0415

        yield from (run_row(claim_id, seed=seed, figures=figures) for claim_id in ids)
        return
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")
        rows = parallel(delayed(_run_row)(claim_id, seed=seed, figures=figures) for claim_id in ids)
    try:
        yield from rows
    finally:
        rows.close()


def _run_row(claim_id: str, *, seed: int, figures: Path | None) -> "Row":
    _own_numba_cache()
    from verify.work import run_row  # noqa: PLC0415

    return run_row(claim_id, seed=seed, figures=figures)


@cache
def _own_numba_cache() -> IO[bytes] | None:
    """Give this worker a folder of compiled code that no other process uses, for as long as it lives.

    numba's index files are not safe against two processes that compile at once: both may choose the same file
    name for different signatures, and one would later run the other's machine code.
    """
    if "numba" in sys.modules:  # too late: its configuration has been read
        return None
    default = Path(__file__).resolve().parent / "__pycache__"
    root = Path(os.environ.get("NUMBA_CACHE_DIR") or default)
    for slot in count():
        folder = root / f"worker-{slot}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("wb")
        except OSError:  # a read-only installation: numba finds another place
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
        return lock
    return None
