"""The learning runs: `python -m benchmarks.deep.learning [TASK ...]`.

Each task is one `virel train` of three seeds under out/learning. Finished ones are kept in results/runs,
without episode rows and checkpoints, and passed over; interrupted ones are resumed. So the command can be
stopped and started at will, and a later clone goes on where this one stopped.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

OUT = Path("out/learning")
KEPT = Path(__file__).parent / "results/runs"
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
    """PRESET-ENV, like sac-HalfCheetah-v5; none means all."""
    jobs: int = 1
    """Processes a task."""
    seeds: int = 3


def main() -> int:
    """Run; the exit status is that of the first command that failed or was interrupted."""
    options = tyro.cli(Options)
    for env, preset, steps in TASKS:
        name = f"{preset}-{env}"
        if options.tasks and name not in options.tasks:
            continue
        run = OUT / name
        if len(list((KEPT / name).glob("seed-*/done.json"))) >= options.seeds:
            continue
        print(f"{name}: {steps:,} steps, {options.seeds} seeds", flush=True)
        status = subprocess.run(_command(env, preset, steps, run, options), check=False).returncode
        if status:
            return status
        _keep(run)
    return 0


def _keep(run: Path) -> None:
    """Copy what `virel compare` reads of a finished run."""
    for path in (run / "config.json", *run.glob("seed-*/done.json"), *run.glob("seed-*/metrics.jsonl")):
        kept = KEPT / path.relative_to(OUT)
        kept.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True)
        kept.write_text("".join(line for line in lines if '"kind": "episode"' not in line))


def _command(env: str, preset: str, steps: int, run: Path, options: Options) -> list[str]:
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
