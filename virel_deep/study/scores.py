"""Scores of a study's jobs: the evaluations of each job, and one score per seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np

from virel_deep.results.names import Entry
from virel_deep.results.read import NotEvaluatedError, Run, means, read_with_tasks
from virel_deep.results.statistics import Scores
from virel_deep.study.jobs import Job, job_folder, jobs_of
from virel_deep.study.plan import Score, Study
from virel_deep.study.state import JobState, job_state

DIVERGED = -inf
"""Score of a seed that diverged: lower than any return, so that an arm gains nothing by losing seeds."""


@dataclass(frozen=True)
class Result:
    """State of a study's job, and the evaluations of its seeds made so far."""

    state: JobState
    run: Run | None
    """Evaluations of the seeds that count, means over several tasks; None before the first."""
    of_tasks: tuple[Run, ...] = ()
    """Evaluations in each of several tasks."""

    @property
    def job(self) -> Job:
        """Job of the study that these scores belong to."""
        return self.state.job

    @property
    def runs(self) -> tuple[Run, ...]:
        """Evaluations of the job together, then those in each of several tasks; none before the first."""
        return () if self.run is None else (self.run, *self.of_tasks)

    def at(self, label: str) -> "Result":
        """Results in one task of several, by its label; those together by the name of the environment."""
        number = self.job.env.labels.index(label)
        return replace(self, run=self.runs[number] if self.runs else None, of_tasks=())

    @property
    def complete(self) -> bool:
        """Whether every seed has a score: each has reached the last step or diverged."""
        return self.state.finished

    @property
    def whole(self) -> bool:
        """Whether every seed has a score of the whole length: none was stopped early by a rule."""
        return self.complete and not self.state.stopped

    @property
    def diverged(self) -> tuple[int, ...]:
        """Seeds that diverged."""
        return tuple(one.seed for one in self.state.failures if one.what == "diverged")

    def unfinished(self) -> "Result":
        """Results of a job of which the plan still lacks scores, whatever its folder says."""
        return replace(self, state=replace(self.state, finished=False))

    def until(self, steps: int) -> "Result":
        """Results without the evaluations after `steps` environment steps."""
        if self.run is None:
            return self
        of_tasks = tuple(one.until(steps) for one in self.of_tasks)
        return replace(self, run=self.run.until(steps), of_tasks=of_tasks)

    def scores(self, kind: Score) -> dict[int, float]:
        """Score of each seed, of the kind `final`, `area` or `last-half`; minus infinity if it diverged."""
        out = dict.fromkeys(self.diverged, DIVERGED)
        if self.run is not None:
            out |= dict(zip(self.run.seeds, SCORES[kind](self.run).tolist(), strict=True))
        return dict(sorted(out.items()))


def last_half(run: Run) -> Scores:
    """Mean return `[K]` per seed over the last half of the evaluations, the middle one included.

    Used where the end of a curve is noisy and its beginning says little.
    """
    return means(run.returns[:, len(run.at) // 2 :])


SCORES = {"final": Run.final, "area": Run.area, "last-half": last_half}


def read_results(out: Path, study: Study) -> list[Result]:
    """Read state and evaluations of every job of a study, finished or not, in the order of its file.

    Evaluations of other seeds, and those after the plan's last step, are left out.

    Raises:
        InputError: a file in a run folder is damaged.
    """
    arms, places = list(study.arms), study.environments
    jobs = sorted(jobs_of(study), key=lambda job: (places.index(job.env), arms.index(job.arm.name)))
    return [_result(out, study, job) for job in jobs]


def _result(out: Path, study: Study, job: Job) -> Result:
    folder = job_folder(out, job)
    state = job_state(out, study, job)  # first: what is written from now on can't make it complete
    found = _evaluated(folder, study) if (folder / "config.json").exists() else []
    run, *of_tasks = [_planned(one, job) for one in found] or [None]
    result = Result(state, run, tuple(filter(None, of_tasks)))
    scored = set(study.seeds) <= result.scores("final").keys()
    lost = len(found) > 0 and _lost_end(found[0], run, job)
    return result.unfinished() if lost or not scored else result


def _evaluated(folder: Path, study: Study) -> list[Run]:
    """Evaluations of a study's seeds in a run folder, then those in each of several tasks; maybe none."""
    try:
        return read_with_tasks(folder, only=study.seeds)
    except NotEvaluatedError:
        return []


def _planned(run: Run, job: Job) -> Run | None:
    """Evaluations up to the plan's last step, with the name that the environment has there; maybe none."""
    steps = job.env.length.steps
    if run.at[0] > steps:
        return None
    return replace(run.until(steps), env=job.env.name + run.env.removeprefix(job.env.id))


def _lost_end(found: Run, planned: Run | None, job: Job) -> bool:
    """Whether the plan's last evaluation is missing because of training beyond it.

    Such training replaces the evaluation at the last step by later ones, unless it is a regular one.
    """
    steps = job.env.length.steps
    ended = planned is not None and planned.at[-1] >= steps
    return not ended and bool(found.at[-1] > steps)


def entries_of(results: Sequence[Result]) -> list[Entry]:
    """Evaluated jobs of a study, each task of several too, labelled by their arms, for tables and curves."""
    return [Entry(one.job.arm.name, run) for one in results for run in one.runs]


def groups(results: Sequence[Result]) -> list[list[Result]]:
    """Results by environments in which the same arms train, so that each arm is in all of its group."""
    arms: dict[str, list[str]] = {}
    for one in results:
        arms.setdefault(one.job.env.name, []).append(one.job.arm.name)
    out: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        out.setdefault(tuple(arms[one.job.env.name]), []).append(one)
    return list(out.values())


def at_equal_steps(results: Sequence[Result]) -> list[Result]:
    """Results in one environment, each cut to the last step that all of those with evaluations have reached.

    Complete runs have reached the same step, so that nothing is cut off them.
    """
    last = min((int(one.run.at[-1]) for one in results if one.run is not None), default=0)
    return [one.until(last) for one in results]


def sides(
    better: str, than: str, labels: Iterable[str], results: Sequence[Result]
) -> Mapping[str, tuple[Result, Result]]:
    """Results of two arms at equal steps in each environment or task, by its label."""
    found = {(one.job.arm.name, label): one.at(label) for one in results for label in one.job.env.labels}
    pairs = {label: at_equal_steps([found[better, label], found[than, label]]) for label in labels}
    return {label: (a, b) for label, (a, b) in pairs.items()}


def as_array(scores: Mapping[int, float]) -> Scores:
    """Scores of a job's seeds as an array, in the order of the seeds."""
    return np.array(list(scores.values()), np.float64)
