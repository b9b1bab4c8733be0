"""Sub-commands that present claims as documents: `virel figures`, `virel report` and `virel explain`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from verify.commands import pool
from verify.commands.terminal import run_command, staging_folder, with_progress
from verify.commands.work import run_row
from verify.engine import registry
from verify.engine.results import ERROR, Row, require_figure_names_differ
from verify.report.explain import errata, explanation
from verify.report.page import read_results, write_report
from virel_common.errors import InputError, require
from virel_common.files import atomic_file
from virel_common.machine import available_cpus
from virel_common.terminal import console, say

ClaimNames = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CLAIM")]


@dataclass(frozen=True)
class FiguresOptions:
    """Draw the convergence plots of claims as SVG, PDF and PNG, and write the plotted data as CSV.

    The same seed writes the same CSV bytes, except for `*.times.csv`: measured times differ from run to run.
    """

    claims: ClaimNames = ()
    """Claim ids as listed by `virel claims`, or .py files with your own claims; none means all on record."""
    seed: int = 0
    """Seed of the random instances (MDPs, policies, values) on which the claims are checked or drawn."""
    out: Path = Path("out/figures")
    """Output folder for the figures and their CSV files; created if it does not exist."""
    jobs: int = 2
    """Number of worker processes that draw figures at the same time, at most as many as there are CPUs."""


@dataclass(frozen=True)
class ReportOptions:
    """Write report.html, a page with the verdicts of a `virel verify` run, to read offline."""

    out: Path = Path("out/verify")
    """Folder with the results.json of `virel verify` (its --out); report.html is written there too."""
    errata_pdf: Path | None = None
    """PDF file for the errata (printed statements and proof steps found false); none writes no PDF."""


@dataclass(frozen=True)
class ExplainOptions:
    """Explain claims of the paper in Markdown: statement, verdict, counterexample, what holds instead."""

    claims: ClaimNames = ()
    """Claim ids as listed by `virel claims`, or .py files with your own claims; needed without --errata."""
    errata: Path | None = None
    """Markdown file (docs/errata.md, say) to explain in all claims with a false statement or proof step."""
    seed: int = 0
    """Seed of the random instances (MDPs, policies, values) on which the claims are checked or drawn."""
    results: Path = Path("out/verify")
    """Folder (--out) of an earlier `virel verify`: --errata uses its results if complete and of this seed."""
    jobs: int = 2
    """Number of worker processes that check claims for --errata, at most as many as there are CPUs."""


def main_figures(argv: Sequence[str]) -> int:
    """Run `virel figures`: draw the figures of claims and return the exit status."""
    return run_command(FiguresOptions, argv, prog="virel figures", run=_figures)


def main_report(argv: Sequence[str]) -> int:
    """Run `virel report`: write the report page on a run of `virel verify` and return the exit status."""
    return run_command(ReportOptions, argv, prog="virel report", run=_report)


def main_explain(argv: Sequence[str]) -> int:
    """Run `virel explain`: print explanations of claims or write the errata; return the exit status."""
    return run_command(ExplainOptions, argv, prog="virel explain", run=_explain)


def _figures(options: FiguresOptions) -> int:
    require(options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
    require(options.seed >= 0, "seed", options.seed, "must not be negative")
    ids, files = registry.resolve(options.claims)
    drawn = [claim.id for claim in registry.select(ids, files) if claim.figures is not None]
    require(
        bool(drawn),
        "claim",
        ", ".join(ids),
        "must have a figure; name a claim with convergence plots, or none to draw all",
    )
    with staging_folder(options.out) as staging:
        jobs = min(options.jobs, available_cpus(), len(drawn))
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
    require(
        bool(options.claims),
        "claim",
        options.claims,
        "must name a claim, unless --errata FILE is given",
    )
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
    """Result rows of all claims on record: read from a complete earlier run of this seed, or computed."""
    ids = [claim.id for claim in registry.select([])]
    try:
        found = read_results(options.results)
    except InputError:
        found = {"seed": None, "claims": []}
    rows: list[Row] = found["claims"]
    if found["seed"] == options.seed and {row["id"] for row in rows} >= set(ids):
        say(f"virel explain: using the results in {options.results}/results.json")
        return rows
    jobs = min(options.jobs, available_cpus())
    running = pool.run_rows(ids, seed=options.seed, figures=None, jobs=jobs)
    return list(with_progress(running, len(ids)))


def _tell(text: str) -> None:
    console().print(text, soft_wrap=True, highlight=False, markup=False)
