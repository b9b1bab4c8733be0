"""Check the options of a training, then write a new run folder or change the goal of one that is there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from virel_common.errors import require
from virel_common.terminal import say
from virel_deep.commands.task_options import first_id, tasks_of
from virel_deep.commands.train_options import SAME, TrainOptions, check_options
from virel_deep.design.adapt import require_suited
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.environment import EnvSpec, whole_copies, whole_interval
from virel_deep.design.presets import PRESETS, algorithm, preset_row
from virel_deep.design.presets import copies as preset_copies
from virel_deep.design.presets import run_config as preset_config
from virel_deep.design.priors import Blind
from virel_deep.design.run import Precision, RunConfig
from virel_deep.design.transfer import with_prior, with_tasks
from virel_deep.run.folder import (
    changed_versions,
    read_config,
    recorded_environment,
    set_steps,
    write_config,
)
from virel_deep.run.survey import done

LOG_EVERY = RunConfig.log_every
"""Steps from one `train` row to the next; with copies that don't divide it, the nearest multiple below."""
EVERY = {name: getattr(RunConfig, name) for name in ("eval_every", "checkpoint_every")}
"""Steps from one evaluation or checkpoint to the next where no option says otherwise, rounded likewise."""
MOST_SEEDS, MOST_STEPS = 10_000, 1e15
"""More seeds or steps than these can't be meant; whole numbers up to 1e15 are exact as floats."""


def new_run(options: TrainOptions, settings: Mapping[str, object], *, spec: EnvSpec | None = None) -> Path:
    """Check options and settings of a new run, then write its folder with `config.json`; return it.

    `spec` specifies the environment beyond its id.
    """
    from virel_deep.data.first_look import first_look  # noqa: PLC0415  (brings MuJoCo)
    from virel_deep.run.transfer import prior_of, write_prior  # noqa: PLC0415  (brings torch)

    config = _config(options, settings, spec)
    notes, record, size = first_look(config)
    prior = None if options.prior is None else prior_of(options.prior, config, size)
    run = options.out or Path("out/train") / f"{config.preset}-{re.sub('[/<>:]+', '-', config.env)}"
    held = (run / "config.json").exists() or any(run.glob("seed-*"))
    require(
        not held,
        "out",
        str(run),
        "must not hold a run (continue that one with --resume, in Python `resume`, or choose another folder)",
    )
    if prior is not None:
        write_prior(run, prior)
    write_config(run, config, record)
    notes += _notes(config)
    for note in notes:
        say(f"note: {note}")
    return run


def _notes(config: RunConfig) -> list[str]:
    """What may surprise in a run: that it makes no update, or that its prior never learned and never will."""
    out, prior = [], config.algorithm.prior
    if config.idle is not None:
        out.append(f"{config.steps} steps make no update: {config.idle}")
    if isinstance(prior, Blind) and prior.frozen and config.prior_run is None:
        out.append("the prior stays untrained, as it was drawn: `prior.frozen` is True without --prior")
    return out


def _config(options: TrainOptions, settings: Mapping[str, object], spec: EnvSpec | None) -> RunConfig:
    """Configuration of a new run, checked as far as it can be without an episode."""
    check_options(options)
    require(options.preset is not None, "preset", options.preset, f"must be one of {', '.join(PRESETS)}")
    env = options.env or first_id(options.task)
    require(env is not None, "env", env, "must be a Gymnasium id, like HalfCheetah-v5")
    require(options.steps is not None, "steps", options.steps, "must be given, such as --steps 1e6")
    assert options.preset is not None
    assert env is not None
    spec = spec or EnvSpec(env)
    tasks = tasks_of(options.task, env)
    copies = whole_copies(preset_copies(options.preset, env), len(tasks))
    copies = copies if options.copies is None else options.copies
    require(copies >= 1, "copies", copies, "must be at least 1")
    _require_seeds(options.seeds)
    require(options.first_seed >= 0, "first_seed", options.first_seed, "must be at least 0")
    steps, device = _whole(options.steps), _device(options.device)
    limit = spec.max_episode_steps if options.max_episode_steps is None else options.max_episode_steps
    _refuse_options(settings)
    stops = options.stop_return is not None or options.stop_evaluations == RunConfig.stop_evaluations
    rule = "must not be given without --stop-return"
    require(stops, "stop_evaluations", options.stop_evaluations, rule)
    of_environment: dict[str, Any] = {
        "env_arguments": dict(spec.arguments), "max_episode_steps": limit, "tasks": tasks, "copies": copies,
    }  # fmt: skip
    return preset_config(
        options.preset,
        env,
        algorithm=_algorithm(options, settings, env, of_environment),
        steps=steps,
        seeds=tuple(range(options.first_seed, options.first_seed + options.seeds)),
        log_every=whole_interval(LOG_EVERY, copies),
        device=device,
        precision=_precision(options.precision, device, options.threads),
        prior_run=None if options.prior is None else str(options.prior.resolve()),
        **of_environment,
        **_intervals(options, copies),
        **{name: getattr(options, name) for name in SAME},
    )


