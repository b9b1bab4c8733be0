"""The commands `virel evaluate`, `compare`, `watch` and `export`: parse options, call the library, print."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_common.terminal import console, run_command, say, tell

if TYPE_CHECKING:
    from virel_deep.run.policy import Policy

Runs = Annotated[
    tuple[Path, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="RUN [RUN ...]", help_behavior_hint="(at least one)"),
]


@dataclass(frozen=True)
class CompareOptions:
    """Compare runs: draw their learning curves and write a table of their scores.

    A run without an evaluation is named and left out.
    Exit status: 0 written; 2 bad input, no run with an evaluation, or a file can't be written.
    """

    runs: Runs
    """Run folders, of finished or unfinished runs; each algorithm is compared with that of the first run."""
    out: Path = Path("out/compare")
    """Folder in which curves.png, curves.svg, curves.csv and table.md are written."""
    steps: int | None = None
    """Compare only the first STEPS environment steps of each run; default: all."""


@dataclass(frozen=True)
class EvaluateOptions:
    """Evaluate the newest policy of each seed: episodes without exploring, unscaled returns.

    Policies are deterministic, but for a planner (smcp), which draws its plans, the same ones at each call.
    Writes RUN/evaluation.json.
    Exit status: 0 every seed evaluated; 1 a seed failed; 2 bad input, or the file can't be written.
    """

    runs: Runs
    """Run folder, or several that differ in their seeds alone; training may still be running."""
    episodes: int = 10
    """Number of episodes; every seed's policy plays the same ones."""
    seed: int = 0
    """Random seed of the evaluation episodes; it is not one of the run's training seeds."""
    best: bool = False
    """Take the policy of each seed's best evaluation, which a run with --keep-best has, not the newest."""


@dataclass(frozen=True)
class WatchOptions:
    """Record a video of one episode of a seed's newest policy, without a screen.

    Exit status: 0 written; 2 bad input, no renderer, or the file can't be written.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder; its training may still be running."""
    seed: int | None = None
    """Seed of the run whose policy is taken; default: the run's first seed."""
    out: Path | None = None
    """Video file to write, .mp4 or .gif; default: RUN/seed-S.mp4, S the seed whose policy is recorded."""
    best: bool = False
    """Take the policy of the seed's best evaluation, which a run with --keep-best has, not the newest."""
    task: str | None = None
    """Task of several to play, by its name such as goal=1, or by its number; default: the first."""


@dataclass(frozen=True)
class ExportOptions:
    """Export a seed's newest policy as an ONNX file, from observations to actions in the environment's range.

    Exit status: 0 written, and onnxruntime computes the same actions; 1 it computes others; 2 bad input, or
    the file can't be written.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run folder that holds the policy."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """ONNX file to write, such as policy.onnx."""
    seed: int | None = None
    """Seed of the run whose policy is taken; default: the run's first seed."""
    best: bool = False
    """Take the policy of the seed's best evaluation, which a run with --keep-best has, not the newest."""


def main_evaluate(argv: Sequence[str]) -> int:
    """`virel evaluate`: evaluate a run's policies, print a table, write a record; return the exit status."""
    return run_command(EvaluateOptions, argv, prog="virel evaluate", run=_evaluate)


def main_watch(argv: Sequence[str]) -> int:
    """`virel watch`: record a video of one episode; return the exit status."""
    return run_command(WatchOptions, argv, prog="virel watch", run=_watch)


def main_export(argv: Sequence[str]) -> int:
    """`virel export`: write a policy as an ONNX file; return the exit status."""
    return run_command(ExportOptions, argv, prog="virel export", run=_export)


def main_compare(argv: Sequence[str]) -> int:
    """`virel compare`: draw learning curves, write and print the table of scores; return the exit status."""
    return run_command(CompareOptions, argv, prog="virel compare", run=_compare)


