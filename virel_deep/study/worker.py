"""Process that trains one job of a study: `python -m virel_deep.study.worker RUN PARENT`.

PARENT is the id of the process that waits for it. The exit status is as of `virel train`.
"""

import sys
import time
from pathlib import Path

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import FAILED, INTERRUPTED, say
from virel_deep.run.folder import locked, read_config
from virel_deep.run.launch import train
from virel_deep.run.signals import hear_stops_of
from virel_deep.run.transfer import take_priors

PATIENCE = 60.0
"""Seconds to wait for a process that still holds the job's folders, such as one that is saving."""


def train_job(run: Path, *, patience: float = PATIENCE) -> int:
    """Train every unfinished seed of a run folder in this process; return the exit status.

    A job of a study is this call: it may be made again after any interruption, on any machine that sees the
    folder, and continues from the newest checkpoint with the same bits.
    """
    try:
        _wait_for(run, patience)
        config = read_config(run)
        if config.prior_run is not None:
            take_priors(run, config)
        return train(run, jobs=1, survive=True)
    except (InputError, StorageError) as error:
        say(f"virel study: {run.name}: {error}")
        return FAILED


def _wait_for(run: Path, patience: float) -> None:
    """Wait until no other process holds the locks on the seeds' folders.

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


def main() -> int:
    """Train the run folder in the first argument, while the parent process in the second argument lives."""
    run, parent = Path(sys.argv[1]), int(sys.argv[2])
    return train_job(run) if hear_stops_of(parent) else INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
