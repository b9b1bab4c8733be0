"""The command `virel train`: parse and check the options, write the run folder, start training."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from virel_common.errors import require
from virel_common.machine import available_cpus
from virel_common.terminal import run_command, say
from virel_deep.commands.task_options import first_id, pairs, tasks_of, with_prior, with_tasks
from virel_deep.design.adapt import require_suited
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.environment import EnvSpec
from virel_deep.design.presets import PRESETS, algorithm, preset_row
from virel_deep.design.presets import run_config as preset_config
from virel_deep.design.run import Precision, RunConfig
from virel_deep.run.folder import (
    changed_versions,
    read_config,
    read_together,
    recorded_environment,
    set_steps,
    write_config,
)
from virel_deep.run.launch import train

LOG_EVERY = RunConfig.log_every
"""Steps from one `train` row to the next; with copies that don't divide it, the nearest multiple below."""
MOST_SEEDS, MOST_STEPS = 10_000, 1e15
"""More seeds or steps than these can't be meant; whole numbers up to 1e15 are exact as floats."""
SAME = (
    "capacity", "eval_env", "eval_episodes", "eval_every", "eval_stochastic", "normalize",
    "keep_best", "stop_return", "stop_evaluations", "checkpoint_every", "threads",
)  # fmt: skip
"""Options that are settings of the run as they are."""


@dataclass(frozen=True)
class TrainOptions:
    """Train an agent in a MuJoCo or other environment; Ctrl-C stops, `--resume` continues exactly.

    `virel presets` lists the presets; `virel presets NAME` lists every setting of one, with its meaning.
    Exit status: 0 every seed is done; 1 a seed failed, or its files can't be written; 2 bad input, or the run
    folder can't be written; 130 stopped, continue with `--resume`.
    """

    preset: str | None = None
    """Preset (named algorithm) to train, as `virel presets` lists them."""
    env: str | None = None
    """Gymnasium id of the environment, like HalfCheetah-v5."""
    steps: float | None = None
    """Environment steps per seed in total, such as 1e6. With `--resume`: a new, larger total."""
    seeds: int = 1
    """Number of seeds to train: 0, 1, ..., or consecutive numbers from `--first-seed` on. With `--resume`: a
    new, larger number."""
    first_seed: int = 0
    """First seed of the run; the others are the next whole numbers."""
    out: Path | None = None
    """Run folder to write; default out/train/PRESET-ENV."""
    resume: tuple[Path, ...] = ()
    """Continue the run in this folder, or in several that differ in their seeds alone; on the CPU the result
    is identical to an uninterrupted run."""
    jobs: int | None = None
    """Number of processes that the seeds are split over; default one per CPU core; on a GPU a single one."""
    set: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """Settings of the algorithm as NAME=VALUE: data.batch=128 temperature=residual temperature.scale=1e-3."""
    env_arg: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """Arguments of the environment as NAME=VALUE, such as g=9.0; a value is a Python literal or text."""
    task: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """One of several tasks that are trained at once, by its arguments as NAME=VALUE, after the id of its
    environment if that is not --env. Given twice or more: --task goal=0 --task goal=1."""
    prior: Path | None = None
    """Run folder of an earlier training, whose learned prior this one has; --set prior.frozen=False to train
    it further."""
    max_episode_steps: int | None = None
    """Time limit of an episode, in training and evaluation; default: the one of the registered id."""
    capacity: int = RunConfig.capacity
    """Transitions that each seed's replay keeps, in memory and on disk."""
    copies: int | None = None
    """Parallel copies of the environment per seed; as many gradient updates per transition as with one.
    Default: those of the preset, 1 of most, or as few more as make them equally many for each task."""
    eval_episodes: int = 1
    """Number of episodes per evaluation, played by the deterministic policy."""
    eval_every: int = 1000
    """Environment steps from one evaluation to the next."""
    normalize: bool = False
    """Normalise observations by their running mean and deviation, per seed; part of the policy everywhere."""
    eval_env: str | None = None
    """Gymnasium id of another environment for evaluations, with equal spaces."""
    eval_stochastic: bool = False
    """Draw actions in evaluations as in training, instead of taking the deterministic ones."""
    keep_best: bool = False
    """Keep the policy of each seed's best evaluation, for `virel export --best` and others."""
    stop_return: float | None = None
    """Stop a seed early once its evaluations reach this mean return."""
    stop_evaluations: int = 1
    """Consecutive evaluations that must reach `--stop-return`."""
    checkpoint_every: int = 10_000
    """Environment steps from one checkpoint to the next."""
    device: str = "auto"
    """Device that trains: cpu, cuda, or auto, which means cuda if torch finds a GPU, else cpu."""
    threads: int = 1
    """CPU threads of torch and numpy in each training process."""
    precision: Precision = "auto"
    """Way to compute float32 matrix products: highest, stacked, medium or auto; `virel_deep.design.run`
    explains them."""


