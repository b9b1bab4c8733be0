"""Sub-commands `virel verify` and `virel claims`: check the claims of the VIREL paper, or list them."""

from collections.abc import Sequence
from contextlib import closing
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
from verify.engine import registry
from verify.engine.results import (
    Row,
    as_recorded,
    require_figure_names_differ,
    results_document,
    write_json,
)
from verify.report.headline import headline
from verify.report.page import write_report
from verify.report.tables import claims_markdown, claims_table, findings, verdict_table
from virel_common.engine import Engine, parse_engine, require_reachable
from virel_common.errors import require
from virel_common.machine import available_cpus
from virel_common.terminal import console


@dataclass(frozen=True)
class VerifyOptions:
    """Check claims about the papers and this code numerically; exit with 0 if every verdict is as recorded.

    Exit status: 0 as recorded; 1 a verdict differs, or a correction or a proof fails; 2 bad input; 130
    interrupted.
    """

    claims: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[CLAIM ...]", help_behavior_hint="")
    ] = ()
    """Claim ids as listed by `virel claims`, or .py files with your own claims; none means all on record."""
    all: tyro.conf.FlagCreatePairsOff[bool] = False
    """Check all claims on record, the same as naming none (those about the deep agent with --deep alone)."""
    seed: int = 0
    """Seed of the random instances (MDPs, policies, values) of the checks: one seed, the same instances."""
    out: Path = Path("out/verify")
    """Output folder for results.json, figures, certificates and report.html; created if it does not exist."""
    jobs: int = 2
    """Number of worker processes on this machine, at most one per CPU; with --engine, the cluster decides."""
    engine: str | None = None
    """Cluster that runs the claims: ray://HOST:PORT, ray://auto, ray://local or dask://HOST:PORT; none means
    this machine. All its machines need the same installation and, on a file system that they share with
    this one, the current folder, --out and files with claims of your own (docs/guide/clusters.md)."""
    no_figures: tyro.conf.FlagCreatePairsOff[bool] = False
    """Check the claims without drawing their convergence plots."""
    details: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print instances, errors, bounds, seconds and corrected forms too, in more than 80 columns."""
    deep: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also check the deep agent on exactly solved MDPs; this needs torch, as does naming such a claim."""
    certify: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also prove finite statements (no limits or integrals) in exact or ball arithmetic, on 200 rational
    instances each; `virel recheck` checks the proofs again."""


@dataclass(frozen=True)
class ClaimsOptions:
    """List every claim with its title and the verdict on record."""

    details: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print each claim's source and kind too, in more than 80 columns."""
    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the list of claims as Markdown, as in docs/claims.md, instead of as a terminal table."""


def main_verify(argv: Sequence[str]) -> int:
    """Run `virel verify`: check claims, print verdicts, write `results.json`; return the exit status."""
    return run_command(VerifyOptions, argv, prog="virel verify", run=_verify)


def main_claims(argv: Sequence[str]) -> int:
    """Run `virel claims`: print the table of claims with sources and verdicts; return the exit status."""
    return run_command(ClaimsOptions, argv, prog="virel claims", run=_claims)


def _claims(options: ClaimsOptions) -> int:
    claims = registry.all_claims().values()
    if options.markdown:
        print(claims_markdown(claims), end="")
    else:
        console().print(claims_table(claims, details=options.details))
    return 0


def _verify(options: VerifyOptions) -> int:
    ids, files = _checked_names(options)
    engine = _checked_engine(options)
    page = f"but {options.out}/results.json is written; `virel report --out {options.out}` writes its page"
    with staging_folder(options.out) as staging:
        rows = _checked(options, engine, (ids, files), staging)
        with once_written(page):
            with undisturbed():
                written = _publish(options, rows, staging)
            return _told(options, rows, written)


def _checked(
    options: VerifyOptions, engine: Engine | None, names: tuple[list[str], tuple[Path, ...]], staging: Path
) -> list[Row]:
    """Check the claims, and prove them if asked for; return their rows. Files go to the folder `staging`."""
    ids, files = names
    figures = None if options.no_figures else staging / "figures"
    (staging / "figures").mkdir()
    jobs = min(options.jobs, available_cpus(), len(ids))
    with closing(
        pool.run_rows(ids, seed=options.seed, figures=figures, jobs=jobs, files=files, engine=engine)
    ) as running:
        rows = sorted(with_progress(running, len(ids)), key=lambda row: ids.index(row["id"]))
    require_figure_names_differ(rows)
    return _certified(options, engine, rows, jobs, staging / "certificates") if options.certify else rows


def _told(options: VerifyOptions, rows: list[Row], written: list[str]) -> int:
    """Print what a run found and wrote, write its report, and return the exit status."""
    terminal = console()
    terminal.print(verdict_table(rows, details=options.details))
    terminal.print(findings(rows))
    n_good = sum(map(as_recorded, rows))
    terminal.print(
        f"{n_good} of {len(rows)} claims as recorded", style=None if n_good == len(rows) else "bold red"
    )
    for line in headline(rows):
        terminal.print(line, soft_wrap=True, highlight=False)
    if not options.claims and (n_deep := len(registry.all_claims()) - len(rows)):
        terminal.print(
            f"{n_deep} claims about the deep agent were not run; --deep runs them", highlight=False
        )
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
        has_deep or not options.deep,
        "deep",
        options.claims,
        "must come without claim ids, or with the id of a claim about the deep agent",
    )
    return ids, files


def _checked_engine(options: VerifyOptions) -> Engine | None:
    if options.engine is None:
        return None
    engine = parse_engine(options.engine)
    require_reachable(engine)
    return engine


def _publish(options: VerifyOptions, rows: Sequence[Row], staging: Path) -> list[str]:
    """Move figures and certificates of a run into `--out`, then write `results.json`; return the paths.

    Last, other certificates of earlier runs go: `results.json` is of this one, and `virel recheck` demands
    that it has rows for all files beside it. Until it is written, they belong to the earlier one.
    """
    proofs = {found["file"] for row in rows for found in row.get("certificates", ())}
    written = []
    for name in ("figures", "certificates"):
        folder, paths = options.out / name, sorted((staging / name).glob("[!.]*"))
        paths = [path for path in paths if name == "figures" or path.name in proofs]
        for path in paths:
            folder.mkdir(exist_ok=True)
            path.replace(folder / path.name)
        written += [f"{folder}/ ({len(paths)} files)"] if paths else []
    path = options.out / "results.json"
    write_json(path, results_document(rows, seed=options.seed))
    for old in (options.out / "certificates").glob("*.json"):
        if old.name not in proofs:
            old.unlink()
    return [str(path), *written]
