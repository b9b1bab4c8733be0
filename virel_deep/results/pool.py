"""Pool runs that differ only in their seeds: more seeds of one algorithm, not another algorithm."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from virel_common.errors import InputError, require
from virel_deep.results.read import NotEvaluatedError, Run, lone_steps, read_with_tasks
from virel_deep.results.tasks import environment_facts


def read_pooled(folders: Sequence[Path], *, steps: int | None = None) -> tuple[list[Run], list[str]]:
    """Read runs with the returns in their tasks, pool them, and leave out those that have no evaluation.

    Args:
        folders: run folders.
        steps: environment steps after which evaluations don't count; None: all count.

    Returns:
        Runs as `pooled` gives them, and one sentence for each run that is left out.

    Raises:
        InputError: no folder is given, or one twice; one is not a run folder, a file in it is damaged, or
            no run is left.
    """
    paths = [str(folder.resolve()) for folder in folders]
    require(len(paths) >= 1, "runs", paths, "must name at least one run folder")
    require(len(set(paths)) == len(paths), "runs", paths, "must be different folders")
    read: list[Run] = []
    errors: list[NotEvaluatedError] = []
    for folder in folders:
        try:
            read += read_with_tasks(folder)
        except NotEvaluatedError as error:
            errors.append(error)
    out: list[Run] = []
    for run in pooled(read):
        try:
            out.append(run if steps is None else run.until(steps))
        except NotEvaluatedError as error:
            errors.append(error)
    left_out = [*dict.fromkeys(error.left_out for error in errors)]
    if out:
        return out, left_out
    if len(left_out) == 1:
        raise errors[0]
    raise InputError(f"`runs` must include one with an evaluation; {'; '.join(left_out)}")


def pooled(runs: Sequence[Run]) -> list[Run]:
    """Pool runs with equal preset, environment, its code and settings whose seeds are all different.

    Each joins the first run in the list that it fits. Runs that share a seed stay apart: the same seed twice
    is a repetition, and tells nothing new. Evaluations count at the steps that all runs of a group have. A
    pooled run says in `mixed` how versions and last evaluations of its folders differ.

    Args:
        runs: as `read_run` gives them, in the order that tables keep.

    Returns:
        Runs in the order of their first folders; one that joined no other is unchanged.
    """
    groups: list[list[Run]] = []
    for run in runs:
        mine = next((group for group in groups if all(_fit(run, other) for other in group)), None)
        if mine is None:
            groups.append([run])
        else:
            mine.append(run)
    return [group[0] if len(group) == 1 else _together(group) for group in groups]


def _fit(a: Run, b: Run) -> bool:
    """Whether two runs can be pooled: the same algorithm with different seeds, evaluated at common steps."""
    same = (a.preset, a.env, a.steps, _settings(a)) == (b.preset, b.env, b.steps, _settings(b))
    recorded = a.environment and b.environment  # a run of an earlier version didn't
    same = same and (not recorded or environment_facts(a) == environment_facts(b))
    return same and not set(a.seeds) & set(b.seeds) and bool(np.isin(a.at, b.at).any())


def _settings(run: Run) -> str:
    return json.dumps({**run.settings, "seeds": None}, sort_keys=True, default=str)


def _together(group: Sequence[Run]) -> Run:
    at = sorted(set.intersection(*(set(run.at.tolist()) for run in group)))
    order = np.argsort([seed for run in group for seed in run.seeds])
    seeds = [seed for run in group for seed in run.seeds]
    returns = np.concatenate([run.returns[:, np.isin(run.at, at)] for run in group])
    return replace(
        group[0],
        seeds=tuple(seeds[i] for i in order),
        at=np.array(at),
        returns=returns[order],
        left_out=tuple(line for run in group for line in run.left_out),
        pooled=tuple(run.folder for run in group[1:]),
        mixed=tuple(_mixed(group)),
        cut=tuple(line for run in group for line in run.cut),
    )


def _mixed(group: Sequence[Run]) -> Iterator[str]:
    """Sentences on versions and last evaluations in which pooled runs differ."""
    kinds = {f"version of {name}": [run.versions.get(name) for run in group] for name in _names(group)}
    kinds["last evaluation"] = [str(run.at[-1]) for run in group]
    for what, values in kinds.items():
        if len(set(values)) > 1:
            listed = ", ".join(
                f"{value or 'unknown'} (seeds {', '.join(map(str, run.seeds))})"
                for value, run in zip(values, group, strict=True)
            )
            yield f"its seeds are from {len(group)} folders that differ in their {what}: {listed}"

    steps = [run.at.tolist() for run in group]
    if lone := lone_steps(steps, end=max(set(steps[0]).intersection(*steps))):
        rest = f"from {lone[0]} on, do not count, as some folders lack them"
        yield f"evaluations at {len(lone)} of its steps, {rest}"


def _names(group: Sequence[Run]) -> list[str]:
    return sorted({name for run in group for name in run.versions})
