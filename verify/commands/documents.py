"""Sub-commands that present claims as documents: `virel figures`, `virel report` and `virel explain`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from verify.commands import pool
from verify.commands.terminal import (
    once_written,
    run_command,
    staging_folder,
    undisturbed,
    with_progress,
)
from verify.commands.work import run_row
from verify.engine import registry
from verify.engine.results import ERROR, Row, require_figure_names_differ
from verify.report.explain import explanation
from verify.report.letter import letter, letter_markdown
from verify.report.page import write_report
from verify.report.plain import plain
from verify.report.record import record
from verify.report.sentence import sentence
from virel_common.errors import require
from virel_common.files import atomic_file
from virel_common.machine import available_cpus
from virel_common.terminal import console, say

ClaimNames = Annotated[
    tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[CLAIM ...]", help_behavior_hint="")
]


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


@dataclass(frozen=True)
class ExplainOptions:
    """Explain claims in Markdown: statement, verdict, weight, counterexample, what holds instead.

    Or write the documents: the letter to the papers' authors, and the full record.
    """

    claims: ClaimNames = ()
    """Claim ids as listed by `virel claims`, or .py files with your own claims; or --errata or --record."""
    errata: Path | None = None
    """File for the letter to the authors: a PDF if its name ends in .pdf, else Markdown (docs/errata.md)."""
    record: Path | None = None
    """Folder (docs/claims, say) for the full record, one Markdown page a topic."""
    latex: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print formulas in LaTeX, as they stand in the claims, instead of Unicode."""
    seed: int = 0
    """Seed of the random instances (MDPs, policies, values) on which the claims are checked or drawn."""


def main_figures(argv: Sequence[str]) -> int:
    """Run `virel figures`: draw the figures of claims and return the exit status."""
    return run_command(FiguresOptions, argv, prog="virel figures", run=_figures)


def main_report(argv: Sequence[str]) -> int:
    """Run `virel report`: write the report page on a run of `virel verify` and return the exit status."""
    return run_command(ReportOptions, argv, prog="virel report", run=_report)


def main_explain(argv: Sequence[str]) -> int:
    """Run `virel explain`: print explanations of claims or write documents; return the exit status."""
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
        with once_written(f"but the figures are in {options.out}"), undisturbed():
            for path in paths:
                path.replace(options.out / path.name)
    failed = [row for row in rows if row["verdict"] == ERROR]
    for row in failed:
        say(f"virel figures: {row['id']}: {row['exception']}")
    _tell(f"written: {options.out}/ ({len(paths)} files)")
    return 1 if failed else 0


def _report(options: ReportOptions) -> int:
    _tell(f"written: {write_report(options.out)}")
    return 0


def _explain(options: ExplainOptions) -> int:
    require(options.seed >= 0, "seed", options.seed, "must not be negative")
    documents = options.errata is not None or options.record is not None
    require(
        bool(options.claims) is not documents,
        "claim",
        options.claims,
        "must name a claim, unless --errata FILE or --record FOLDER is given instead",
    )
    if options.errata is not None:
        _write_letter(options.errata)
    if options.record is not None:
        _write_record(options.record)
    ids, files = registry.resolve(options.claims) if options.claims else ([], ())
    n_failed = 0
    for claim in registry.select(ids, files) if ids else ():
        row = run_row(claim.id, seed=options.seed, figures=None, files=files)
        if row["verdict"] == ERROR:
            say(f"virel explain: {claim.id}: {row['exception']}{_on(row)}")
            n_failed += 1
        else:
            text = explanation(claim, row)
            _tell(text if options.latex else plain(text))
    return 1 if n_failed else 0


def _on(row: Row) -> str:
    """Instance on which a check broke, as the end of its line; empty if it broke on none."""
    found = row["counterexample"]
    return "" if found is None else f"; on {sentence(found, width=240)}"


def _write_letter(path: Path) -> None:
    if path.suffix == ".pdf":
        from verify.report.letter_pdf import write_letter_pdf  # noqa: PLC0415  (matplotlib is slow to import)

        n_pages = write_letter_pdf(letter(), path)
        _tell(f"written: {path} ({n_pages} pages)")
        return
    with atomic_file(path) as file:
        file.write(letter_markdown(letter()).encode())
    _tell(f"written: {path}")


def _write_record(folder: Path) -> None:
    pages = record()
    folder.mkdir(parents=True, exist_ok=True)
    with undisturbed():
        for name, text in pages.items():
            with atomic_file(folder / name) as file:
                file.write(text.encode())
    _tell(f"written: {folder}/ ({len(pages)} files)")


def _tell(text: str) -> None:
    text = text.encode(errors="replace").decode()  # a claim of one's own may hold half a character
    console().print(text, soft_wrap=True, highlight=False, markup=False)
