"""The command `virel train`: parse the options, write or find the run folder, start training."""

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from virel_common.errors import InputError, require
from virel_common.machine import available_cpus
from virel_common.terminal import DONE, as_argument, run_command, say
from virel_deep.commands.run_folders import continued_run, new_run
from virel_deep.commands.task_options import first_id, pairs
from virel_deep.commands.train_options import TrainOptions
from virel_deep.design.environment import EnvSpec
from virel_deep.design.run import RunConfig
from virel_deep.results.read import read_run
from virel_deep.run.folder import locked, read_config, read_together
from virel_deep.run.launch import train


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
        status = train(*folders, jobs=jobs, survive=True)
        if status == DONE:
            _say_what_came_out(folders)
        return status

    return run_command(TrainOptions, argv, prog="virel train", run=run)


def _say_what_came_out(runs: Sequence[Path]) -> None:
    """Say for each finished run its folder, its last evaluation and what can be done with it."""
    for run in runs:
        try:
            returns = read_run(run).returns[:, -1]
        except InputError:  # it ended before its first evaluation
            last = "before the first evaluation"
        else:
            of = f", mean of {len(returns)} seeds" if len(returns) > 1 else ""
            last = f"last evaluation {returns.mean():.4g}{of}"
        folder = shlex.quote(as_argument(run))
        say(f"{run} is done: {last}; see virel compare, evaluate, watch or export {folder}")


def _resumed(options: TrainOptions, argv: Sequence[str]) -> list[Path]:
    """Check the options of resumed runs, raise their numbers of steps and seeds if asked to; return them."""
    given = {_named(word) for word in argv if word[:2] == "--"}
    for name in sorted(given):
        rule = "must not be given with --resume: the run folder fixes it"
        value = getattr(options, name)
        found = [*chain(*value)] if name in {"set", "env_arg", "task"} else value
        require(name in {"resume", "steps", "seeds", "jobs"}, name, found, rule)
    seeds = options.seeds if "seeds" in given else None
    one = len(options.resume) == 1
    require(one or seeds is None, "seeds", seeds, "must not be given with several run folders")
    configs = read_together(options.resume, any_steps=options.steps is not None)
    if options.steps is not None and not one:
        _require_all(options.resume, configs, options.steps)
    return [continued_run(run, options.steps, seeds, beside=options.resume) for run in options.resume]


def _named(word: str) -> str:
    """Name of the option that a word of the command line gives: `--no-normalize` is that of `normalize`."""
    name = word.partition("=")[0].removeprefix("--").replace("-", "_")
    return name if name in TrainOptions.__dataclass_fields__ else name.removeprefix("no_")


def _require_all(runs: Sequence[Path], configs: Sequence[RunConfig], steps: float) -> None:
    """Raise `InputError` unless the goal of every run can be raised now, before that of the first one is."""
    most = max(config.steps for config in configs)
    require(steps >= most, "steps", steps, f"must be at least {most}, the runs' goal so far")
    with ExitStack() as held:
        for run, config in zip(runs, configs, strict=True):
            held.enter_context(locked(run, config.seeds))


def _default_jobs(device: str) -> int:
    return available_cpus() if device == "cpu" else 1
