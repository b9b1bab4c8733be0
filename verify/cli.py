"""`virel verify` and `virel claims`."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from verify import pool, registry
from verify.results import Row, as_recorded, results_document, write_json
from verify.tables import claims_table, findings, verdict_table
from virel_theory._validate import InputError, require

PLAIN_WIDTH = 160
"""Columns of tables that go to a file or a pipe."""
T = TypeVar("T")


@dataclass(frozen=True)
class VerifyOptions:
    """Check claims of the VIREL paper; exit 0 iff every verdict is the one on record.

    Exit status: 0 as recorded; 1 a verdict differs, or a correction fails; 2 bad input; 130 interrupted.
    """

    claims: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CLAIM")] = ()
    """Ids as `virel claims` lists them; none means all."""
    all: tyro.conf.FlagCreatePairsOff[bool] = False
    """All claims, the same as naming none."""
    seed: int = 0
    """Of the random instances: the same seed draws the same ones."""
    out: Path = Path("out/verify")
    """Folder for results.json and figures."""
    jobs: int = 2
    """Worker processes, at most as many as there are CPUs."""
    no_figures: tyro.conf.FlagCreatePairsOff[bool] = False
    """Do not compute and draw the convergence figures."""


@dataclass(frozen=True)
class ClaimsOptions:
    """List every claim with its source and the verdict on record."""


def main_verify(argv: Sequence[str]) -> int:
    """Run claims, print the table, write `results.json` and figures; return the exit status."""
    options = _parse(VerifyOptions, argv, prog="virel verify")
    if isinstance(options, int):
        return options
    try:
        ids = _checked_ids(options)
        with _staging(options.out) as staging:
            return _verify(options, ids, staging)
    except InputError as error:
        print(f"virel verify: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("virel verify: interrupted, nothing written", file=sys.stderr)
        return 130


def main_claims(argv: Sequence[str]) -> int:
    """Print the table of claims; return the exit status."""
    options = _parse(ClaimsOptions, argv, prog="virel claims")
    if isinstance(options, int):
        return options
    _console().print(claims_table(registry.all_claims().values()))
    return 0


def _verify(options: VerifyOptions, ids: Sequence[str], staging: Path) -> int:
    figures = None if options.no_figures else staging
    jobs = min(options.jobs, pool.available_cpus(), len(ids))
    running = pool.run_rows(ids, seed=options.seed, figures=figures, jobs=jobs)
    rows = sorted(_with_progress(running, len(ids)), key=lambda row: ids.index(row["id"]))
    written = _publish(options, rows, staging)
    console = _console()
    console.print(verdict_table(rows))
    console.print(findings(rows))
    n_good = sum(map(as_recorded, rows))
    console.print(
        f"{n_good} of {len(rows)} claims as recorded", style=None if n_good == len(rows) else "bold red"
    )
    console.print(f"written: {', '.join(written)}", soft_wrap=True, highlight=False)
    return 0 if n_good == len(rows) else 1


def _checked_ids(options: VerifyOptions) -> list[str]:
    require(
        not (options.all and options.claims), "all", options.claims, "must not be combined with claim ids"
    )
    require(options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
    require(options.seed >= 0, "seed", options.seed, "must not be negative")
    return [claim.id for claim in registry.select(list(dict.fromkeys(options.claims)))]


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder inside `out` for figures of an unfinished run; finds an unwritable `out` at once."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(dir=out, prefix=".running-", ignore_cleanup_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"`out` must be a writable folder; found {str(out)!r} ({reason})") from None
    with staging as folder:
        yield Path(folder)


def _publish(options: VerifyOptions, rows: Sequence[Row], staging: Path) -> list[str]:
    """Move finished figures to their place, then write `results.json`; return what was written."""
    written = []
    drawn = sorted(path for path in staging.iterdir() if not path.name.startswith("."))
    if drawn:
        folder = options.out / "figures"
        folder.mkdir(exist_ok=True)
        for path in drawn:
            path.replace(folder / path.name)
        written.append(f"{folder}/ ({len(drawn)} files)")
    path = options.out / "results.json"
    write_json(path, results_document(rows, seed=options.seed))
    return [str(path), *written]


def _with_progress(rows: Iterable[Row], n_rows: int) -> Iterator[Row]:
    """Pass rows on, reporting to stderr: a bar on a terminal, else one plain line a claim."""
    console = Console(stderr=True)
    if not console.is_terminal:
        for i, row in enumerate(rows, start=1):
            print(
                f"[{i}/{n_rows}] {row['id']} {row['verdict']} {row['seconds']:.1f} s",
                file=sys.stderr,
                flush=True,
            )
            yield row
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=n_rows)
        for row in rows:
            progress.update(task, advance=1, description=f"{row['id']} {row['verdict']}")
            yield row


def _console() -> Console:
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=max(shutil.get_terminal_size().columns, 80) if width is None else width)


def _parse(options: type[T], argv: Sequence[str], *, prog: str) -> T | int:
    """The options, or the exit status if there is nothing to run (`--help`, or a mistake shown by tyro)."""
    try:
        return tyro.cli(options, args=list(argv), prog=prog)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
