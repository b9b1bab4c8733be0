"""Measure how long each job of a study will take, from a few hundred of its updates."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from virel_common.errors import InputError
from virel_deep.design.run import Precision
from virel_deep.run.apart import STOPPED
from virel_deep.run.folder import write_config
from virel_deep.run.launch import train_bundle
from virel_deep.study.jobs import Job, job_config
from virel_deep.study.plan import Study, arm_algorithm

EVERY = 25
"""Steps between two looks at the clock."""
LOOKS = 12
"""Looks with updates that count: 300 updates."""
LONGEST = 20_000
"""Steps after which a probe ends in any case."""


class _EnoughError(Exception):
    """Raised inside a timing run to end its training after enough updates."""


@dataclass(frozen=True)
class Speed:
    """Measured speed of a study's job, with all its seeds together on one core."""

    step: float
    """Seconds per environment step with its update."""
    plain: float
    """Seconds per environment step without an update."""
    episode: int
    """Longest episode, in steps."""

    def core_hours(self, study: Study) -> float:
        """Core hours that a whole job should need at most: every evaluation episode counts at full length."""
        evaluated = self.episode * study.evaluation_episodes * (study.steps // study.evaluate_every)
        return (study.steps * self.step + evaluated * self.plain) / 3600


def probe(
    study: Study, jobs: Sequence[Job], precision: Precision, *, seen: Callable[[Job], object]
) -> Mapping[str, Speed]:
    """Time each job of a study by a short training in a temporary folder; `seen(job)` is called before each.

    Raises:
        InputError: a job made no update, because its environment or its agent failed.
    """
    out = {}
    for job in jobs:
        seen(job)
        with tempfile.TemporaryDirectory(prefix="virel-probe-") as folder:
            out[job.name] = _measure(study, job, precision, Path(folder))
    return out


def _measure(study: Study, job: Job, precision: Precision, folder: Path) -> Speed:
    config = replace(
        job_config(study, job, precision),
        algorithm=arm_algorithm(study, job.arm, job.env, warm=True),
        steps=LONGEST,
        log_every=EVERY,
        eval_every=LONGEST,
        checkpoint_every=LONGEST,
    )
    write_config(folder, config)
    plain: list[float] = []
    updating: list[float] = []

    def look(_step: int, values: Mapping[str, float | None]) -> None:
        speed = values["steps_per_second"]
        assert speed is not None
        (updating if "q" in values else plain).append(1 / speed)
        if len(updating) > LOOKS:
            raise _EnoughError

    try:
        if train_bundle(folder, config, list(config.seeds), False, report=look) == STOPPED:
            raise KeyboardInterrupt
    except _EnoughError:
        step = sum(updating[1:]) / LOOKS  # the first look holds the first update, which is slow
        return Speed(step, min(plain, default=step), _longest_episode(job.env))
    raise InputError(f"{job.name}: the probe made no update; --no-probe plans without it")


def _longest_episode(env: str) -> int:
    import gymnasium  # noqa: PLC0415

    return gymnasium.spec(env).max_episode_steps or 1000
