"""State of a study's jobs, read from their run folders: how far each is, what failed, what it waits for."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virel_deep.run.folder import read_config, seed_folder
from virel_deep.study.jobs import Job, job_folder, prior_job
from virel_deep.study.plan import Study

TAIL = 1 << 16
"""Bytes at the end of `metrics.jsonl` that hold its newest rows."""


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
    """Read the progress and failures of a job, which may be training meanwhile."""
    run = job_folder(out, job)
    rows = {seed: newest_rows(seed_folder(run, seed) / "metrics.jsonl") for seed in study.seeds}
    failures = tuple(filter(None, (_failure(run, seed) for seed in study.seeds)))
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
        finished=is_finished(out, study, job),
        failures=failures,
        seconds=max((row["wall"] for found in rows.values() for row in found), default=0.0),
        steps_per_second=speeds[-1] if speeds else None,
        newest=max(times, default=None),
        stopped=tuple(seed for seed in study.seeds if _done(run, seed) == sys.maxsize),
        waits_for=None if source is None or is_finished(out, study, source) else source.name,
    )


def is_finished(out: Path, study: Study, job: Job) -> bool:
    """Whether every seed of a job has reached the last step or diverged, so that nothing is left to do."""
    run, steps = job_folder(out, job), job.env.length.steps
    return all(_diverged(run, seed) or _done(run, seed) >= steps for seed in study.seeds)


def _diverged(run: Path, seed: int) -> bool:
    failure = _failure(run, seed)
    return failure is not None and failure.what == "diverged"


def newest_rows(path: Path) -> list[dict[str, Any]]:
    """Read the rows near the end of a `metrics.jsonl` file, without the rest; empty if it is missing."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, 2) - TAIL)
            file.seek(start)
            lines = file.read().split(b"\n")[1 if start else 0 : -1]  # no halves at either end
    except OSError:
        return []
    return [row for row in map(_parsed, lines) if row is not None]


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and {"step", "kind", "wall"} <= row.keys() else None


def _failure(run: Path, seed: int) -> Failure | None:
    document = _document(seed_folder(run, seed) / "failure.json")
    if not document:
        return None
    step, what, detail = (document.get(name) for name in ("step", "what", "detail"))
    return Failure(seed, int(step or 0), str(what), str(detail))


def _done(run: Path, seed: int) -> int:
    """Step at which a seed finished training; -1 if it has not, and beyond any if a rule stopped it."""
    document = _document(seed_folder(run, seed) / "done.json")
    return sys.maxsize if "stopped" in document else int(document.get("step", -1))


def all_done(run: Path) -> bool:
    """Whether every seed of a run has recorded that it reached the last step, or that a rule stopped it."""
    config = read_config(run)
    return all(_done(run, seed) >= config.steps for seed in config.seeds)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def unfinished(states: Sequence[JobState]) -> list[Job]:
    """Jobs of a study that are not finished, in the study's order."""
    return [state.job for state in states if not state.finished]
