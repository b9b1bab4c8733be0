"""The process of one job: `python -m virel_deep.study.worker RUN`; exit status as of `virel train`."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import say
from virel_deep.run.folder import locked, read_config
from virel_deep.run.launch import FAILED, STOPPED, train

PATIENCE = 60.0
"""Seconds to wait for a process that still holds the job's folders, such as one that is saving."""


def train_job(run: Path, *, patience: float = PATIENCE) -> int:
    """Train every unfinished seed of a run folder in this process; return the exit status.

    A job of a study is this call: it may be made again after any interruption, on any machine that sees the
    folder, and continues from the newest checkpoint with the same bits.
    """
    try:
        _wait_for(run, patience)
        return train(run, jobs=1)
    except (InputError, StorageError) as error:
        say(f"virel study: {run.name}: {error}")
        return FAILED


def _wait_for(run: Path, patience: float) -> None:
    """Wait until no other process holds the seeds' folders.

    Raises:
        InputError: one still does when patience is over.
    """
    seeds, end = read_config(run).seeds, time.monotonic() + patience
    while True:
        try:
            with locked(run, seeds):
                return
        except InputError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.2)


def stop_with_parent(parent: int) -> bool:
    """Have the kernel send SIGTERM here when the parent dies; False if it is dead already."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
    return os.getppid() == parent


def main() -> int:
    """Train the run folder named by the first argument, as long as the process named by the second lives."""
    run, parent = Path(sys.argv[1]), int(sys.argv[2])
    return train_job(run) if stop_with_parent(parent) else STOPPED


if __name__ == "__main__":
    sys.exit(main())
