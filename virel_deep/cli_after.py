"""`virel evaluate`, `compare`, `watch` and `export`: parse, call, print."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from rich.console import Console

from virel_deep._files import StorageError, write_atomically
from virel_deep.errors import InputError, require

PLAIN_WIDTH = 160
"""Columns of tables that go to a file or a pipe."""
Options = TypeVar("Options")


@dataclass(frozen=True)
class CompareOptions:
    """Compare runs: learning curves and a table of scores; exit 0 once they are written.

    Exit status: 0 written; 1 not writable; 2 bad input.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folders, finished or not; the others are measured against the algorithm of the first."""
    out: Path = Path("out/compare")
    """Folder for curves.png, curves.svg, curves.csv and table.md."""


def main_compare(argv: Sequence[str]) -> int:
    """Read runs, draw their curves, write and print their table; return the exit status."""
    return _run(CompareOptions, argv, "virel compare", _compare)


def _compare(options: CompareOptions) -> int:
    from virel_deep.compare import read_run  # noqa: PLC0415  (`--help` answers without scipy)
    from virel_deep.compare_table import as_markdown, as_rich, entries, overall_table, remarks, score_table  # noqa: PLC0415
    from virel_deep.curves import draw  # noqa: PLC0415  (brings matplotlib)

    folders = [str(path.resolve()) for path in options.runs]
    require(len(folders) >= 1, "runs", folders, "must name a run folder")
    require(len(set(folders)) == len(folders), "runs", folders, "must differ")
    named = entries([read_run(path) for path in options.runs])
    tables = [table for table in (score_table(named), overall_table(named)) if table is not None]
    said = remarks(named)
    paths = [options.out / "table.md"]
    _make_folder(options.out)
    write_atomically(paths[0], as_markdown(tables, said).encode())
    paths += draw(named, options.out)
    terminal = console()
    for table in tables:
        terminal.print(as_rich(table))
    for remark in said:
        terminal.print(f"- {remark}", markup=False, highlight=False)
    terminal.print(f"written: {', '.join(map(str, paths))}", soft_wrap=True, highlight=False, markup=False)
    return 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"`out` must be a writable folder; found {str(folder)!r} ({error.strerror})"
        ) from None


def console() -> Console:
    """As wide as the terminal, or `PLAIN_WIDTH` where the output goes to a file or a pipe."""
    width = max(shutil.get_terminal_size().columns, 80) if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width)


def _run(kind: type[Options], argv: Sequence[str], prog: str, command: Callable[[Options], int]) -> int:
    """Parse and run; errors that a user can mend are one line on stderr."""
    try:
        options = tyro.cli(kind, args=list(argv), prog=prog)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    try:
        return command(options)
    except InputError as error:
        sys.stderr.write(f"{prog}: {error}\n")
        return 2
    except StorageError as error:
        sys.stderr.write(f"{prog}: {error}\n")
        return 1
