"""The command `virel train`: parse and check the options, write the run folder, start training."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import tyro

from virel_common.errors import require
from virel_common.machine import available_cpus
from virel_common.terminal import run_command, say
from virel_deep.design.adapt import require_suited
from virel_deep.design.environment import EnvSpec
from virel_deep.design.presets import PRESETS, algorithm
from virel_deep.design.presets import run_config as preset_config
from virel_deep.design.run import Precision, RunConfig
from virel_deep.run.folder import changed_versions, read_config, read_together, set_steps, write_config
from virel_deep.run.launch import train

LOG_EVERY = RunConfig.log_every
"""Steps from one `train` row to the next; with copies that don't divide it, the nearest multiple below."""


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
    copies: int = 1
    """Parallel copies of the environment per seed; still one gradient update per transition collected."""
    eval_episodes: int = 1
    """Number of episodes per evaluation, played by the deterministic policy."""
    eval_every: int = 1000
    """Environment steps from one evaluation to the next."""
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
        settings = _settings(tuple(chain(*options.set)))
        folders = _resumed(options, argv) if options.resume else [new_run(options, settings)]
        return train(*folders, jobs=options.jobs or _default_jobs(read_config(folders[0]).device))

    return run_command(TrainOptions, argv, prog="virel train", run=run)


def new_run(options: TrainOptions, settings: Mapping[str, object], *, spec: EnvSpec | None = None) -> Path:
    """Check options and settings of a new run, then write its folder with `config.json`; return it.

    `spec` specifies the environment beyond its id.
    """
    from virel_deep.data.making import has_discrete_actions  # noqa: PLC0415  (brings MuJoCo)

    require(options.preset is not None, "preset", options.preset, f"must be one of {', '.join(PRESETS)}")
    require(options.env is not None, "env", options.env, "must be a Gymnasium id, like HalfCheetah-v5")
    require(options.steps is not None, "steps", options.steps, "must be given, such as --steps 1e6")
    assert options.preset is not None
    assert options.env is not None
    spec = spec or EnvSpec(options.env)
    require(options.seeds >= 1, "seeds", options.seeds, "must be at least 1")
    steps, device = _whole(options.steps), _device(options.device)
    discrete = has_discrete_actions(spec)
    chosen = algorithm(options.preset, options.env, settings, discrete=discrete)
    require_suited(chosen, options.env, discrete=discrete)
    config = preset_config(
        options.preset,
        options.env,
        algorithm=chosen,
        steps=steps,
        seeds=tuple(range(options.first_seed, options.first_seed + options.seeds)),
        copies=options.copies,
        log_every=max(1, LOG_EVERY // options.copies) * options.copies,
        eval_every=options.eval_every,
        eval_episodes=options.eval_episodes,
        checkpoint_every=options.checkpoint_every,
        device=device,
        threads=options.threads,
        precision=_precision(options.precision, device),
        env_arguments=dict(spec.arguments),
        max_episode_steps=spec.max_episode_steps,
    )
    run = options.out or Path("out/train") / f"{options.preset}-{re.sub('[/<>]+', '-', options.env)}"
    held = (run / "config.json").exists() or any(run.glob("seed-*"))
    require(
        not held,
        "out",
        str(run),
        "must not hold a run (continue that one with --resume, or choose another folder)",
    )
    write_config(run, config)
    if why := chosen.data.idle(steps, options.copies):
        say(f"note: {steps} steps make no update: {why}")
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
    config = read_config(run)
    _device(config.device)
    goal = config.steps if steps is None else _whole(steps)
    require(goal >= config.steps, "steps", goal, f"must be at least {config.steps}, the run's goal so far")
    n = len(config.seeds)
    count = n if seeds is None else seeds
    require(count >= n, "seeds", count, f"must be at least {n}, the number of seeds so far")
    next_seed = max(config.seeds) + 1
    more = tuple(range(next_seed, next_seed + count - n))
    if goal > config.steps or more:
        set_steps(run, goal, (*config.seeds, *more))
    for name, (was, now) in changed_versions(run).items():
        say(
            f"note: {name} changed from {was} to {now} since this run began; "
            "results may no longer be bit-identical"
        )
    return run


def _settings(pairs: Sequence[str]) -> dict[str, object]:
    """Parse settings given as `NAME=VALUE`; a value is a Python literal if it parses as one, else text."""
    import ast  # noqa: PLC0415

    out: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        require(bool(equals), "set", pair, "must be NAME=VALUE")
        require(name not in out, "set", pair, f"must not give {name} twice")
        try:
            literal = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            literal = value
        out[name] = tuple(literal) if isinstance(literal, list) else literal
    return out


def _whole(steps: float | None) -> int:
    require(
        steps is not None and steps == steps // 1 and steps >= 1,
        "steps",
        steps,
        "must be a whole number >= 1",
    )
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
