"""Tables for the terminal: a study's jobs with their expected time, and the progress of each."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from heapq import heappop, heappush

from virel_deep.results.tables import ScoreTable
from virel_deep.study.decide import power_note, short_note
from virel_deep.study.jobs import Job, prior_job
from virel_deep.study.plan import Study
from virel_deep.study.probe import Speed
from virel_deep.study.state import JobState


def plan_table(study: Study, jobs: Sequence[Job], speeds: Mapping[str, Speed]) -> ScoreTable:
    """Table of a study's jobs with their numbers, and expected times if they were measured."""
    rows = []
    for job in jobs:
        speed = speeds.get(job.name)
        hours = f"{speed.core_hours(job.env.length):.2f}" if speed else "-"
        times = (f"{1000 * speed.step:.2f}" if speed else "-", hours)
        source = prior_job(study, job)
        arm = job.arm.name if source is None else f"{job.arm.name}, after job {source.number}"
        size = (str(len(study.seeds)), f"{job.env.length.steps:,}")
        rows.append((str(job.number), arm, job.env.name, *size, *times))
    columns = ("job", "arm", "environment", "seeds", "steps", "ms per step", "core hours")
    return ScoreTable(study.title, columns, rows)


def plan_notes(study: Study, jobs: Sequence[Job], speeds: Mapping[str, Speed], cores: int) -> list[str]:
    """Notes below a study's plan: total time against the budget, and which hypotheses can be decided."""
    notes = [power_note(study, one) for one in study.hypotheses]
    notes += filter(None, (short_note(study, one) for one in study.hypotheses))
    if not speeds:
        return [*notes, "Times were not measured (--no-probe)."]
    hours = {job.name: speeds[job.name].core_hours(job.env.length) for job in jobs}
    total = sum(hours.values())
    wall = _end(study, jobs, hours, cores)
    notes.append(
        f"Expected: {total:.2f} core hours, about {wall:.2f} hours on {cores} core{'s' * (cores > 1)}."
    )
    if study.core_hours is not None:
        share = f"the budget of {study.core_hours:g} core hours"
        excess = total - study.core_hours
        notes.append(
            f"It fits {share}." if excess <= 0 else f"It does not fit {share}: {excess:.2f} too many."
        )
    return notes


def _end(study: Study, jobs: Sequence[Job], hours: Mapping[str, float], cores: int) -> float:
    """Time at which the last job ends if every free core takes the first job that may start."""
    free, waiting = [0.0] * cores, list(jobs)
    ends: dict[str, float] = {}
    sources = {job.name: prior_job(study, job) for job in jobs}
    while waiting:
        now = heappop(free)
        ready = [
            (max(now, 0.0 if source is None else ends[source.name]), job)
            for job in waiting
            if (source := sources[job.name]) is None or source.name in ends
        ]
        start, job = min(ready, key=lambda one: one[0])  # of several the first
        waiting.remove(job)
        ends[job.name] = start + hours[job.name]
        heappush(free, ends[job.name])
    return max(ends.values())


def status_table(study: Study, states: Sequence[JobState]) -> ScoreTable:
    """Table of the progress of a study's jobs, and the core time that each still needs at its own speed."""
    rows = [
        (
            str(one.job.number),
            one.job.name,
            _state(one),
            f"{min(one.step, one.job.env.length.steps):,} of {one.job.env.length.steps:,}",
            _remaining(one),
            _newest(one),
        )
        for one in states
    ]
    columns = ("job", "name", "state", "steps", "core time left", "newest row")
    return ScoreTable(study.title, columns, rows)


def status_notes(states: Sequence[JobState], damaged: Sequence[str] = ()) -> list[str]:
    """Notes below a study's status: a line per failed seed and damaged job, and how many are finished."""
    notes = [
        f"{one.job.name}, seed {bad.seed}: {bad.what} at step {bad.step}: {bad.detail}"
        for one in states
        for bad in one.failures
    ]
    done = sum(one.finished for one in states)
    return [*notes, *damaged, f"{done} of {len(states) + len(damaged)} jobs are finished."]


def _newest(one: JobState) -> str:
    """How long ago a job that still trains wrote a row; "-" for one that is finished or has not begun."""
    if one.newest is None or one.finished:
        return "-"
    return f"{_span(max(0.0, time.time() - one.newest))} ago"


def _state(one: JobState) -> str:
    failed = f", {len(one.failures)} failed" if one.failures else ""
    if one.finished:
        return f"finished{failed}"
    if one.waits_for is not None:
        return f"waits for {one.waits_for}"
    return f"unfinished{failed}" if one.newest is not None else "not begun"


def _remaining(one: JobState) -> str:
    if one.finished or not one.steps_per_second:
        return "-"
    return _span((one.job.env.length.steps - one.step) / one.steps_per_second)


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
