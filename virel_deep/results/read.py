"""Read the evaluation returns of runs from their folders.

Only `config.json` (`preset`, `env`, `steps`; `algorithm` and `versions` if given) and each seed's
`metrics.jsonl` are read. So runs of other libraries can be compared if they are written in this format.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, require, shown
from virel_common.files import find_object, read_object
from virel_deep.design.environment import labels
from virel_deep.design.records import dotted
from virel_deep.results.statistics import Scores
from virel_deep.run.folder import environment_records, seed_folder
from virel_deep.run.metrics import read_rows

LARGEST = 1e300
"""Bound of returns, whose sums are numbers then."""
LAST = 10
"""Number of last evaluations whose mean is a seed's final score."""
SEED_FOLDER = re.compile(r"seed-(\d+)")


class NotEvaluatedError(InputError):
    """A run without an evaluation that can be compared; `left_out` says which run, and why."""

    def __init__(self, folder: Path, why: str, message: str) -> None:
        """Store the sentence on the run beside the message."""
        super().__init__(message)
        self.left_out = f"{folder} is left out: {why}"
        self._made_of = folder, why, message

    def __reduce__(self) -> tuple[type["NotEvaluatedError"], tuple[Path, str, str], dict[str, Any]]:
        """Make copies by the constructor, as another process does that gets the error; notes go along."""
        return type(self), self._made_of, vars(self)


@dataclass(frozen=True, eq=False)
class Run:
    """Evaluation returns of a run: K seeds, each evaluated at the same T steps."""

    folder: Path
    preset: str
    env: str
    steps: int
    """Environment steps that each seed is to reach."""
    settings: dict[str, Any]
    """Settings of the run and its algorithm, as far as the folder has them."""
    versions: dict[str, str]
    seeds: tuple[int, ...]
    """Seeds that count: they did not fail, and they have evaluations."""
    at: NDArray[np.int64]
    """Steps at which every seed was evaluated, `[T]`."""
    returns: Scores
    """Mean unscaled return of each evaluation's episodes, `[K, T]`."""
    left_out: tuple[str, ...]
    """Reasons why seeds don't count, one per such seed."""
    pooled: tuple[Path, ...] = ()
    """Other run folders that are pooled with this one, which has the first."""
    mixed: tuple[str, ...] = ()
    """Sentences on how the folders differ that this run was pooled from, if they do."""
    cut: tuple[str, ...] = ()
    """Sentences on evaluations that don't count because other seeds have none at their steps."""
    environment: tuple[dict[str, Any], ...] = ()
    """What the environments that it is evaluated in were found to be; empty if the run didn't record it."""
    together: bool = False
    """Whether returns are means over the tasks of a run with several."""

    def final(self) -> Scores:
        """Final score of each seed, `[K]`: the mean of its last 10 evaluations."""
        return means(self.returns[:, -LAST:])

    def area(self) -> Scores:
        """Area under each seed's curve divided by its length, `[K]`: the mean return during training.

        The curve is straight between evaluations: of equally spaced ones, the first and the last count half.
        """
        if len(self.at) == 1:
            return self.returns[:, 0]
        area: Scores = np.trapezoid(self.returns, self.at, axis=1) / (self.at[-1] - self.at[0])
        return area

    def smooth(self, window: int) -> Scores:
        """Moving average of the returns, `[K, T]`: mean of the last `window` evaluations, or all so far."""
        ends = range(1, len(self.at) + 1)
        return np.stack([means(self.returns[:, max(end - window, 0) : end]) for end in ends], axis=1)

    def until(self, steps: int) -> "Run":
        """Copy of a run's returns without the evaluations after `steps` environment steps.

        Raises:
            NotEvaluatedError: the run had no evaluation by then.
        """
        kept = int(np.sum(self.at <= steps))
        if kept == 0:
            rule = f"`steps` must be at least {self.at[0]}, the first evaluation of {self.folder}"
            why = f"its first evaluation is at step {self.at[0]}"
            raise NotEvaluatedError(self.folder, why, f"{rule}; found {steps}")
        return replace(self, steps=min(self.steps, steps), at=self.at[:kept], returns=self.returns[:, :kept])


def means(returns: Scores) -> Scores:
    """Mean `[K]` of each seed's returns `[K, T]`, rounded once, so that equal returns have equal means.

    Rank tests ask whether scores are equal. Sums that are rounded on their way depend on the order of the
    returns, and so would the ties.

    Example:
        >>> one, other = means(np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]))
        >>> one == other, 0.1 + 0.2 + 0.3 == 0.3 + 0.2 + 0.1
        (np.True_, False)
    """
    of_each: Scores = np.array([math.fsum(row) for row in returns]) / returns.shape[1]
    return of_each


def read_with_tasks(folder: Path, *, only: Collection[int] | None = None) -> list[Run]:
    """Read a run, and after it its returns in each of its tasks, as runs in environments of their own.

    Raises:
        InputError: as `read_run`.
    """
    whole = read_run(folder, only=only)
    return [whole, *(read_run(folder, task=name, only=only) for name in _task_names(whole.settings))]


