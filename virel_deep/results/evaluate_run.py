"""Evaluate the newest policy of each seed of a run on the same episodes, and record the returns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_deep.data.environments import EnvironmentFailure, Episode
from virel_deep.results.statistics import Scores, iqm_interval
from virel_deep.run.evaluate import PolicyFailure, evaluate_tasks
from virel_deep.run.folder import read_config, read_together
from virel_deep.run.policy import load_policy
from virel_deep.streams import stream
from virel_deep.versions import run_versions

FILE = "evaluation.json"


@dataclass(frozen=True)
class Evaluated:
    """Evaluation of the newest policy of one seed: its training step and its episodes."""

    seed: int
    step: int
    """Environment steps that the policy was trained for."""
    episodes: list[Episode]
    """Episodes of all tasks, task by task."""
    tasks: Sequence[str] = ()
    """Names of the tasks, each with as many episodes; none where there is one task."""

    @property
    def returns(self) -> Scores:
        """Unscaled return of each episode."""
        return np.array([episode.return_ for episode in self.episodes])

    @property
    def of_tasks(self) -> dict[str, "Evaluated"]:
        """Evaluation in each task alone, by its name; empty where there is one task."""
        n = len(self.episodes) // max(1, len(self.tasks))
        return {
            name: Evaluated(self.seed, self.step, self.episodes[i * n : (i + 1) * n])
            for i, name in enumerate(self.tasks)
        }


def evaluate_run(
    run: Path, *, episodes: int, seed: int, best: bool = False
) -> tuple[list[Evaluated], list[str]]:
    """Evaluate the newest policy of every seed of a run on the same episodes, or the best that it kept.

    Where a run has several tasks, so many episodes are played in each.

    Returns:
        One evaluation per seed, and one sentence per seed that could not be evaluated.

    Raises:
        InputError: `run` is not a run folder, `episodes` is less than 1, or no seed can be evaluated.
    """
    require(episodes >= 1, "episodes", episodes, "must be at least 1")
    require(seed >= 0, "seed", seed, "must not be negative")
    config = read_config(run)
    source = stream(seed, "after-training")
    done, failed = [], []
    for one in config.seeds:
        try:
            policy = load_policy(run, one, best=best)
            played = evaluate_tasks(policy.act, config.eval_specs, source, episodes)
        except (InputError, EnvironmentFailure, PolicyFailure) as error:
            failed.append(f"seed {one}: {error}")
            continue
        done.append(
            Evaluated(one, policy.step, [x for of_task in played for x in of_task], config.task_names)
        )
    if not done:
        raise InputError("; ".join(failed))
    return done, failed


def evaluate_runs(
    runs: Sequence[Path], *, episodes: int, seed: int, best: bool = False
) -> tuple[list[tuple[Path, list[Evaluated]]], list[str]]:
    """Evaluate every seed of several runs that differ in their seeds alone, on the same episodes.

    Returns:
        Each run folder with its evaluations, and one sentence per seed that could not be evaluated.

    Raises:
        InputError: the runs differ otherwise, or as `evaluate_run` does.
    """
    read_together(runs)
    done, failed = [], []
    for run in runs:
        evaluated, missed = evaluate_run(run, episodes=episodes, seed=seed, best=best)
        done.append((run, evaluated))
        failed += [f"{run}, {one}" for one in missed] if len(runs) > 1 else missed
    return done, failed


def write_evaluation(run: Path, done: Sequence[Evaluated], *, seed: int) -> Path:
    """Write the returns of evaluated policies to `RUN/evaluation.json`; return its path."""
    interval = iqm_interval([means(done)])
    document = {
        "format": 1,
        "env": read_config(run).eval_specs[0].id,
        "seed": seed,
        "versions": run_versions(),
        "iqm": interval._asdict(),
        "seeds": [
            {
                "seed": one.seed,
                "step": one.step,
                "returns": [episode.return_ for episode in one.episodes],
                "lengths": [episode.length for episode in one.episodes],
                **({"tasks": {name: float(x.returns.mean()) for name, x in of.items()}} if of else {}),
            }
            for one in done
            for of in [one.of_tasks]
        ],
    }
    path = run / FILE
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
    return path


def means(done: Sequence[Evaluated]) -> Scores:
    """Mean return of each evaluated seed, `[K]`."""
    return np.array([one.returns.mean() for one in done])


def evaluation_table(done: Sequence[Evaluated]) -> Table:
    """Table of evaluated policies, one row per seed, and one per seed and task where there are several."""
    out = Table(title="Deterministic episodes, unscaled returns", title_justify="left", box=box.SIMPLE_HEAD)
    for column in (
        "seed",
        "trained steps",
        "episodes",
        "mean return",
        "sd",
        "lowest",
        "highest",
        "mean length",
    ):
        out.add_column(column, justify="right")
    for one in done:
        out.add_row(str(one.seed), *_numbers(one))
        for name, of_task in one.of_tasks.items():
            out.add_row(f"{one.seed}, {name}", *_numbers(of_task))
    return out


def _numbers(one: Evaluated) -> tuple[str, ...]:
    """Cells of an evaluation: steps, episodes, mean, deviation and range of returns, mean length."""
    x, length = one.returns, np.mean([episode.length for episode in one.episodes])
    spread = f"{x.std(ddof=1):.1f}" if len(x) > 1 else "-"
    numbers = (f"{x.mean():.1f}", spread, f"{x.min():.1f}", f"{x.max():.1f}", f"{length:.1f}")
    return str(one.step), str(len(x)), *numbers