def _intervals(options: TrainOptions, copies: int) -> dict[str, int]:
    """Steps from one evaluation or checkpoint to the next: as given, or a multiple of the copies."""
    given = {name: getattr(options, name) for name in EVERY}
    return {
        name: whole_interval(EVERY[name], copies) if steps is None else steps for name, steps in given.items()
    }


def _algorithm(
    options: TrainOptions, settings: Mapping[str, object], env: str, of_environment: Mapping[str, Any]
) -> Algorithm:
    """Algorithm in the form for the environment, whose id, arguments and tasks are checked first."""
    from virel_deep.data.making import has_discrete_actions, require_version  # noqa: PLC0415  (brings MuJoCo)

    assert options.preset is not None
    copies, n_tasks = of_environment["copies"], len(of_environment["tasks"])
    every: dict[str, Any] = dict.fromkeys(("steps", "eval_every", "log_every", "checkpoint_every"), copies)
    plain = preset_row(options.preset).algorithm
    asked = preset_config(options.preset, env, algorithm=plain, seeds=(0,), **every, **of_environment)
    for one in asked.env_specs:
        require_version(one.id)
    if options.eval_env is not None:
        require_version(options.eval_env, argument="eval_env")
    discrete = has_discrete_actions(asked.env_specs[0])
    chosen = with_tasks(algorithm(options.preset, env, settings, discrete=discrete), settings, n_tasks)
    require_suited(chosen, env, discrete=discrete)
    used = chosen.data.capped or options.capacity == RunConfig.capacity
    rule = f"must not be given for {chosen.data.kind}, which keep one rollout of each copy"
    require(used, "capacity", options.capacity, rule)
    return chosen if options.prior is None else with_prior(chosen, settings)


def continued_run(
    run: Path, steps: float | None, seeds: int | None = None, *, beside: Sequence[Path] = ()
) -> Path:
    """Check that a run can be continued here, raise its numbers of steps and seeds if asked to; return it.

    `beside` are the runs that continue together with it.
    """
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
    if goal > config.steps and not more:
        _require_unstopped([run, *beside], goal)
    recorded = recorded_environment(run)
    changed = changed_environment(recorded, config) if recorded else ()  # can fail, so that it comes first
    if goal > config.steps or more:
        set_steps(run, goal, (*config.seeds, *more))
    for change in changed:
        say(f"note: {change}")
    for name, (was, now) in changed_versions(run).items():
        say(
            f"note: {name} changed from {was} to {now} since this run began; "
            "results may no longer be bit-identical"
        )
    return run


def _require_unstopped(runs: Sequence[Path], goal: int) -> None:
    """Raise `InputError` if a new goal would change nothing, as every seed was stopped by the run's rule."""
    rules = [done(run, seed).get("stopped") for run in runs for seed in read_config(run).seeds]
    names = ", ".join(map(str, dict.fromkeys(runs)))
    rule = f"must not be raised: every seed of {names} was stopped by its rule ({rules[0]})"
    require(not all(rules), "steps", goal, rule)


def _refuse_options(settings: Mapping[str, object]) -> None:
    """Raise `InputError` for a setting that is an option of its own, and say which."""
    options = {field.name for field in fields(TrainOptions)} - {field.name for field in fields(Algorithm)}
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        rule = f"must be settings of the algorithm; {name} is an option of its own, {option}"
        require(name not in options, "settings", f"{name}={value}", rule)


def _require_seeds(seeds: int) -> int:
    """Return a number of seeds if it can be meant."""
    whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    require(whole and 1 <= seeds <= MOST_SEEDS, "seeds", seeds, f"must be from 1 to {MOST_SEEDS}")
    return seeds


def _whole(steps: float | None) -> int:
    rule = f"must be a whole number from 1 to {MOST_STEPS:g}"
    require(isinstance(steps, int | float) and not isinstance(steps, bool), "steps", steps, rule)
    assert steps is not None
    require(1 <= steps <= MOST_STEPS and steps == steps // 1, "steps", steps, rule)
    return int(steps)


def _device(name: str) -> str:
    import torch  # noqa: PLC0415

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    require(name in {"cpu", "cuda"}, "device", name, "must be cpu, cuda or auto")
    here = name == "cpu" or torch.cuda.is_available()
    require(here, "device", name, "must be cpu here: torch finds no CUDA device")
    return name


def _precision(precision: Precision, device: str, threads: int) -> Precision:
    from virel_deep.networks.precision import chosen  # noqa: PLC0415  (brings torch)

    return chosen(precision, device, max(1, threads))  # fewer are refused with the other settings