def main_train(argv: Sequence[str]) -> int:
    """`virel train`: train a new run or continue one; return the exit status."""

    def run(options: TrainOptions) -> int:
        require(options.jobs is None or options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
        settings, arguments = (
            pairs(name, chain(*(group or ("",) for group in getattr(options, name))))
            for name in ("set", "env_arg")
        )
        env = options.env or first_id(options.task)
        spec = None if env is None else EnvSpec(env, arguments)
        folders = _resumed(options, argv) if options.resume else [new_run(options, settings, spec=spec)]
        jobs = options.jobs or _default_jobs(read_config(folders[0]).device)
        return train(*folders, jobs=jobs, survive=True)

    return run_command(TrainOptions, argv, prog="virel train", run=run)


def new_run(options: TrainOptions, settings: Mapping[str, object], *, spec: EnvSpec | None = None) -> Path:
    """Check options and settings of a new run, then write its folder with `config.json`; return it.

    `spec` specifies the environment beyond its id.
    """
    from virel_deep.data.first_look import first_look  # noqa: PLC0415  (brings MuJoCo)
    from virel_deep.data.making import has_discrete_actions, require_version  # noqa: PLC0415
    from virel_deep.run.transfer import prior_of, write_prior  # noqa: PLC0415  (brings torch)

    require(options.preset is not None, "preset", options.preset, f"must be one of {', '.join(PRESETS)}")
    env = options.env or first_id(options.task)
    require(env is not None, "env", env, "must be a Gymnasium id, like HalfCheetah-v5")
    require(options.steps is not None, "steps", options.steps, "must be given, such as --steps 1e6")
    assert options.preset is not None
    assert env is not None
    spec = spec or EnvSpec(env)
    tasks = tasks_of(options.task, env)
    row, per_task = preset_row(options.preset), max(1, len(tasks))
    copies = -(-row.copies // per_task) * per_task if options.copies is None else options.copies
    require(copies >= 1, "copies", copies, "must be at least 1")
    _require_seeds(options.seeds)
    steps, device = _whole(options.steps), _device(options.device)
    limit = spec.max_episode_steps if options.max_episode_steps is None else options.max_episode_steps
    spec = EnvSpec(spec.id, spec.arguments, limit)
    _refuse_options(settings)
    asked = preset_config(  # checks what the environment is made with
        options.preset, env, algorithm=row.algorithm, steps=copies * (steps // copies + 1), seeds=(0,),
        env_arguments=dict(spec.arguments), max_episode_steps=limit, tasks=tasks, copies=copies,
        **dict.fromkeys(("eval_every", "log_every", "checkpoint_every"), copies),
    )  # fmt: skip
    for env_id in filter(None, (*(one.id for one in asked.env_specs), options.eval_env)):
        require_version(env_id)
    discrete = has_discrete_actions(asked.env_specs[0])
    chosen = with_tasks(algorithm(options.preset, env, settings, discrete=discrete), settings, len(tasks))
    require_suited(chosen, env, discrete=discrete)
    if options.prior is not None:
        chosen = with_prior(chosen, settings)
    config = preset_config(
        options.preset,
        env,
        algorithm=chosen,
        steps=steps,
        seeds=tuple(range(options.first_seed, options.first_seed + options.seeds)),
        copies=copies,
        log_every=max(1, LOG_EVERY // copies) * copies,
        device=device,
        precision=_precision(options.precision, device),
        env_arguments=dict(spec.arguments),
        max_episode_steps=limit,
        tasks=tasks,
        prior_run=None if options.prior is None else str(options.prior.resolve()),
        **{name: getattr(options, name) for name in SAME},
    )
    notes, record, size = first_look(config)
    prior = None if options.prior is None else prior_of(options.prior, config, size)
    run = options.out or Path("out/train") / f"{options.preset}-{re.sub('[/<>]+', '-', env)}"
    held = (run / "config.json").exists() or any(run.glob("seed-*"))
    require(
        not held,
        "out",
        str(run),
        "must not hold a run (continue that one with --resume, or choose another folder)",
    )
    if prior is not None:
        write_prior(run, prior)
    write_config(run, config, record)
    if why := chosen.data.idle(steps, copies):
        notes.append(f"{steps} steps make no update: {why}")
    for note in notes:
        say(f"note: {note}")
    return run


def _resumed(options: TrainOptions, argv: Sequence[str]) -> list[Path]:
    """Check the options of resumed runs, raise their numbers of steps and seeds if asked to; return them."""
    given = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in argv if word[:2] == "--"}
    for name in sorted(given):
        rule = "must not be given with --resume: the run folder fixes it"
        require(name in {"resume", "steps", "seeds", "jobs"}, name, getattr(options, name), rule)
    seeds = options.seeds if "seeds" in given else None
    one = len(options.resume) == 1
    require(one or seeds is None, "seeds", seeds, "must not be given with several run folders")
    read_together(options.resume)
    return [continued_run(run, options.steps, seeds) for run in options.resume]


def continued_run(run: Path, steps: float | None, seeds: int | None = None) -> Path:
    """Check that a run can be continued here, raise its numbers of steps and seeds if asked to; return it."""
    from virel_deep.data.first_look import changed_environment  # noqa: PLC0415  (brings MuJoCo)

    config = read_config(run)
    _device(config.device)
    goal = config.steps if steps is None else _whole(steps)
    require(goal >= config.steps, "steps", goal, f"must be at least {config.steps}, the run's goal so far")
    n = len(config.seeds)
    count = n if seeds is None else _require_seeds(seeds)
    require(count >= n, "seeds", count, f"must be at least {n}, the number of seeds so far")
    next_seed = max(config.seeds) + 1
    more = tuple(range(next_seed, next_seed + count - n))
    if goal > config.steps or more:
        set_steps(run, goal, (*config.seeds, *more))
    recorded = recorded_environment(run)
    for change in changed_environment(recorded, config) if recorded else ():
        say(f"note: {change}")
    for name, (was, now) in changed_versions(run).items():
        say(
            f"note: {name} changed from {was} to {now} since this run began; "
            "results may no longer be bit-identical"
        )
    return run


def _refuse_options(settings: Mapping[str, object]) -> None:
    """Raise `InputError` for a setting that is an option of its own, and say which."""
    options = {field.name for field in fields(TrainOptions)} - {field.name for field in fields(Algorithm)}
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        rule = f"must be settings of the algorithm; {name} is an option of its own, {option}"
        require(name not in options, "settings", f"{name}={value}", rule)


def _require_seeds(seeds: int) -> int:
    """Return a number of seeds if it can be meant."""
    require(1 <= seeds <= MOST_SEEDS, "seeds", seeds, f"must be from 1 to {MOST_SEEDS}")
    return seeds


def _whole(steps: float | None) -> int:
    whole = steps is not None and 1 <= steps <= MOST_STEPS and steps == steps // 1
    require(whole, "steps", steps, f"must be a whole number from 1 to {MOST_STEPS:g}")
    assert steps is not None
    return int(steps)


def _device(name: str) -> str:
    import torch  # noqa: PLC0415

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    require(name in {"cpu", "cuda"}, "device", name, "must be cpu, cuda or auto")
    here = name == "cpu" or torch.cuda.is_available()
    require(here, "device", name, "must be cpu here: torch finds no CUDA device")
    return name


def _precision(precision: Precision, device: str) -> Precision:
    from virel_deep.networks.precision import chosen  # noqa: PLC0415  (brings torch)

    return chosen(precision, device)


def _default_jobs(device: str) -> int:
    return available_cpus() if device == "cpu" else 1
