"""`virel verify` and `virel claims`."""

import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from verify.commands import pool
from verify.commands.terminal import console, parse, staging_folder, with_progress
from verify.engine import registry
from verify.engine.results import (
    Row,
    as_recorded,
    require_figure_names_differ,
    results_document,
    sigterm_interrupts,
    write_json,
)
from verify.report.page import write_report
from verify.report.tables import claims_markdown, claims_table, findings, verdict_table
from virel_common import errors
from virel_common.engine import Engine, parse_engine, require_reachable
from virel_theory.checks import InputError, require


@dataclass(frozen=True)
class VerifyOptions:
    """Check claims of the VIREL paper; exit 0 iff every verdict is the one on record.

    Exit status: 0 as recorded; 1 a verdict differs, or a correction fails; 2 bad input; 130 interrupted.
    """

    claims: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CLAIM")] = ()
    """Ids as `virel claims` lists them, or .py files with claims of your own; none means all on record."""
    all: tyro.conf.FlagCreatePairsOff[bool] = False
    """All claims, the same as naming none."""
    seed: int = 0
    """Of the random instances: the same seed draws the same ones."""
    out: Path = Path("out/verify")
    """Folder for results.json, figures and report.html."""
    jobs: int = 2
    """Worker processes on this machine, at most as many as there are CPUs; a cluster has its own number."""
    engine: str | None = None
    """Cluster that runs the claims: ray://HOST:PORT, ray://auto, ray://local or dask://HOST:PORT; none means
    this machine. All its machines need the same installation and, on a file system that they share with
    this one, the current folder, --out and files with claims of your own (docs/guide/clusters.md)."""
    no_figures: tyro.conf.FlagCreatePairsOff[bool] = False
    """Do not compute and draw the convergence figures."""
    deep: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also the claims that the deep agent computes the exact objects; they need torch. So does naming one."""
    certify: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also prove finite statements on 200 rational instances each; `virel recheck` checks the proofs."""


@dataclass(frozen=True)
class ClaimsOptions:
    """List every claim with its source and the verdict on record."""

    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """As the Markdown table of docs/claims.md."""


def main_verify(argv: Sequence[str]) -> int:
    """Run claims, print the table, write `results.json` and figures; return the exit status."""
    options = parse(VerifyOptions, argv, prog="virel verify")
    if isinstance(options, int):
        return options
    try:
        ids, files = _checked_names(options)
        engine = _checked_engine(options)
        with sigterm_interrupts(), staging_folder(options.out) as staging:
            return _verify(options, engine, (ids, files), staging)
    except (InputError, errors.InputError) as error:
        print(f"virel verify: {error}", file=sys.stderr)
        return 2
    except BrokenExecutor as error:
        print(f"virel verify: {error}; nothing written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("virel verify: interrupted, nothing written", file=sys.stderr)
        return 130


def main_claims(argv: Sequence[str]) -> int:
    """Print the table of claims; return the exit status."""
    options = parse(ClaimsOptions, argv, prog="virel claims")
    if isinstance(options, int):
        return options
    claims = registry.all_claims().values()
    if options.markdown:
        print(claims_markdown(claims), end="")
    else:
        console().print(claims_table(claims))
    return 0


def _verify(
    options: VerifyOptions, engine: Engine | None, names: tuple[list[str], tuple[Path, ...]], staging: Path
) -> int:
    ids, files = names
    figures = None if options.no_figures else staging / "figures"
    (staging / "figures").mkdir()
    jobs = min(options.jobs, pool.available_cpus(), len(ids))
    with closing(
        pool.run_rows(ids, seed=options.seed, figures=figures, jobs=jobs, files=files, engine=engine)
    ) as running:
        rows = sorted(with_progress(running, len(ids)), key=lambda row: ids.index(row["id"]))
    require_figure_names_differ(rows)
    if options.certify:
        rows = _certified(options, engine, rows, jobs, staging / "certificates")
    written = _publish(options, rows, staging)
    terminal = console()
    terminal.print(verdict_table(rows))
    terminal.print(findings(rows))
    n_good = sum(map(as_recorded, rows))
    terminal.print(
        f"{n_good} of {len(rows)} claims as recorded", style=None if n_good == len(rows) else "bold red"
    )
    if not options.claims and (n_deep := len(registry.all_claims()) - len(ids)):
        terminal.print(f"{n_deep} deep claims not run: --deep", highlight=False)
    terminal.print(f"written: {', '.join(written)}", soft_wrap=True, highlight=False)
    terminal.print(f"report: {write_report(options.out)}", soft_wrap=True, highlight=False)
    return 0 if n_good == len(rows) else 1


def _certified(
    options: VerifyOptions, engine: Engine | None, rows: list[Row], jobs: int, folder: Path
) -> list[Row]:
    from verify.proofs import rows as certificates  # noqa: PLC0415  (python-flint, only if asked for)

    ids = certificates.certifiable(rows)
    jobs = max(1, min(jobs, len(ids)))
    with closing(
        pool.run_rows(ids, seed=options.seed, figures=folder, jobs=jobs, task="certify_row", engine=engine)
    ) as running:
        out = certificates.entered(rows, list(with_progress(running, len(ids))))
    console().print(certificates.summary(out), soft_wrap=True, highlight=False)
    return out


def _checked_names(options: VerifyOptions) -> tuple[list[str], tuple[Path, ...]]:
    require(
        not (options.all and options.claims), "all", options.claims, "must not be combined with claim ids"
    )
    require(options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
    require(options.seed >= 0, "seed", options.seed, "must not be negative")
    ids, files = registry.resolve(options.claims, deep=options.deep)
    has_deep = any(claim.deep for claim in registry.select(ids, files))
    require(
        has_deep or not options.deep, "deep", options.claims, "must stand alone, or with a deep claim's id"
    )
    return ids, files


def _checked_engine(options: VerifyOptions) -> Engine | None:
    if options.engine is None:
        return None
    engine = parse_engine(options.engine)
    require_reachable(engine)
    return engine


def _publish(options: VerifyOptions, rows: Sequence[Row], staging: Path) -> list[str]:
    """Move figures and certificates to their place, then write `results.json`; return what was written."""
    written = []
    for name in ("figures", "certificates"):
        folder, paths = options.out / name, sorted((staging / name).glob("[!.]*"))
        for path in paths:
            folder.mkdir(exist_ok=True)
            path.replace(folder / path.name)
        written += [f"{folder}/ ({len(paths)} files)"] if paths else []
    path = options.out / "results.json"
    write_json(path, results_document(rows, seed=options.seed))
    return [str(path), *written]
