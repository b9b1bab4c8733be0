"""Runs that `docs/benchmarks/learning.md` reports: `python -m benchmarks.deep.learning [TASK ...]`.

Each task is one `virel train` of three seeds in `out/learning`. Finished tasks are skipped and interrupted
ones resumed, so the command can be stopped and started at will. `python -m benchmarks.archive pack learning`
keeps the finished ones in `results/`. A later clone unpacks them first, and continues where this one stopped.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

OUT = Path("out/learning")
PENDULUMS = ("InvertedDoublePendulum-v5", "InvertedPendulum-v5")
RUNNERS = ("HalfCheetah-v5", "Hopper-v5")
TASKS = [
    *[(env, preset, 50_000) for env in PENDULUMS for preset in ("sac", "virel-twin", "beta-twin")],
    *[(env, "sb3-sac", 30_000) for env in ("InvertedDoublePendulum-v5", "HalfCheetah-v5")],
    *[
        (env, preset, 100_000)
        for env in RUNNERS
        for preset in ("sac", "beta", "virel", "beta-twin", "virel-twin")
    ],
]


@dataclass(frozen=True)
class Options:
    """Train every task in order, three seeds each."""

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tasks as PRESET-ENV, such as sac-HalfCheetah-v5; none means all."""
    jobs: int = 1
    """Processes per task."""
    seeds: int = 3
    """Seeds per task."""


def main() -> int:
    """Train what is missing; exit with the status of the first command that failed or was interrupted."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.learning")
    for env, preset, steps in TASKS:
        name = f"{preset}-{env}"
        if options.tasks and name not in options.tasks:
            continue
        run = OUT / name
        if len(list(run.glob("seed-*/done.json"))) >= options.seeds:
            continue
        print(f"{name}: {steps:,} steps, {options.seeds} seeds", flush=True)
        status = subprocess.run(_command(env, preset, steps, run, options), check=False).returncode
        if status:
            return status
    return 0


def _command(env: str, preset: str, steps: int, run: Path, options: Options) -> list[str]:
    """Command that trains a task, or resumes it if its run folder exists."""
    if preset == "sb3-sac":
        start = [sys.executable, "-m", "benchmarks.deep.sb3", "--env", env, "--out", str(run)]
        return [*start, "--steps", str(steps), "--seeds", str(options.seeds)]
    start = [sys.executable, "-m", "virel_common.command", "train", "--jobs", str(options.jobs)]
    if (run / "config.json").exists():
        return [*start, "--resume", str(run)]
    what = ["--preset", preset, "--env", env, "--steps", str(steps), "--seeds", str(options.seeds)]
    return [*start, *what, "--out", str(run)]


if __name__ == "__main__":
    sys.exit(main())
