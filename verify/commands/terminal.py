"""Shared by the sub-commands on claims: error handling, progress bar, folder for an unfinished run."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from verify.engine.results import Row
from virel_common import terminal
from virel_common.errors import InputError
from virel_common.files import lock_folder, remove_temporary
from virel_common.signals import WARNINGS, heard, stop_signals_interrupt
from virel_common.terminal import say

RUNNING = ".running-"
"""Prefix of the folder of an unfinished run."""
Options = TypeVar("Options")


def run_command(
    options: type[Options], argv: Sequence[str], *, prog: str, run: Callable[[Options], int]
) -> int:
    """Run a sub-command of `virel`; file errors, dead workers, interrupts become one line and an exit status.

    Everything else is as in `virel_common.terminal.run_command`. SIGTERM and a scheduler's warning act as
    Ctrl-C; what is written by then is said by `staging_folder` and `once_written`. A worker that died is
    status 1.
    """

    def guarded(parsed: Options) -> int:
        try:
            with stop_signals_interrupt():
                return run(parsed)
        except BrokenExecutor as error:
            say(f"{prog}: {error}; nothing written")
            return terminal.FAILED
        except KeyboardInterrupt as stop:
            say(f"{prog}: {', '.join(('interrupted', *map(str, stop.args)))}")
            return terminal.INTERRUPTED

    return terminal.run_command(options, argv, prog=prog, run=guarded)


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """Temporary folder in `out` for files of an unfinished run; an unwritable `out` raises `InputError`.

    What killed runs left in `out` is removed first; a run that is alive holds a lock on its own folder. An
    interrupt says that nothing is written, unless `once_written` says more.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        starting = lock_folder(out)  # a folder is found unlocked only if its run has ended
        if starting is not None:
            _remove_what_killed_runs_left(out)
        temporary = tempfile.TemporaryDirectory(dir=out, prefix=RUNNING, ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"`out` must be a writable folder; found {str(out)!r} ({reason})") from None
    with temporary as folder:
        running = lock_folder(Path(folder))
        _unlock(starting)
        try:
            yield Path(folder)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(*(stop.args or ["nothing written"])) from None
        finally:
            _unlock(running)


@contextmanager
def once_written(what: str) -> Iterator[None]:
    """Have an interrupt inside the block say what is written by then."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(what) from None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold back the signals that ask to stop during the block, which moves files; then obey the first."""
    came: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()  # others cannot set a handler
    numbers = heard(signal.SIGINT, signal.SIGTERM, *WARNINGS) if is_main else ()
    before = {number: signal.signal(number, lambda got, _: came.append(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
    for first in came[:1]:
        signal.raise_signal(first)


def _remove_what_killed_runs_left(out: Path) -> None:
    """Remove the folders of runs that have ended, and temporary files if no run is alive."""
    alive = False
    for folder in out.glob(f"{RUNNING}*"):
        try:
            lock = lock_folder(folder)
        except OSError:  # of another user
            lock = None
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
        alive = alive or lock is None
        _unlock(lock)
    if not alive:
        with suppress(OSError):
            remove_temporary(out)


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def with_progress(rows: Iterable[Row], n_rows: int) -> Iterator[Row]:
    """Yield claims' result rows unchanged and show progress on stderr: a bar on a terminal, else lines."""
    screen = Console(stderr=True)
    if not screen.is_terminal:
        for i, row in enumerate(rows, start=1):
            say(f"[{i}/{n_rows}] {row['id']} {row['verdict']} {row['seconds']:.1f} s")
            yield row
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task("", total=n_rows)
        for row in rows:
            progress.update(task, advance=1, description=f"{row['id']} {row['verdict']}")
            yield row
