"""Run claims in worker processes of one thread each, and yield their results as they are ready.

Claims hold functions and strategies, which cannot be sent between processes: workers get ids and return plain
data. Nothing that loads numba is imported at the top; `_own_numba_cache` says why.
"""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Generator, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from joblib import Parallel, delayed, parallel_config

from virel_common.files import lock_folder

if TYPE_CHECKING:
    from verify.engine.results import Row

Task = Literal["run_row", "figures_row", "certify_row"]


def run_rows(
    ids: Sequence[str],
    *,
    seed: int,
    figures: Path | None,
    jobs: int,
    files: Sequence[Path] = (),
    task: Task = "run_row",
) -> "Generator[Row]":
    """Rows of claims in the order in which they finish.

    Args:
        ids: of the claims.
        seed: seed of the random instances.
        figures: the folder for what the task writes, if any.
        jobs: number of worker processes; 1 runs the claims in this process, one after the other.
        files: hold claims that are not on record.
        task: the function of `verify.commands.work` that makes a row.

    Closing the generator, or an interrupt, stops the workers.
    """
    options: dict[str, Any] = {"seed": seed, "figures": figures, "files": tuple(files)}
    if jobs == 1:
        from verify.commands import work  # noqa: PLC0415

        yield from (getattr(work, task)(claim_id, **options) for claim_id in ids)
        return
    threading.excepthook = _ignore_abort_race
    with parallel_config(backend="loky", n_jobs=jobs, inner_max_num_threads=1):
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="all")
        rows = parallel(delayed(_run_row)(task, claim_id, options) for claim_id in ids)
    try:
        for row in rows:  # noqa: UP028  # `yield from` would close `rows` before the block below
            yield row
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib's advice about tasks cancelled by an interrupt
            rows.close()
        threading.excepthook = threading.__excepthook__


def _ignore_abort_race(args: threading.ExceptHookArgs) -> None:
    """Hide one traceback: on an interrupt, loky clears its queue while its own thread may be reading it."""
    in_loky = args.thread is not None and args.thread.name == "ExecutorManagerThread"
    if not (in_loky and args.exc_type is KeyError):
        threading.__excepthook__(args)


def _run_row(task: Task, claim_id: str, options: dict[str, Any]) -> "Row":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and stops its workers
    _own_numba_cache()
    from verify.commands import work  # noqa: PLC0415

    row: Row = getattr(work, task)(claim_id, **options)
    return row


@cache
def _own_numba_cache() -> None:
    """Give this worker a folder of compiled code that no other process uses, for as long as it lives.

    numba's index files are not safe against two processes that compile at once: both may choose the same file
    name for different signatures, and one would later run the other's machine code.
    """
    if "numba" in sys.modules:  # too late: its configuration has been read
        return
    default = Path(__file__).resolve().parent / "__pycache__"
    root = Path(os.environ.get("NUMBA_CACHE_DIR") or default)
    for slot in count():
        folder = root / f"worker-{slot}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = lock_folder(folder)  # until this process ends
        except OSError:
            return
        if not os.access(folder, os.W_OK):  # a read-only installation: numba finds another place
            return
        if held is not None:
            os.environ["NUMBA_CACHE_DIR"] = str(folder)
            return
