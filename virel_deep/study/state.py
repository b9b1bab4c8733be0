"""State of a study's jobs, read from their run folders: how far each is, what failed, what it waits for."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from virel_common.errors import require
from virel_common.files import find_object
from virel_deep.run.folder import read_config, seed_folder
from virel_deep.study.jobs import Job, job_folder, prior_job
from virel_deep.study.plan import Study

TAIL = 1 << 16
"""Bytes at the end of `metrics.jsonl` that hold its newest rows, unless a row is longer."""


@dataclass(frozen=True)
class Failure:
    """Failure of one seed before its last step, with its kind and message."""

    seed: int
    step: int
    what: str
    """`diverged`, which would happen again with the same bits, or `environment`, which may not."""
    detail: str


@dataclass(frozen=True)
class JobState:
    """Progress and failures of a study's job, read from its run folder."""

    job: Job
    step: int
    """Last step logged by the slowest seed that did not diverge."""
    finished: bool
    """Whether nothing is left to do, as `is_finished` says."""
    failures: tuple[Failure, ...]
    seconds: float
    """Time spent training, without pauses and without work that a kill undid."""
    steps_per_second: float | None
    """Newest speed of the stacked seeds, in environment steps of each; None before the first row."""
    newest: float | None
    """Time of the newest row, in seconds since the epoch."""
    stopped: tuple[int, ...] = ()
    """Seeds that a rule of the run stopped before the last step."""
    waits_for: str | None = None
    """Unfinished job whose priors this one starts from; None if it may start."""


def job_state(out: Path, study: Study, job: Job) -> JobState:
    """Read the progress and failures of a job, which may be training meanwhile.

    Whether it is finished is read first: what it writes in between can only make it look less finished.

    Raises:
        InputError: `config.json`, or a seed's `done.json` or `failure.json`, is damaged.
    """
    run = job_folder(out, job)
    if (run / "config.json").exists():
        read_config(run)
    finished = is_finished(out, study, job)
    failures = tuple(filter(None, (_failure(run, seed) for seed in study.seeds)))
    rows = {seed: newest_rows(seed_folder(run, seed) / "metrics.jsonl") for seed in study.seeds}
    diverged = {one.seed for one in failures if one.what == "diverged"}
    steps, source = job.env.length.steps, prior_job(study, job)
    last = {seed: max((row["step"] for row in found), default=0) for seed, found in rows.items()}
    speeds = [
        row["steps_per_second"] for found in rows.values() for row in found if "steps_per_second" in row
    ]
    times = [path.stat().st_mtime for path in run.glob("seed-*/metrics.jsonl")]
    return JobState(
        job=job,
        step=min((last[seed] for seed in study.seeds if seed not in diverged), default=steps),
        finished=finished,
        failures=failures,
        seconds=max((row["wall"] for found in rows.values() for row in found), default=0.0),
        steps_per_second=speeds[-1] if speeds else None,
        newest=max(times, default=None),
        stopped=tuple(seed for seed in study.seeds if _done(run, seed) == sys.maxsize),
        waits_for=None if source is None or is_finished(out, study, source) else source.name,
    )


def is_finished(out: Path, study: Study, job: Job) -> bool:
    """Whether every seed of a job has reached the last step or diverged, so that nothing is left to do.

    A seed that failed otherwise, be it after the last step, has no score and is not finished.
    """
    run, steps = job_folder(out, job), job.env.length.steps
    return all(_ended(run, seed, steps) for seed in study.seeds)


def _ended(run: Path, seed: int, steps: int) -> bool:
    """Whether nothing is left to do for one seed of a job."""
    failure = _failure(run, seed)
    return _done(run, seed) >= steps if failure is None else failure.what == "diverged"


def newest_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows near the end of a `metrics.jsonl` file, without the rest; empty if it is missing.

    At least one row is read if there is one, however long it is.
    """
    try:
        with path.open("rb") as file:
            end, size = file.seek(0, 2), TAIL
            while not (rows := _rows_between(file, max(0, end - size), end)) and size < end:
                size *= 2
            return rows
    except OSError:
        return []


def _rows_between(file: BinaryIO, start: int, end: int) -> list[dict[str, Any]]:
    """Rows of a `metrics.jsonl` file between two places in it, without halves at either end."""
    file.seek(start)
    lines = file.read(end - start).split(b"\n")[1 if start else 0 : -1]
    return [row for row in map(_parsed, lines) if row is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and _is_row(row) else None


def _is_row(row: Mapping[str, Any]) -> bool:
    """Whether a row of `metrics.jsonl` has a step, a kind and valid times."""
    times = (row.get("wall"), row.get("steps_per_second", 0.0))
    return "kind" in row and type(row.get("step")) is int and all(type(one) in {int, float} for one in times)


def _failure(run: Path, seed: int) -> Failure | None:
    path = seed_folder(run, seed) / "failure.json"
    document = find_object(path)
    if document is None:
        return None
    step, what, detail = (document.get(name) for name in ("step", "what", "detail"))
    require(type(step) is int, f"{path}: step", step, "must be a whole number")
    require(isinstance(what, str), f"{path}: what", what, "must be text")
    return Failure(seed, int(step or 0), str(what), str(detail))


def _done(run: Path, seed: int) -> int:
    """Step at which a seed finished training; -1 if it has not, and beyond any if a rule stopped it."""
    path = seed_folder(run, seed) / "done.json"
    document = find_object(path)
    if document is None:
        return -1
    step = document.get("step")
    require(type(step) is int, f"{path}: step", step, "must be a whole number")
    return sys.maxsize if "stopped" in document else int(step or 0)


def all_done(run: Path) -> bool:
    """Whether every seed of a run has recorded that it reached the last step, or that a rule stopped it."""
    config = read_config(run)
    return all(_done(run, seed) >= config.steps for seed in config.seeds)


def unfinished(states: Sequence[JobState]) -> list[Job]:
    """Jobs of a study that are not finished, in the study's order."""
    return [state.job for state in states if not state.finished]
