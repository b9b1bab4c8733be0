"""`virel figures`, `virel report` and `virel explain`."""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from verify.commands import pool
from verify.commands.terminal import console, parse, say, staging_folder, with_progress
from verify.commands.work import run_row
from verify.engine import registry
from verify.engine.results import (
    ERROR,
    Row,
    atomic_file,
    require_figure_names_differ,
    sigterm_interrupts,
)
from verify.report.explain import errata, explanation
from verify.report.page import read_results, write_report
from virel_theory.checks import InputError, require

ClaimNames = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CLAIM")]


@dataclass(frozen=True)
class FiguresOptions:
    """Draw the convergence plots: SVG, PDF, PNG, and the data as CSV.

    The same seed writes the same CSV bytes, but for `*.times.csv`: measured times differ from run to run.
    """

    claims: ClaimNames = ()
    """Ids as `virel claims` lists them, or .py files with claims of your own; none means all on record."""
    seed: int = 0
    """Of random instances."""
    out: Path = Path("out/figures")
    """Folder for the files."""
    jobs: int = 2
    """Worker processes, at most as many as there are CPUs."""


@dataclass(frozen=True)
class ReportOptions:
    """Write report.html, one page to read offline, from what `virel verify` left in its folder."""

    out: Path = Path("out/verify")
    """Folder of results.json; the report goes there too."""
    errata_pdf: Path | None = None
    """Also write the errata to this PDF file."""


@dataclass(frozen=True)
class ExplainOptions:
    """Print what is printed, what came out, the counterexample and what holds instead, as Markdown."""

    claims: ClaimNames = ()
    """Ids as `virel claims` lists them, or .py files with claims of your own."""
    errata: Path | None = None
    """Write the errata of all claims to this Markdown file instead, e.g. docs/errata.md."""
    seed: int = 0
    """Of the random instances."""
    results: Path = Path("out/verify")
    """With --errata: a folder of `virel verify`, used if it has every claim on record, with this seed."""
    jobs: int = 2
    """Worker processes of --errata, at most as many as there are CPUs."""


def main_figures(argv: Sequence[str]) -> int:
    """Draw figures; return the exit status."""
    options = parse(FiguresOptions, argv, prog="virel figures")
    return options if isinstance(options, int) else _guarded("virel figures", lambda: _figures(options))


def main_report(argv: Sequence[str]) -> int:
    """Write the report; return the exit status."""
    options = parse(ReportOptions, argv, prog="virel report")
    return options if isinstance(options, int) else _guarded("virel report", lambda: _report(options))


def main_explain(argv: Sequence[str]) -> int:
    """Print explanations, or write the errata; return the exit status."""
    options = parse(ExplainOptions, argv, prog="virel explain")
    return options if isinstance(options, int) else _guarded("virel explain", lambda: _explain(options))


def _guarded(prog: str, run: Callable[[], int]) -> int:
    try:
        with sigterm_interrupts():
            return run()
    except InputError as error:
        say(f"{prog}: {error}")
        return 2
    except OSError as error:
        say(f"{prog}: {error.filename}: {error.strerror}")
        return 2
    except BrokenExecutor as error:
        say(f"{prog}: {error}; nothing written")
        return 1
    except KeyboardInterrupt:
        say(f"{prog}: interrupted, nothing written")
        return 130


def _figures(options: FiguresOptions) -> int:
    require(options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
    require(options.seed >= 0, "seed", options.seed, "must not be negative")
    ids, files = registry.resolve(options.claims)
    drawn = [claim.id for claim in registry.select(ids, files) if claim.figures is not None]
    require(bool(drawn), "claim", ", ".join(ids), "must have a figure")
    with staging_folder(options.out) as staging:
        jobs = min(options.jobs, pool.available_cpus(), len(drawn))
        running = pool.run_rows(
            drawn, seed=options.seed, figures=staging, jobs=jobs, files=files, task="figures_row"
        )
        rows = list(with_progress(running, len(drawn)))
        require_figure_names_differ([row for row in rows if row["verdict"] != ERROR])
        paths = sorted(path for path in staging.iterdir() if not path.name.startswith("."))
        for path in paths:
            path.replace(options.out / path.name)
    failed = [row for row in rows if row["verdict"] == ERROR]
    for row in failed:
        say(f"virel figures: {row['id']}: {row['exception']}")
    _tell(f"written: {options.out}/ ({len(paths)} files)")
    return 1 if failed else 0


def _report(options: ReportOptions) -> int:
    document = read_results(options.out)
    _tell(f"written: {write_report(options.out)}")
    if options.errata_pdf is not None:
        from verify.report.errata_pdf import write_errata_pdf  # noqa: PLC0415  (matplotlib is slow to import)

        write_errata_pdf(document, options.errata_pdf)
        _tell(f"written: {options.errata_pdf}")
    return 0


def _explain(options: ExplainOptions) -> int:
    require(options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
    require(options.seed >= 0, "seed", options.seed, "must not be negative")
    if options.errata is not None:
        require(not options.claims, "claim", options.claims, "must not be combined with --errata")
        with atomic_file(options.errata) as file:  # first: it may be unwritable
            file.write(errata(registry.select([]), _all_rows(options)).encode())
        _tell(f"written: {options.errata}")
        return 0
    require(bool(options.claims), "claim", options.claims, "must be named (or --errata FILE given)")
    ids, files = registry.resolve(options.claims)
    n_failed = 0
    for claim in registry.select(ids, files):
        row = run_row(claim.id, seed=options.seed, figures=None, files=files)
        if row["verdict"] == ERROR:
            say(f"virel explain: {claim.id}: {row['exception']}")
            n_failed += 1
        else:
            _tell(explanation(claim, row))
    return 1 if n_failed else 0


def _all_rows(options: ExplainOptions) -> list[Row]:
    """Rows of an earlier run if they are complete and have this seed, else of a run now."""
    ids = [claim.id for claim in registry.select([])]
    try:
        found = read_results(options.results)
    except InputError:
        found = {"seed": None, "claims": []}
    rows: list[Row] = found["claims"]
    if found["seed"] == options.seed and {row["id"] for row in rows} >= set(ids):
        say(f"virel explain: from {options.results}/results.json")
        return rows
    jobs = min(options.jobs, pool.available_cpus())
    running = pool.run_rows(ids, seed=options.seed, figures=None, jobs=jobs)
    return list(with_progress(running, len(ids)))


def _tell(text: str) -> None:
    console().print(text, soft_wrap=True, highlight=False, markup=False)
