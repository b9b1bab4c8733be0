"""Measure how long each job of a study will take, from a short training of it.

A probe looks at the clock every so many steps. Looks without an update tell what a step costs, those with
updates what an update costs beyond it. The whole job has its own number of updates for its steps: none in a
warm-up, a few at the end of each rollout.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

from virel_common.errors import InputError
from virel_common.terminal import FAILED, INTERRUPTED
from virel_deep.design.environment import LONGEST as LONGEST_EPISODE
from virel_deep.design.environment import whole_copies
from virel_deep.design.run import Precision, RunConfig
from virel_deep.run.folder import write_config
from virel_deep.run.launch import train_bundle
from virel_deep.study.environments import Length
from virel_deep.study.jobs import Job, job_config
from virel_deep.study.plan import Study

EVERY = 25
"""Steps between two looks at the clock."""
LOOKS = 12
"""Looks with updates that count: 300 updates, where each step has one."""
FEW, LONG = 1, 3_000
"""Looks with updates that are enough after so many steps."""
LONGEST = 20_000
"""Steps after which a probe ends, if two updates that are due at different times fall into them."""
COUNTED = 100_000
"""Steps of all copies in which the updates of a job are counted; those of a longer one are in proportion."""


class Look(NamedTuple):
    """What passed between two looks at the clock."""

    steps: int
    updates: int
    seconds: float


class _EnoughError(Exception):
    """Raised inside a timing run to end its training after enough updates."""


@dataclass(frozen=True)
class Speed:
    """Measured speed of a study's job, with all its seeds together on one core."""

    step: float
    """Seconds per environment step with its share of the job's updates."""
    plain: float
    """Seconds per environment step without an update."""
    episode: int
    """Longest episode, in steps."""
    tasks: int
    """Tasks in each of which a seed is evaluated."""
    copies: int = 1
    """Copies of the environment per seed."""

    def core_hours(self, length: Length) -> float:
        """Core hours that a whole job should need at most: every evaluation episode counts at full length."""
        episodes = self.tasks * length.evaluation_episodes * length.evaluations(self.copies)
        return (length.steps * self.step + episodes * self.episode * self.plain) / 3600


def probe(
    study: Study, jobs: Sequence[Job], precision: Precision, *, seen: Callable[[Job], object]
) -> Mapping[str, Speed]:
    """Time each job of a study by a short training in a temporary folder; `seen(job)` is called before each.

    Raises:
        InputError: the probe of a job failed, because its environment or its agent did.
    """
    out = {}
    for job in jobs:
        seen(job)
        with tempfile.TemporaryDirectory(prefix="virel-probe-") as folder:
            out[job.name] = _measure(study, job, precision, Path(folder))
    return out


def _measure(study: Study, job: Job, precision: Precision, folder: Path) -> Speed:
    plan = job_config(study, job, precision)
    total, config = updates_of(plan), short(plan)
    write_config(folder, config)
    looks: list[Look] = []

    def look(step: int, values: Mapping[str, float | None]) -> None:
        speed = values["steps_per_second"]
        assert speed is not None
        updates = _due(config, step - config.log_every, step)
        looks.append(Look(config.log_every, updates, config.log_every / speed))
        if _enough(looks, step) or (total == 0 and len(looks) > LOOKS):
            raise _EnoughError

    try:
        status = train_bundle(folder, config, list(config.seeds), False, report=look)
    except _EnoughError:
        pass
    else:
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        if status == FAILED:
            raise InputError(f"{job.name}: its probe failed, as said above; --no-probe plans without it")
    plain, update = costs(looks)
    step = plain + update * total / plan.steps
    return Speed(step, plain, longest_episode(plan), max(1, len(job.env.tasks)), plan.copies)


def short(plan: RunConfig) -> RunConfig:
    """Configuration of the training that is timed in place of a job's: its updates begin at once."""
    algorithm = plan.algorithm
    data, pause = algorithm.data.without_warmup(), algorithm.update_every / algorithm.updates_per_step
    between = max(data.transitions(plan.copies), pause if data.paced else 0)
    longest = whole_copies(max(LONGEST, int(2 * between)), plan.copies)
    return replace(
        plan,
        algorithm=replace(algorithm, data=data),
        steps=longest,
        log_every=whole_copies(EVERY, plan.copies),
        eval_every=longest,
        checkpoint_every=longest,
        prior_run=None,
    )


def _enough(looks: Sequence[Look], step: int) -> bool:
    """Whether enough looks had updates, beyond the first one, which is slow."""
    found = sum(one.updates > 0 for one in looks) - 1
    return found >= LOOKS or (found >= FEW and step >= LONG)


def updates_of(config: RunConfig) -> float:
    """Number of updates of a whole run, counted after its warm-up."""
    begin = min(config.algorithm.data.warmup // config.copies * config.copies, config.steps)
    steps = min(config.steps - begin, COUNTED * config.copies)
    return _due(config, begin, begin + steps) * (config.steps - begin) / max(1, steps)


def _due(config: RunConfig, begin: int, end: int) -> int:
    """Number of updates after one step of a run, up to another."""
    from virel_deep.run.training.learning import due_updates  # noqa: PLC0415  (brings torch)

    return sum(due_updates(config, step) for step in range(begin + config.copies, end + 1, config.copies))


def costs(looks: Sequence[Look]) -> tuple[float, float]:
    """Seconds of a step without an update, and of an update; the first look of either kind is slow.

    Where every look had updates they can't be told apart, and all of the time counts as that of steps.

    Example:
        >>> costs([Look(25, 0, 0.9), Look(25, 0, 0.5), Look(25, 1, 9.0), Look(25, 0, 0.5), Look(25, 2, 1.5)])
        (0.02, 0.5)
    """
    steps = [one.seconds / one.steps for one in looks if not one.updates]
    updating = [one for one in looks if one.updates]
    updating = updating[1:] or updating
    length, updates, seconds = map(sum, zip(*updating, strict=True)) if updating else (0, 0, 0.0)
    if not steps:
        return seconds / length, 0.0
    plain = median(steps[1:] or steps)
    return plain, max(0.0, seconds - length * plain) / max(1, updates)


def longest_episode(config: RunConfig) -> int:
    """Longest episode of the environments in which a run is evaluated, in steps."""
    from virel_deep.data.making import close_quietly, make_env, time_limit  # noqa: PLC0415  (brings MuJoCo)

    limits = []
    for spec in config.eval_specs:
        env = make_env(spec)
        limits.append(time_limit(env) or LONGEST_EPISODE)
        close_quietly(env)
    return max(limits)
