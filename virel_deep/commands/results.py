"""`virel evaluate`, `compare`, `watch` and `export`: parse, call, print."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import tyro
from rich.console import Console

from virel_common.errors import InputError, require
from virel_common.files import StorageError, write_atomically

if TYPE_CHECKING:
    from virel_deep.run.policy import Policy

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
    steps: int | None = None
    """Look at this many steps of each run and leave out the rest; default all."""


@dataclass(frozen=True)
class EvaluateOptions:
    """Evaluate the newest policy of each seed: deterministic episodes, unscaled returns.

    Writes RUN/evaluation.json. Exit status: 0 every seed; 1 some seed could not be evaluated; 2 bad input.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder; training may go on meanwhile."""
    episodes: int = 10
    """How many, the same ones for each seed's policy."""
    seed: int = 0
    """Of the episodes."""


@dataclass(frozen=True)
class WatchOptions:
    """Record an episode of the newest policy of a seed, without a screen.

    Exit status: 0 written; 1 not writable; 2 bad input, or no renderer.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder; training may go on meanwhile."""
    seed: int | None = None
    """Which of the run's seeds; default its first."""
    out: Path | None = None
    """Video to write, .mp4 or .gif; default RUN/seed-<s>.mp4."""


@dataclass(frozen=True)
class ExportOptions:
    """Export the newest policy of a seed as ONNX: observations to actions in the environment's range.

    Exit status: 0 written, and onnxruntime computes the same; 1 it does not, or not writable; 2 bad input.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """File to write, like policy.onnx."""
    seed: int | None = None
    """Which of the run's seeds; default its first."""


def main_evaluate(argv: Sequence[str]) -> int:
    """Evaluate a run's policies, print the table, write the record; return the exit status."""
    return _run(EvaluateOptions, argv, "virel evaluate", _evaluate)


def main_watch(argv: Sequence[str]) -> int:
    """Record a video; return the exit status."""
    return _run(WatchOptions, argv, "virel watch", _watch)


def main_export(argv: Sequence[str]) -> int:
    """Write an ONNX file; return the exit status."""
    return _run(ExportOptions, argv, "virel export", _export)


def main_compare(argv: Sequence[str]) -> int:
    """Read runs, draw their curves, write and print their table; return the exit status."""
    return _run(CompareOptions, argv, "virel compare", _compare)


def _compare(options: CompareOptions) -> int:
    from virel_deep.results.curves import draw  # noqa: PLC0415  (brings matplotlib)
    from virel_deep.results.pool import pooled  # noqa: PLC0415
    from virel_deep.results.read import read_run  # noqa: PLC0415  (`--help` answers without scipy)
    from virel_deep.results.tables import as_markdown, as_rich, entries, overall_table, remarks, score_table  # noqa: PLC0415

    folders = [str(path.resolve()) for path in options.runs]
    require(len(folders) >= 1, "runs", folders, "must name a run folder")
    require(len(set(folders)) == len(folders), "runs", folders, "must differ")
    runs = pooled([read_run(path) for path in options.runs])
    named = entries(runs if options.steps is None else [run.until(options.steps) for run in runs])
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
    _say(f"written: {', '.join(map(str, paths))}")
    return 0


def _evaluate(options: EvaluateOptions) -> int:
    from virel_deep.results.evaluate_run import evaluate_run, evaluation_table, write_evaluation  # noqa: PLC0415  (torch)

    done, failed = evaluate_run(options.run, episodes=options.episodes, seed=options.seed)
    console().print(evaluation_table(done))
    for failure in failed:
        sys.stderr.write(f"virel evaluate: {failure}\n")
    _say(f"written: {write_evaluation(options.run, done, seed=options.seed)}")
    return 1 if failed else 0


def _watch(options: WatchOptions) -> int:
    from virel_deep.results import watch  # noqa: PLC0415  (torch)
    from virel_deep.streams import stream  # noqa: PLC0415

    watch.render_headless()
    policy, seed = _policy(options.run, options.seed)
    path = options.out or options.run / f"seed-{seed}.mp4"
    with Console(stderr=True).status("recording") as status:
        video = watch.record(
            policy,
            path,
            stream(0, "after-training"),
            seen=lambda step: status.update(f"recording: step {step}"),
        )
    _say(f"{policy.env}, seed {seed} after {policy.step} steps: {video.return_:.1f} in {video.steps} steps")
    _say(f"written: {path} ({video.frames} states, {video.fps:g} a second)")
    return 0


def _export(options: ExportOptions) -> int:
    from virel_deep.results.export import OBSERVATIONS, ExportError, export_policy  # noqa: PLC0415  (torch)

    policy, seed = _policy(options.run, options.seed)
    try:
        about = {"run": options.run.resolve().name, "seed": str(seed)}
        difference = export_policy(policy, options.out, about=about)
    except ExportError as error:
        sys.stderr.write(f"virel export: {error}\n")
        return 1
    _say(f"{policy.env}, seed {seed} after {policy.step} steps: onnxruntime agrees with the policy")
    _say(f"(largest difference to float64 on {OBSERVATIONS} observations: {difference:.1e})")
    _say(f"written: {options.out}")
    return 0


def _policy(run: Path, seed: int | None) -> tuple["Policy", int]:
    """The newest policy of a seed, by default of the run's first."""
    from virel_deep.run.folder import read_config  # noqa: PLC0415
    from virel_deep.run.policy import load_policy  # noqa: PLC0415

    chosen = read_config(run).seeds[0] if seed is None else seed
    return load_policy(run, chosen), chosen


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"`out` must be a writable folder; found {str(folder)!r} ({error.strerror})"
        ) from None


def _say(line: str) -> None:
    """One line, not wrapped: paths stay whole."""
    sys.stdout.write(f"{line}\n")


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
