"""Jobs of a study: one resumable run folder per arm and environment, with all seeds stacked."""

import json
from collections import Counter
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virel_common.errors import InputError, require
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.environment import EnvSpec, specs, whole_copies, whole_interval
from virel_deep.design.presets import PRESETS, algorithm, run_config
from virel_deep.design.presets import copies as preset_copies
from virel_deep.design.records import dotted, encode
from virel_deep.design.run import Precision, RunConfig
from virel_deep.design.transfer import (
    PRIORS,
    check_prior,
    check_prior_size,
    seen_by_prior,
    with_prior,
    with_tasks,
)
from virel_deep.results.read import seed_folders
from virel_deep.run.folder import read_config, set_steps, write_config
from virel_deep.study.arms import Arm, depth, dotted_settings, sources
from virel_deep.study.environments import Environment
from virel_deep.study.plan import Study

if TYPE_CHECKING:
    from virel_deep.data.first_look import Look

LOG_EVERY, CHECKPOINT_EVERY = RunConfig.log_every, RunConfig.checkpoint_every
MAY_GROW = {"steps", "seeds", "log_every"}
"""What may grow by an amendment in a run that has begun; everything else would make it another run.

`log_every` depends on `steps`, and stays in the run's folder as it was.
"""


@dataclass(frozen=True)
class Job:
    """One arm of a study in one environment, trained in one run folder."""

    number: int
    """Place in the study's order, from 0: what `--job` takes."""
    arm: Arm
    env: Environment

    @property
    def name(self) -> str:
        """Name of the job in messages, and of its folder in `OUT/jobs`."""
        return f"{self.arm.name}-{self.env.name.replace('/', '-')}"


def jobs_of(study: Study) -> list[Job]:
    """List all jobs of a study, environment by environment, so that the first ones can be compared early.

    A job whose prior another one learns comes after it.
    """
    arms = study.arms.values()
    pairs = [(arm, env) for env in study.environments for arm in arms if env.name in arm.environments]
    pairs.sort(key=lambda pair: depth(pair[0], study.arms))
    return [Job(number, arm, env) for number, (arm, env) in enumerate(pairs)]


def prior_job(study: Study, job: Job) -> Job | None:
    """Job whose learned priors a job starts from, seed by seed; None if it starts from its own."""
    if job.arm.prior is None:
        return None
    [env] = sources(job.arm, job.env, study.arms, study.environments)
    return next(one for one in jobs_of(study) if (one.arm.name, one.env.name) == (job.arm.prior, env))


def job_folder(out: Path, job: Job) -> Path:
    """Run folder of a job, `OUT/jobs/ARM-ENV`."""
    return out / "jobs" / job.name


def job_config(
    study: Study, job: Job, precision: Precision = "highest", *, discrete: bool | None = None
) -> RunConfig:
    """Configuration of a job's run, as `virel train` would write it.

    Args:
        study: whose plan the job is part of.
        job: arm and environment.
        precision: of float32 products.
        discrete: whether actions are discrete; None: make the environment and look.

    Raises:
        InputError: preset, setting or size that breaks a rule; the message names the arm.
    """
    length, source = job.env.length, prior_job(study, job)
    copies = whole_copies(preset_copies(job.arm.preset, job.env.id), len(job.env.tasks))
    try:
        return run_config(
            job.arm.preset,
            job.env.id,
            algorithm=arm_algorithm(study, job.arm, job.env, discrete=discrete),
            steps=length.steps,
            seeds=study.seeds,
            copies=copies,
            eval_every=length.every(copies),
            eval_episodes=length.evaluation_episodes,
            log_every=whole_interval(min(LOG_EVERY, length.steps), copies),
            checkpoint_every=study.checkpoint_every or whole_interval(CHECKPOINT_EVERY, copies),
            precision=precision,
            tasks=job.env.tasks,
            prior_run=None if source is None else f"../{source.name}",
            **{**study.run, "env_arguments": _arguments(study, job.env)},
        )
    except InputError as error:
        raise InputError(f"arms.{job.arm.name}: {error}") from None


def arm_algorithm(study: Study, arm: Arm, env: Environment, *, discrete: bool | None = None) -> Algorithm:
    """Algorithm of a study's arm in one environment, from its preset, shared settings and own settings.

    Args:
        study: whose `[settings]` hold for every arm.
        arm: preset and settings; its own settings win.
        env: its id decides the scales of a preset, and its tasks what a prior does not see.
        discrete: whether actions are discrete; None: make the environment and look.

    Raises:
        InputError: the preset or a setting is unknown, or a value breaks a rule.
    """
    shared = dotted_settings(study.document.get("settings", {}))
    settings = {**shared, **arm.settings}
    if discrete is None:
        spec = EnvSpec(env.id, _arguments(study, env))
        first, *_ = (*specs(env.tasks, spec), spec)
        discrete = _has_discrete_actions(first.id, json.dumps(dict(first.arguments)))
    values = dotted(encode(algorithm(arm.preset, env.id, settings, discrete=discrete)))
    for name, factor in arm.multiply.items():
        value = values.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number, "multiply", name, "must name settings that are numbers")
        settings[name] = _product(factor, values[name])
    chosen = algorithm(arm.preset, env.id, settings, discrete=discrete)
    chosen = with_tasks(chosen, settings, len(env.tasks))
    return chosen if arm.prior is None else with_prior(chosen, settings)


