"""The command `virel train`: parse the options, write or find the run folder, start training."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from virel_common.errors import InputError, require
from virel_common.machine import available_cpus
from virel_common.terminal import DONE, run_command, say
from virel_deep.commands.run_folders import continued_run, new_run
from virel_deep.commands.task_options import first_id, pairs
from virel_deep.commands.train_options import TrainOptions
from virel_deep.design.environment import EnvSpec
from virel_deep.results.read import read_run
from virel_deep.run.folder import read_config, read_together
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
        say(f"{run} is done: {last}; see virel compare, evaluate, watch or export {run}")


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


def _default_jobs(device: str) -> int:
    return available_cpus() if device == "cpu" else 1