def read_run(folder: Path, *, task: str | None = None, only: Collection[int] | None = None) -> Run:
    """Read the evaluation returns in a run folder; the run may be unfinished.

    Args:
        folder: run folder.
        task: task of several that the returns are of; without it they are means over tasks.
        only: seeds to be read, if they are in the folder; without it all.

    Raises:
        InputError: `folder` is not a run folder, or a file in it is damaged.
        NotEvaluatedError: no seed has an evaluation, or no step has one of every seed.
    """
    document = read_object(folder / "config.json", "`run` must be a run folder; ")
    config = document.get("config")
    require(isinstance(config, dict), f"{folder}/config.json", document, "must have an object `config`")
    assert isinstance(config, dict)
    for name, kind in (("preset", str), ("env", str), ("steps", int)):
        value = config.get(name)
        require(
            type(value) is kind, f"{folder}/config.json: {name}", value, f"must be of type {kind.__name__}"
        )
    evaluations, left_out = _evaluations(folder, task, only)
    if not evaluations:
        why = "; ".join(left_out) or "no seed-<s> folder"
        rule = f"`run` must hold a seed with evaluations ({why})"
        raise NotEvaluatedError(folder, why, f"{rule}; found {str(folder)!r}")
    steps = sorted(set.intersection(*(set(one) for one in evaluations.values())))
    if not steps:
        rule = "`run` must have seeds that were evaluated at the same steps"
        why = "its seeds were evaluated at different steps"
        raise NotEvaluatedError(folder, why, f"{rule}; found {str(folder)!r}")
    algorithm = config.get("algorithm")
    versions = document.get("versions")
    tasks = _task_names(config)
    which = f", {task}" if task else f", mean of {len(tasks)} tasks" if tasks else ""
    return Run(
        folder=folder,
        preset=config["preset"],
        env=f"{config['env']}{which}",
        steps=config["steps"],
        settings={**config, **(dotted(algorithm) if isinstance(algorithm, dict) else {})},
        versions=versions if isinstance(versions, dict) else {},
        seeds=tuple(evaluations),
        at=np.array(steps),
        returns=np.array([[one[step] for step in steps] for one in evaluations.values()], np.float64),
        left_out=() if task else left_out,  # told once
        cut=() if task else tuple(_cut(folder, evaluations, steps[-1])),
        environment=_environment(document, config),
        together=bool(tasks) and task is None,
    )


def _environment(document: dict[str, Any], config: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Records of the environments that a run is evaluated in: the last one, if it has one for that alone."""
    records = environment_records(document)
    return tuple(records[-1:] if config.get("eval_env") is not None else records)


def _task_names(config: dict[str, Any]) -> list[str]:
    """Names of the tasks of a run, from its configuration."""
    return labels(config.get("tasks") or ())


def _evaluations(
    folder: Path, task: str | None, only: Collection[int] | None
) -> tuple[dict[int, dict[int, float]], tuple[str, ...]]:
    """Read each seed's returns by step, in a task or in all, and why other seeds are left out."""
    out: dict[int, dict[int, float]] = {}
    left_out = []
    for seed, path in sorted(seed_folders(folder)):
        if only is not None and seed not in only:
            continue
        if (failure := find_object(path / "failure.json")) is not None:
            left_out.append(
                f"seed {seed} failed at step {failure.get('step')} ({failure.get('what')}) and does not count"
            )
            continue
        metrics = path / "metrics.jsonl"
        rows = read_rows(metrics, "eval") if metrics.exists() else []
        if not rows:
            left_out.append(f"seed {seed} has no evaluation yet")
            continue
        rows = rows if task is None else [row | {"return": row.get("tasks", {}).get(task)} for row in rows]
        out[seed] = {row["step"]: _return(row, metrics) for row in rows}
    return out, tuple(left_out)


def lone_steps(found: Iterable[Iterable[int]], *, end: int) -> list[int]:
    """Steps before `end` at which some of several curves have a value and others lack one, in order.

    Example:
        >>> lone_steps([[10, 20, 30], [10, 30, 40]], end=30)
        [20]
    """
    steps = [set(one) for one in found]
    lone: set[int] = set().union(*steps)
    return sorted(step for step in lone.difference(steps[0].intersection(*steps)) if step < end)


def _cut(folder: Path, evaluations: dict[int, dict[int, float]], end: int) -> Iterator[str]:
    """Sentences on evaluations before and after step `end` that don't count, as some seed lacks them."""
    if lone := lone_steps(evaluations.values(), end=end):
        lacking = [str(seed) for seed, one in evaluations.items() if not set(lone) <= set(one)]
        several = len(lacking) > 1
        why = f"as seed{'s' * several} {', '.join(lacking)} lack{'s' * (not several)} some of them"
        yield f"evaluations at {len(lone)} step{'s' * (len(lone) > 1)} from {lone[0]} on do not count, {why}"
    if max(max(one) for one in evaluations.values()) == end:
        return
    seeds: dict[str, list[str]] = {}
    for seed, one in evaluations.items():
        seeds.setdefault(f"{max(one)}{_rule(folder, seed)}", []).append(str(seed))
    ends = "; ".join(f"seed{'s' * (len(k) > 1)} {', '.join(k)} at {last}" for last, k in seeds.items())
    yield f"cut at step {end}, the last with an evaluation of every seed; curves end: {ends}"


def _rule(folder: Path, seed: int) -> str:
    """Rule that stopped a seed early, as the end of a phrase; empty if none did."""
    rule = (find_object(seed_folder(folder, seed) / "done.json") or {}).get("stopped")
    return f" (stopped: {rule})" if rule else ""


def seed_folders(folder: Path) -> list[tuple[int, Path]]:
    """Folders of seeds in a run folder, which may be missing, each with its seed, in no order."""
    found = [(SEED_FOLDER.fullmatch(path.name), path) for path in folder.glob("seed-*") if path.is_dir()]
    return [(int(match[1]), path) for match, path in found if match]


def _return(row: dict[str, Any], path: Path) -> float:
    value = row.get("return")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        rule = f"must have a `return` of a size below {LARGEST:g}"
        raise InputError(f"{path}: the evaluation at step {row['step']} {rule}; found {shown(value)}")
    return float(value)
