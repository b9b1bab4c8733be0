"""Scores of a study's jobs: the evaluations of each job, and one score per seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from virel_deep.results.names import Entry
from virel_deep.results.read import Run, read_run
from virel_deep.results.statistics import Scores
from virel_deep.run.metrics import read_rows
from virel_deep.study.jobs import Job, JobState, job_folder, job_state, jobs_of
from virel_deep.study.plan import Hypothesis, Score, Study

DIVERGED = -inf
"""Score of a seed that diverged: lower than any return, so that an arm gains nothing by losing seeds."""


@dataclass(frozen=True)
class Result:
    """State of a study's job, and the evaluations of its seeds made so far."""

    state: JobState
    run: Run | None
    """Evaluations of the seeds that count; None before the first."""

    @property
    def job(self) -> Job:
        """Job of the study that these scores belong to."""
        return self.state.job

    @property
    def complete(self) -> bool:
        """Whether every seed has a score: each has reached the last step or diverged."""
        return self.state.finished

    def scores(self, kind: Score) -> dict[int, float]:
        """Score of each seed, of the kind `final`, `area` or `last-half`; minus infinity if it diverged."""
        out = {one.seed: DIVERGED for one in self.state.failures if one.what == "diverged"}
        if self.run is not None:
            out |= dict(zip(self.run.seeds, SCORES[kind](self.run).tolist(), strict=True))
        return dict(sorted(out.items()))


def last_half(run: Run) -> Scores:
    """Mean return `[K]` per seed over the last half of the evaluations, the middle one included.

    Used where the end of a curve is noisy and its beginning says little.
    """
    half: Scores = run.returns[:, len(run.at) // 2 :].mean(axis=1)
    return half


SCORES = {"final": Run.final, "area": Run.area, "last-half": last_half}


def read_results(out: Path, study: Study) -> list[Result]:
    """Read state and evaluations of every job of a study, finished or not.

    Raises:
        InputError: a file in a run folder is damaged.
    """
    return [_result(out, study, job) for job in jobs_of(study)]


def _result(out: Path, study: Study, job: Job) -> Result:
    folder = job_folder(out, job)
    evaluated = (folder / "config.json").exists() and _evaluations_in(folder)
    return Result(job_state(out, study, job), read_run(folder) if evaluated else None)


def _evaluations_in(folder: Path) -> bool:
    """Whether a run folder has an evaluation of a seed that did not fail; without one it can't be read."""
    seeds = [path.parent for path in folder.glob("seed-*/metrics.jsonl")]
    return any(
        read_rows(one / "metrics.jsonl", "eval") for one in seeds if not (one / "failure.json").exists()
    )


def entries_of(results: Sequence[Result]) -> list[Entry]:
    """Evaluated jobs of a study, labelled by their arms, for tables and curves."""
    return [Entry(one.job.arm.name, one.run) for one in results if one.run is not None]


def sides(hypothesis: Hypothesis, results: Sequence[Result]) -> Mapping[str, tuple[Result, Result]]:
    """For each task of a hypothesis, results of the arm claimed to be better and of the other arm."""
    found = {(one.job.arm.name, one.job.env): one for one in results}
    return {
        env: (found[hypothesis.better, env], found[hypothesis.than, env]) for env in hypothesis.environments
    }


def as_array(scores: Mapping[int, float]) -> Scores:
    """Scores of a job's seeds as an array, in the order of the seeds."""
    return np.array(list(scores.values()), np.float64)
