"""Measure how long each job of a study will take, from a few hundred of its updates."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from virel_common.errors import InputError
from virel_deep.design.environment import LONGEST as LONGEST_EPISODE
from virel_deep.design.environment import whole_copies
from virel_deep.design.run import Precision, RunConfig
from virel_deep.run.apart import STOPPED
from virel_deep.run.folder import write_config
from virel_deep.run.launch import train_bundle
from virel_deep.study.environments import Length
from virel_deep.study.jobs import Job, job_config
from virel_deep.study.plan import Study

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

    tasks: int
    """Tasks in each of which a seed is evaluated."""

    def core_hours(self, length: Length) -> float:
        """Core hours that a whole job should need at most: every evaluation episode counts at full length."""
        episodes = self.tasks * length.evaluation_episodes * length.evaluations
        return (length.steps * self.step + episodes * self.episode * self.plain) / 3600


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
    plan = job_config(study, job, precision)
    longest = plan.copies * (LONGEST // plan.copies)
    config = replace(
        plan,
        algorithm=replace(plan.algorithm, data=plan.algorithm.data.without_warmup()),
        steps=longest,
        log_every=whole_copies(EVERY, plan.copies),
        eval_every=longest,
        checkpoint_every=longest,
        prior_run=None,
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
        tasks = max(1, len(job.env.tasks))
        return Speed(step, min(plain, default=step), _longest_episode(plan), tasks)
    raise InputError(f"{job.name}: the probe made no update; --no-probe plans without it")


def _longest_episode(config: RunConfig) -> int:
    import gymnasium  # noqa: PLC0415

    spec = config.env_specs[0]
    return spec.max_episode_steps or gymnasium.spec(spec.id).max_episode_steps or LONGEST_EPISODE