def _compare(options: CompareOptions) -> int:
    from virel_deep.results.curves import draw  # noqa: PLC0415  (brings matplotlib)
    from virel_deep.results.names import entries  # noqa: PLC0415
    from virel_deep.results.pool import read_pooled  # noqa: PLC0415  (`--help` answers without scipy)
    from virel_deep.results.remarks import remarks  # noqa: PLC0415
    from virel_deep.results.tables import as_markdown, notes_on, overall_table, print_tables, score_table  # noqa: PLC0415

    runs, left_out = read_pooled(options.runs, steps=options.steps)
    for line in left_out:
        say(f"virel compare: {line}")
    named = entries(runs)
    tables = [table for table in (score_table(named), overall_table(named)) if table is not None]
    said = remarks(named)
    paths = [options.out / "table.md"]
    _make_folder(options.out)
    write_atomically(paths[0], as_markdown(tables, [*said, *(f"{line}." for line in left_out)]).encode())
    paths += draw(named, options.out)
    print_tables(tables, [*notes_on(tables), *said])
    tell(f"written: {', '.join(map(str, paths))}")
    return 0


def _evaluate(options: EvaluateOptions) -> int:
    from virel_deep.results.evaluate_run import evaluate_runs, evaluation_table, write_evaluation  # noqa: PLC0415  (torch)
    from virel_deep.results.evaluate_seed import Asked  # noqa: PLC0415
    from virel_deep.run.changes import environment_changes  # noqa: PLC0415

    require(len(options.runs) >= 1, "runs", options.runs, "must name at least one run folder")
    asked = Asked(options.episodes, options.seed, options.best)
    done, failed = evaluate_runs(options.runs, asked, survive=True)
    for change in dict.fromkeys(change for run, _ in done for change in environment_changes(run)):
        say(f"note: {change}; its policy is evaluated in the new one")
    rows = sorted((one for _, of_run in done for one in of_run), key=lambda one: one.seed)
    console().print(evaluation_table(rows))
    for failure in failed:
        say(f"virel evaluate: {failure}")
    for run, of_run in done:
        tell(f"written: {write_evaluation(run, of_run, asked)}")
    return 1 if failed else 0


def _watch(options: WatchOptions) -> int:
    from virel_deep.results import watch  # noqa: PLC0415  (torch)
    from virel_deep.streams import stream  # noqa: PLC0415

    watch.render_headless()
    policy, seed = _policy(options.run, options.seed, best=options.best, task=options.task)
    path = options.out or options.run / f"seed-{seed}.mp4"
    with Console(stderr=True).status("recording") as status:
        video = watch.record(
            policy,
            path,
            stream(0, "after-training"),
            seen=lambda step: status.update(f"recording: step {step}"),
        )
    tell(
        f"{policy.env.id}, seed {seed} after {policy.step} steps: {video.return_:.1f} in {video.steps} steps"
    )
    tell(f"written: {path} ({video.frames} states, {video.fps:g} per second)")
    return 0


def _export(options: ExportOptions) -> int:
    from virel_deep.results.export import export_policy  # noqa: PLC0415  (brings torch)
    from virel_deep.results.onnx_graph import OBSERVATIONS, ExportError  # noqa: PLC0415

    policy, seed = _policy(options.run, options.seed, best=options.best)
    try:
        about = {"run": options.run.resolve().name, "seed": str(seed)}
        difference = export_policy(policy, options.out, about=about)
    except ExportError as error:
        say(f"virel export: {error}")
        return 1
    tell(f"{policy.env.id}, seed {seed} after {policy.step} steps: onnxruntime agrees with the policy")
    tell(f"(largest difference to float64 on {OBSERVATIONS} observations: {difference:.1e})")
    tell(f"written: {options.out}")
    return 0


def _policy(run: Path, seed: int | None, *, best: bool, task: str | None = None) -> tuple["Policy", int]:
    """Load a seed's newest or best policy, by default of the run's first seed; return policy and seed."""
    from virel_deep.run.folder import read_config  # noqa: PLC0415
    from virel_deep.run.policy import load_policy  # noqa: PLC0415

    chosen = read_config(run).seeds[0] if seed is None else seed
    return load_policy(run, chosen, best=best, task=task), chosen


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"`out` must be a writable folder; found {str(folder)!r} ({error.strerror})"
        ) from None
