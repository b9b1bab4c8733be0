"""What the sub-commands share: options, progress, width of tables, the folder of an unfinished run."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from verify.engine.results import Row
from virel_common.errors import InputError

PLAIN_WIDTH = 160
"""Columns of tables that go to a file or a pipe."""
T = TypeVar("T")


def say(line: str) -> None:
    """One line to stderr, at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def staging_folder(out: Path) -> Iterator[Path]:
    """A folder inside `out` for figures of an unfinished run; finds an unwritable `out` at once."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(dir=out, prefix=".running-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"`out` must be a writable folder; found {str(out)!r} ({reason})") from None
    with temporary as folder:
        yield Path(folder)


def with_progress(rows: Iterable[Row], n_rows: int) -> Iterator[Row]:
    """Pass rows on, reporting to stderr: a bar on a terminal, else one plain line a claim."""
    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        for i, row in enumerate(rows, start=1):
            say(f"[{i}/{n_rows}] {row['id']} {row['verdict']} {row['seconds']:.1f} s")
            yield row
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=terminal, transient=True) as progress:
        task = progress.add_task("", total=n_rows)
        for row in rows:
            progress.update(task, advance=1, description=f"{row['id']} {row['verdict']}")
            yield row


def console() -> Console:
    """As wide as the terminal, or `PLAIN_WIDTH` where the output goes to a file or a pipe."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=max(shutil.get_terminal_size().columns, 80) if width is None else width)


def parse(options: type[T], argv: Sequence[str], *, prog: str) -> T | int:
    """The options, or the exit status if there is nothing to run (`--help`, or a mistake shown by tyro)."""
    try:
        return tyro.cli(options, args=list(argv), prog=prog)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