def _product(factor: float, value: float) -> float:
    """Product with a setting, a whole number if the setting and the product are: it may be a count."""
    product = factor * value
    return int(product) if isinstance(value, int) and product.is_integer() else product


def _arguments(study: Study, env: Environment) -> dict[str, Any]:
    """Arguments of an environment by name: its own, and those of every environment of the study."""
    return {**study.run.get("env_arguments", {}), **env.arguments}


@cache
def _has_discrete_actions(env: str, arguments: str) -> bool:
    """Whether an environment's actions are discrete; False if there is none, which `check_jobs` reports."""
    from virel_deep.data.making import has_discrete_actions  # noqa: PLC0415  (brings MuJoCo)

    try:
        return has_discrete_actions(EnvSpec(env, json.loads(arguments)))
    except InputError:
        return False


def check_jobs(study: Study, place: str) -> list[Job]:
    """List the jobs of a study, after checking that every preset, setting, environment and prior exists.

    Raises:
        InputError: an arm or environment does not exist, or a prior does not suit; `place`, the study file,
            begins the message.
    """
    jobs = jobs_of(study)
    for arm in study.arms.values():  # before any setting: a preset that is missing brings its settings along
        rule = f"must be one of {', '.join(PRESETS)}"
        require(arm.preset in PRESETS, f"{place}: arms.{arm.name}.preset", arm.preset, rule)
    for name, count in Counter(job.name for job in jobs).items():
        rule = "must not give two jobs one folder; rename an arm or an environment"
        require(count == 1, f"{place}: environments", name, rule)
    try:
        _check_runs(study, jobs)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    return jobs


def _check_runs(study: Study, jobs: list[Job]) -> None:
    """Make each environment once, and once more for each prior that is blind to some of it."""
    configs = {job.name: job_config(study, job) for job in jobs}
    sizes = {job.env.name: _look(configs[job.name]).n_observation for job in jobs}
    for job in jobs:
        if (source := prior_job(study, job)) is not None:
            new, old = configs[job.name], configs[source.name]
            try:
                check_prior(source.name, old, new)
                check_prior_size(seen_by_prior(old, sizes[source.env.name]), new, sizes[job.env.name])
            except InputError as error:
                raise InputError(f"arms.{job.arm.name}: {error}") from None


_looks: "dict[str, Look]" = {}
"""What this process found in environments, so that jobs which share them need not look again."""


def _look(config: RunConfig) -> "Look":
    """First look at the environments of a job."""
    from virel_deep.data.first_look import first_look  # noqa: PLC0415  (brings MuJoCo)

    shared = repr((config.env_specs, config.eval_specs, config.algorithm.blind_to))
    if shared not in _looks:
        _looks[shared] = first_look(config)
    return _looks[shared]


def prepare(out: Path, study: Study, job: Job, precision: Precision) -> Path:
    """Write a job's `config.json`, or raise the step goal of a run that has begun; return the run folder.

    Raises:
        InputError: the run that stands there is not this job's, or its environment is unfit.
        StorageError: the folder can't be written.
    """
    folder, config = job_folder(out, job), job_config(study, job, precision)
    if not (folder / "config.json").exists():
        write_config(folder, config, _look(config).record)
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


def departures(folder: Path, study: Study, job: Job, precision: Precision) -> list[str]:
    """List what the run in a job's folder has that the plan has not: more steps, other seeds or settings.

    Fewer steps and seeds are no departure: the run is brought to those of the plan when it goes on.

    Raises:
        InputError: `config.json` is damaged.
    """
    if not (folder / "config.json").exists():
        return []
    found = read_config(folder)
    planned = job_config(study, job, precision, discrete=found.algorithm.posterior.discrete)
    out = [
        f"trained with {name} {_short(was, now)}, the plan has {_short(now, was)}"
        for name in (field.name for field in fields(RunConfig) if field.name not in MAY_GROW)
        if (was := getattr(found, name)) != (now := getattr(planned, name))
    ]
    if found.steps > planned.steps:
        ends = f"trained to step {found.steps}, the plan ends at {planned.steps}"
        out.append(f"{ends}: later scores do not count")
    others = sorted((set(found.seeds) | {seed for seed, _ in seed_folders(folder)}) - set(study.seeds))
    listed = ", ".join(map(str, others))
    return [*out, f"has seeds that are not in the plan and do not count: {listed}"] if others else out


def check_prior_stays(out: Path, study: Study, job: Job) -> None:
    """Raise `InputError` if a run has begun with priors that would be trained further before it."""
    source, folder = prior_job(study, job), job_folder(out, job)
    if source is None or not (folder / PRIORS).exists():
        return
    steps = read_config(job_folder(out, source)).steps
    rule = f"must stay {steps:,} in {source.env.name}: {folder} began with its priors; name new arms for both"
    require(source.env.length.steps == steps, "steps", source.env.length.steps, rule)


def _short(value: Any, other: Any) -> Any:
    """Shorten a value for an error message: of an algorithm, only settings that differ from `other`."""
    if not isinstance(value, Algorithm):
        return value
    mine, theirs = dotted(encode(value)), dotted(encode(other))
    return ", ".join(f"{name}={x!r}" for name, x in mine.items() if theirs.get(name) != x)
