"""Jobs of a study: one resumable run folder per arm and environment, with all seeds stacked."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from virel_common.errors import InputError, require
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import PRESETS, run_config
from virel_deep.design.records import dotted, encode
from virel_deep.design.run import Precision, RunConfig
from virel_deep.run.folder import read_config, seed_folder, set_steps, write_config
from virel_deep.study.plan import Arm, Study, arm_algorithm

LOG_EVERY = 1000
MAY_GROW = {"steps", "seeds"}
"""What an amendment may raise in a run that has begun; everything else would make it another run."""
TAIL = 1 << 16
"""Bytes at the end of `metrics.jsonl` that hold its newest rows."""


@dataclass(frozen=True)
class Job:
    """One arm of a study in one environment, trained in one run folder."""

    number: int
    """Place in the study's order, from 0: what `--job` takes."""
    arm: Arm
    env: str

    @property
    def name(self) -> str:
        """Name of the job in messages, and of its folder in `OUT/jobs`."""
        return f"{self.arm.name}-{self.env.replace('/', '-')}"


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
    """Whether every seed has reached the last step or diverged, so that nothing is left to do."""
    failures: tuple[Failure, ...]
    seconds: float
    """Time spent training, without pauses and without work that a kill undid."""
    steps_per_second: float | None
    """Newest speed of the stacked seeds, in environment steps of each; None before the first row."""
    newest: float | None
    """Time of the newest row, in seconds since the epoch."""


def jobs_of(study: Study) -> list[Job]:
    """List all jobs of a study, environment by environment, so that the first ones can be compared early."""
    pairs = [(arm, env) for env in study.environments for arm in study.arms.values()]
    return [Job(number, arm, env) for number, (arm, env) in enumerate(pairs)]


def job_folder(out: Path, job: Job) -> Path:
    """Run folder of a job, `OUT/jobs/ARM-ENV`."""
    return out / "jobs" / job.name


def job_config(study: Study, job: Job, precision: Precision = "highest") -> RunConfig:
    """Configuration of a job's run, as `virel train` would write it.

    Raises:
        InputError: preset, setting or size that breaks a rule; the message names the arm.
    """
    try:
        return run_config(
            job.arm.preset,
            job.env,
            algorithm=arm_algorithm(study, job.arm, job.env),
            steps=study.steps,
            seeds=study.seeds,
            eval_every=study.evaluate_every,
            eval_episodes=study.evaluation_episodes,
            log_every=min(LOG_EVERY, study.steps),
            checkpoint_every=study.checkpoint_every,
            precision=precision,
            **study.run,
        )
    except InputError as error:
        raise InputError(f"arms.{job.arm.name}: {error}") from None


def check_jobs(study: Study, place: str) -> list[Job]:
    """List the jobs of a study, after checking that every preset, setting and environment exists.

    Raises:
        InputError: an arm or environment does not exist; `place`, the study file, begins the message.
    """
    from virel_deep.data.first_look import first_look  # noqa: PLC0415  (brings MuJoCo)

    jobs = jobs_of(study)
    for arm in study.arms.values():  # before any setting: a preset that is missing brings its settings along
        rule = f"must be one of {', '.join(PRESETS)}"
        require(arm.preset in PRESETS, f"{place}: arms.{arm.name}.preset", arm.preset, rule)
    try:
        for job in jobs:
            job_config(study, job)
        for job in jobs[:: len(study.arms)]:  # one of each environment
            first_look(job_config(study, job))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    return jobs


def prepare(out: Path, study: Study, job: Job, precision: Precision) -> Path:
    """Write a job's `config.json`, or raise the step goal of a run that has begun; return the run folder.

    Raises:
        InputError: the run that stands there is not this job's.
        StorageError: the folder can't be written.
    """
    folder, config = job_folder(out, job), job_config(study, job, precision)
    if not (folder / "config.json").exists():
        write_config(folder, config)
        return folder
    check_continues(folder, config)
    found = read_config(folder)
    if found.steps < config.steps or set(found.seeds) < set(config.seeds):
        set_steps(folder, config.steps, config.seeds)
    return folder


def check_continues(folder: Path, config: RunConfig) -> None:
    """Raise `InputError` unless the run in a folder can be continued as `config`."""
    found = read_config(folder)
    fix = "; name a new arm, or choose another --out"
    for field in fields(RunConfig):
        was, now = getattr(found, field.name), getattr(config, field.name)
        same = was == now or field.name in MAY_GROW
        rule = f"must stay as it was when the run in {folder} began: {_short(was, now)}{fix}"
        require(same, field.name, _short(now, was), rule)
    rule = f"must not be fewer than the {found.steps} of the run in {folder}{fix}"
    require(found.steps <= config.steps, "steps", config.steps, rule)
    rule = f"must include {list(found.seeds)}, those of the run in {folder}{fix}"
    require(set(found.seeds) <= set(config.seeds), "seeds", list(config.seeds), rule)


def _short(value: Any, other: Any) -> Any:
    """Shorten a value for an error message: of an algorithm, only settings that differ from `other`."""
    if not isinstance(value, Algorithm):
        return value
    mine, theirs = dotted(encode(value)), dotted(encode(other))
    return ", ".join(f"{name}={x!r}" for name, x in mine.items() if theirs.get(name) != x)


def job_state(out: Path, study: Study, job: Job) -> JobState:
    """Read the progress and failures of a job, which may be training meanwhile."""
    run = job_folder(out, job)
    rows = {seed: newest_rows(seed_folder(run, seed) / "metrics.jsonl") for seed in study.seeds}
    failures = tuple(filter(None, (_failure(run, seed) for seed in study.seeds)))
    diverged = {one.seed for one in failures if one.what == "diverged"}
    ended = [seed for seed in study.seeds if seed in diverged or _done(run, seed) >= study.steps]
    last = {seed: max((row["step"] for row in found), default=0) for seed, found in rows.items()}
    speeds = [
        row["steps_per_second"] for found in rows.values() for row in found if "steps_per_second" in row
    ]
    times = [path.stat().st_mtime for path in run.glob("seed-*/metrics.jsonl")]
    return JobState(
        job=job,
        step=min((last[seed] for seed in study.seeds if seed not in diverged), default=study.steps),
        finished=len(ended) == len(study.seeds),
        failures=failures,
        seconds=max((row["wall"] for found in rows.values() for row in found), default=0.0),
        steps_per_second=speeds[-1] if speeds else None,
        newest=max(times, default=None),
    )


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
