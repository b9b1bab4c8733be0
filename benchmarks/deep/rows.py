"""What the rows of the design space learn: `python -m benchmarks.deep.rows [TASK ...]`.

Each task is one `virel train` with the settings of its preset in `out/rows`, three seeds. On-policy rows see
normalised observations on InvertedDoublePendulum-v5, `erpg` on Pendulum-v1, too: an option of the run.
Finished tasks are skipped and interrupted ones resumed. `--reached` ends a run once the seeds' last
evaluations reach the goal.
`--table` trains nothing and prints what there is as Markdown.
`python -m benchmarks.archive pack rows` keeps the runs in `results/`.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tyro

from virel_common.errors import InputError
from virel_common.terminal import BAD_INPUT, say
from virel_deep.results.read import Run, read_run

PROG = "python -m benchmarks.deep.rows"
OUT = Path("out/rows")
OFF_POLICY = ("mpo", "rerpi", "mpo-parametric", "sac-iterative", "sql")
ON_POLICY = ("vmpo", "erpg")
EVALUATIONS = 20
"""Evaluations of a run, at equal distances, of three episodes each."""
LOOK = 5.0
"""Seconds between two looks at the evaluations of a run."""
INTERRUPTED = 130
"""Exit status of a run that was interrupted and has saved itself."""


@dataclass(frozen=True)
class Task:
    """A run, and the return that each seed is to reach within its steps."""

    preset: str
    env: str
    steps: int
    goal: float
    options: tuple[str, ...] = ()
    """Options of `virel train` beyond the defaults."""

    @property
    def name(self) -> str:
        """Name of the task and of its run folder."""
        return f"{self.preset}-{self.env}"


TASKS = [
    *[Task(preset, "InvertedPendulum-v5", 20_000, 950.0) for preset in OFF_POLICY],
    *[Task(preset, "InvertedPendulum-v5", 200_000, 950.0) for preset in ON_POLICY],
    *[Task(preset, "CartPole-v1", 50_000, 475.0) for preset in ("sac", "mpo")],
    *[Task(preset, "Pendulum-v1", 20_000, -200.0) for preset in OFF_POLICY],
    Task("vmpo", "Pendulum-v1", 200_000, -200.0),
    Task("erpg", "Pendulum-v1", 200_000, -200.0, ("--normalize",)),
    *[Task(preset, "InvertedDoublePendulum-v5", 200_000, 9000.0, ("--normalize",)) for preset in ON_POLICY],
    *[Task(preset, "InvertedDoublePendulum-v5", 50_000, 9000.0) for preset in OFF_POLICY],
]


@dataclass(frozen=True)
class Options:
    """Train every task in order, or print the table of those that have begun."""

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tasks as PRESET-ENV, such as mpo-Pendulum-v1; none means all."""
    seeds: int = 3
    """Seeds per task."""
    reached: bool = False
    """End a run at the first evaluation at which every seed reaches the goal."""
    table: bool = False
    """Print the table, and train nothing."""


def main() -> int:
    """Train what is missing, or print the table.

    Returns:
        0, or the exit status of the first command that failed; 2 if a task is unknown.
    """
    options = tyro.cli(Options, prog=PROG)
    known = [task.name for task in TASKS]
    if unknown := [name for name in options.tasks if name not in known]:
        say(f"{PROG}: `tasks` must be among {', '.join(known)}; found {', '.join(map(repr, unknown))}")
        return BAD_INPUT
    tasks = [task for task in TASKS if not options.tasks or task.name in options.tasks]
    if options.table:
        print("\n".join(table(tasks)))
        return 0
    for task in tasks:
        done = len(list((OUT / task.name).glob("seed-*/done.json"))) >= options.seeds
        if done or (options.reached and reached(task)):
            continue
        print(f"{task.name}: {task.steps:,} steps, {options.seeds} seeds", flush=True)
        status = _train(task, options)
        if status:
            return status
    return 0


def reached(task: Task) -> bool:
    """Whether the last evaluation of every seed reaches the goal of a task."""
    try:
        returns = read_run(OUT / task.name).returns
    except InputError:
        return False
    return returns.size > 0 and bool((returns[:, -1] >= task.goal).all())


def _train(task: Task, options: Options) -> int:
    """Train a task, or go on with it; exit status, 0 too for a run that was ended at its goal."""
    with subprocess.Popen(_command(task, options.seeds)) as run:
        while options.reached and run.poll() is None:
            if reached(task):
                run.send_signal(signal.SIGINT)  # saves the run
                return 0 if run.wait() in {0, INTERRUPTED} else run.returncode
            time.sleep(LOOK)
        return run.wait()


def table(tasks: list[Task]) -> list[str]:
    """Lines of a Markdown table, one row per task that has an evaluation."""
    columns = ("row", "environment", "steps", "seeds", "means at quarters", "reached at", "last", "goal")
    rule = ("---",) * len(columns)
    return [_row(columns), _row(rule), *(_row(line) for task in tasks for line in _line(task))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(task: Task) -> list[tuple[str, ...]]:
    """Cells of a task's line; no line if it has no evaluation yet."""
    try:
        run = read_run(OUT / task.name)
    except InputError:
        return []
    means, n = run.returns.mean(axis=0), run.at[-1]
    quarters = [means[run.at <= task.steps * q / 4][-1] for q in (1, 2, 3, 4) if n >= task.steps * q / 4]
    return [
        (
            f"`{task.preset}`",
            task.env,
            f"{n:,} of {task.steps:,}",
            str(len(run.seeds)),
            ", ".join(f"{mean:.0f}" for mean in quarters),
            ", ".join(_reached(run, task.goal)),
            ", ".join(f"{x:.0f}" for x in run.returns[:, -1]),
            f"{task.goal:.0f}: {_verdict(run, task)}",
        )
    ]


def _reached(run: Run, goal: float) -> list[str]:
    """First step of each seed at which an evaluation reached the goal, or a dash."""
    return [f"{run.at[of_seed >= goal][0]:,}" if (of_seed >= goal).any() else "-" for of_seed in run.returns]


def _verdict(run: Run, task: Task) -> str:
    """Whether every seed reached the goal, and whether its last evaluation holds it."""
    if not (run.returns >= task.goal).any(axis=1).all():
        return "missed" if run.at[-1] >= task.steps else "not yet"
    return "met" if (run.returns[:, -1] >= task.goal).all() else "reached, not held"


def _command(task: Task, seeds: int) -> list[str]:
    """Command that trains a task, or resumes it if its run folder exists."""
    start, run = [sys.executable, "-m", "virel_common.command", "train", "--jobs", "1"], OUT / task.name
    if (run / "config.json").exists():
        return [*start, "--resume", str(run)]
    what = ["--preset", task.preset, "--env", task.env, "--steps", str(task.steps), "--seeds", str(seeds)]
    every = str(task.steps // EVALUATIONS)
    what += ["--eval-every", every, "--eval-episodes", "3", *task.options]
    return [*start, *what, "--out", str(run)]


if __name__ == "__main__":
    sys.exit(main())
