"""Evaluate the newest policy of each seed of a run on the same episodes, and record the returns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from virel_common.errors import InputError, require
from virel_common.files import write_json
from virel_deep.data.functions import found_elsewhere
from virel_deep.results.evaluate_apart import evaluate_apart
from virel_deep.results.evaluate_seed import Asked, Evaluated, evaluate_seed
from virel_deep.results.statistics import Scores, iqm_interval
from virel_deep.run.folder import read_config, read_together
from virel_deep.versions import run_versions

FILE = "evaluation.json"


def _outcomes(run: Path, asked: Asked, *, survive: bool) -> tuple[list[Evaluated], list[str]]:
    """Evaluations of a run's seeds, which may be none, and a sentence on each other seed."""
    require(asked.episodes >= 1, "episodes", asked.episodes, "must be at least 1")
    require(asked.seed >= 0, "seed", asked.seed, "must not be negative")
    config = read_config(run)
    if survive and any(found_elsewhere(env.id) for env in config.eval_specs):
        outcomes = evaluate_apart(run, config, asked)
    else:
        outcomes = [evaluate_seed(run, config, seed, asked) for seed in config.seeds]
    done = [one for one in outcomes if isinstance(one, Evaluated)]
    return done, [one for one in outcomes if isinstance(one, str)]


def evaluate_runs(
    runs: Sequence[Path], asked: Asked, *, survive: bool = False
) -> tuple[list[tuple[Path, list[Evaluated]]], list[str]]:
    """Evaluate the newest policy of every seed of runs that differ in their seeds alone, or the best it kept.

    All play the same episodes, so many in each task where a run has several.

    Args:
        runs: run folders.
        asked: episodes to play.
        survive: whether environments from outside of Gymnasium play in another process, which they may end.

    Returns:
        Each run folder of which a seed was evaluated with its evaluations, and one sentence per seed that
        could not be evaluated.

    Raises:
        InputError: a path is no run folder, the runs differ otherwise, `episodes` is less than 1, or no seed
            of any can be evaluated.
    """
    read_together(runs)
    done, failed = [], []
    for run in runs:
        evaluated, missed = _outcomes(run, asked, survive=survive)
        done += [(run, evaluated)] if evaluated else []
        failed += [f"{run}, {one}" for one in missed] if len(runs) > 1 else missed
    if not done:
        raise InputError("; ".join(failed))
    return done, failed


def write_evaluation(run: Path, done: Sequence[Evaluated], asked: Asked) -> Path:
    """Write what was asked and the returns of the policies to `RUN/evaluation.json`; return its path."""
    interval = iqm_interval([means(done)])
    document = {
        "format": 1,
        "env": read_config(run).eval_specs[0].id,
        "seed": asked.seed,
        "best": asked.best,
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
    write_json(path, document)
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
