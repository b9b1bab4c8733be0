"""The deep agent from Python: train, continue, load a policy, evaluate, compare.

Each function writes or reads a run folder, the same that the command line uses: `virel train --resume`
continues what `train` began, and `load_policy` reads what `virel train` wrote.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import current_process
from pathlib import Path
from typing import Any

from virel_common.arguments import as_path, as_whole, plain_number, require_flag
from virel_common.errors import require
from virel_common.terminal import DONE, FAILED, INTERRUPTED, say
from virel_deep.commands.run_folders import continued_run, new_run
from virel_deep.commands.train_options import TrainOptions
from virel_deep.data.functions import Maker, lent, only_here, path_of, specified
from virel_deep.design.environment import EnvSpec
from virel_deep.results.evaluate_run import evaluate_runs
from virel_deep.results.evaluate_seed import Asked, Evaluated
from virel_deep.results.loaded import LoadedPolicy, loaded_policy
from virel_deep.results.names import entries
from virel_deep.results.pool import read_pooled
from virel_deep.results.remarks import remarks
from virel_deep.results.tables import as_markdown, overall_table, score_table
from virel_deep.run.callbacks import Callbacks, OnEvaluation, OnLog
from virel_deep.run.folder import read_config
from virel_deep.run.launch import train as train_run

RunPath = str | Path
ELSEWHERE = {
    "set": "must be left out: settings of the algorithm go into `settings`, a dictionary",
    "env_arg": "must be left out: arguments of the environment are those of an `EnvSpec`, given as `env`",
    "resume": "must be left out: `virel_deep.resume` continues a run",
}
"""Options of `virel train` that have another place here, and which."""


class TrainingStopped(RuntimeError):
    """Training ended early: something failed, or it was stopped; `run` is the folder, which can be continued.

    Example:
        >>> str(TrainingStopped(Path("run"), FAILED, ["seed 0 failed"]))
        "training in run ended early: seed 0 failed; `resume('run')` continues it"
    """

    def __init__(self, run: Path, status: int, failures: Sequence[str] = ()) -> None:
        """Store the run folder and the exit status that the command line would have; say what failed."""
        reason = "; ".join(dict.fromkeys(failures)) if status == FAILED else "it was stopped"
        super().__init__(f"training in {run} ended early: {reason}; `resume({str(run)!r})` continues it")
        self.run, self.status = run, status
        self._failures = tuple(failures)

    def __reduce__(self) -> tuple[type["TrainingStopped"], tuple[Path, int, Sequence[str]], dict[str, Any]]:
        """Make copies by the constructor, as another process does that gets the error; notes go along."""
        return type(self), (self.run, self.status, self._failures), vars(self)


def train(
    preset: str,
    env: EnvSpec | str | Maker,
    *,
    steps: float,
    seeds: int = 1,
    out: RunPath | None = None,
    jobs: int = 1,
    on_log: OnLog | None = None,
    on_evaluation: OnEvaluation | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Train an agent, as `virel train` does, and return its run folder.

    Args:
        preset: named algorithm; `virel presets` lists them.
        env: Gymnasium id; `module:Id` for an environment that a module registers; an `EnvSpec`, with
            arguments and time limit; or a function that makes a new environment at each call.
        steps: environment steps per seed.
        seeds: number of seeds, 0, 1, ...; options may hold `first_seed`.
        out: run folder; None: out/train/PRESET-ENV.
        jobs: processes that the seeds are split over. With more than one, a script must call this below
            `if __name__ == "__main__":`, and a function that makes an environment must be one of a module.
        on_log: called with a step and a row of the log, a mean over the seeds in `row["seeds"]`. If it
            returns True, every seed saves and stops. With several jobs it is called in this process, for each
            group of seeds apart, and the seeds take some more steps before they stop.
        on_evaluation: called alike with a step and the mean return of each seed's evaluation.
        settings: settings of the algorithm by name, such as `{"data.batch": 64, "temperature.scale": 1e-3}`.
        options: other options of `virel train`, such as `eval_every=5000` or `device="cpu"`. Arguments of the
            environment are given by an `EnvSpec`.

    Returns:
        The run folder, also if a callback has stopped the training: `resume` continues it.

    Raises:
        InputError: an argument is wrong; nothing was written.
        TrainingStopped: a seed, file or process failed, or a signal stopped the training.
        BaseException: what a callback raised, after every seed was saved.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = train("sac", "Pendulum-v1", steps=20, seeds=2, out=f"{folder}/run")
        ...     print((run / "config.json").is_file(), (run / "seed-1").is_dir())
        True True
    """
    for name in sorted(options):
        known = name in TrainOptions.__dataclass_fields__ and name not in ELSEWHERE
        others = ", ".join(x for x in TrainOptions.__dataclass_fields__ if x not in ELSEWHERE)
        rule = f"must be an option of `virel train` ({others}); algorithm settings go into `settings`"
        rule = ELSEWHERE.get(name, rule)
        require(known, name, options[name], rule)
    spec, function = specified(env)
    callbacks, folder = Callbacks(on_log, on_evaluation), None if out is None else as_path(out, name="out")
    if options.get("prior") is not None:
        options["prior"] = as_path(options["prior"], name="prior")
    plain = {name: plain_number(value) for name, value in {**options, "steps": steps, "seeds": seeds}.items()}
    chosen = TrainOptions(preset=preset, env=spec.id, out=folder, **plain)
    with lent(spec.id, function):
        jobs = _checked_jobs(jobs, spec.id)
        return _finished([new_run(chosen, _named(settings), spec=spec)], jobs, callbacks)


def resume(
    run: RunPath,
    *,
    steps: float | None = None,
    seeds: int | None = None,
    jobs: int = 1,
    env: Maker | None = None,
    on_log: OnLog | None = None,
    on_evaluation: OnEvaluation | None = None,
) -> Path:
    """Continue a run exactly where it ended, or beyond its goal.

    Args:
        run: run folder.
        steps: new, larger number of steps per seed; None: as before.
        seeds: new, larger number of seeds; those that are new begin at step 0, and have the same bits as if
            they had been started with the others. None: as before.
        jobs: as in `train`.
        env: function that makes the environment, for a run that was trained with one that has no import path.
        on_log: as in `train`.
        on_evaluation: as in `train`.

    Raises:
        InputError: there is no run, or `steps` or `seeds` is below what it has so far.
        TrainingStopped: a seed, file or process failed, or a signal stopped the training.
        BaseException: what a callback raised, after every seed was saved.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = train("sac", "Pendulum-v1", steps=20, out=f"{folder}/run")
        ...     print(load_policy(resume(run, steps=30)).step)
        30
    """
    folder, callbacks = as_path(run, name="run"), Callbacks(on_log, on_evaluation)
    env_id = _recorded(folder, env)
    with lent(env_id, env):
        jobs = _checked_jobs(jobs, env_id)
        return _finished([continued_run(folder, plain_number(steps), plain_number(seeds))], jobs, callbacks)


def load_policy(
    run: RunPath,
    seed: int | None = None,
    *,
    env: Maker | None = None,
    noise_seed: int = 0,
    best: bool = False,
) -> LoadedPolicy:
    """Load the newest policy of a run's seed, by default of its first one.

    Args:
        run: run folder.
        seed: one of the run's seeds.
        env: function that makes the environment, for a run that was trained with one that has no import path.
        noise_seed: seed of the random numbers of `act(..., deterministic=False)`. The plans of `smcp` in
            `act(...)` have their own, which are always the same.
        best: whether to take the policy of the seed's best evaluation, which a run with `keep_best` has.

    Raises:
        InputError: the run, seed or checkpoint does not exist, is damaged, or belongs to another run; or the
            best policy was not kept.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = train("sac", "Pendulum-v1", steps=20, out=f"{folder}/run")
        ...     print(load_policy(run).act([1.0, 0.0, 0.0]).shape)
        (1,)
    """
    folder = as_path(run, name="run")
    chosen = None if seed is None else as_whole(seed, name="seed", least=0)
    noise = as_whole(noise_seed, name="noise_seed", least=0)
    require_flag(best, name="best")
    with lent(_recorded(folder, env), env):
        return loaded_policy(folder, chosen, noise_seed=noise, best=bool(best))


def evaluate(
    *runs: RunPath, episodes: int = 10, seed: int = 0, env: Maker | None = None, best: bool = False
) -> list[Evaluated]:
    """Evaluate the newest policy of every seed of a run on the same episodes, without exploring.

    Policies are deterministic, but for a planner (`smcp`), which draws its plans, the same ones at each call.

    Args:
        runs: run folders; several must differ in their seeds alone.
        episodes: number of episodes.
        seed: random seed of the episodes.
        env: function that makes the environment, for a run that was trained with one that has no import path.
        best: whether to take the policy of each seed's best evaluation, which a run with `keep_best` has.

    Returns:
        One `Evaluated` per seed, with `seed`, `step`, `episodes` and `returns`.

    Raises:
        InputError: there is no run, `episodes` is less than 1, or a seed cannot be evaluated.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = train("sac", "Pendulum-v1", steps=20, out=f"{folder}/run")
        ...     print([(one.seed, len(one.returns)) for one in evaluate(run, episodes=2)])
        [(0, 2)]
    """
    folders = [as_path(run, name="runs") for run in runs]
    require(len(folders) >= 1, "runs", list(runs), "must name at least one run folder")
    require_flag(best, name="best")
    asked = Asked(
        as_whole(episodes, name="episodes", least=1),
        as_whole(seed, name="seed", least=0),
        bool(best),
    )
    with lent(_recorded(folders[0], env), env):
        done, failed = evaluate_runs(folders, asked)
    rule = f"must hold a policy of every seed; {'; '.join(failed)}"
    require(not failed, "runs", [*map(str, folders)], rule)
    return [one for _, of_run in done for one in of_run]


def compare(runs: RunPath | Sequence[RunPath], *, steps: int | None = None) -> str:
    """Compare runs: a Markdown table of scores with intervals; runs that differ in seeds alone are one.

    A run without an evaluation is left out, and a line below the table says so.

    Args:
        runs: run folders, or one; the first one's algorithm is what others are compared with.
        steps: only so many environment steps of each; None: all.

    Raises:
        InputError: a folder is no run, or named twice.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = train("sac", "Pendulum-v1", steps=20, out=f"{folder}/run")
        ...     print("| Pendulum-v1 | sac | 1 |" in compare([run]))
        True
    """
    several = [runs] if isinstance(runs, str | os.PathLike) else runs
    require(isinstance(several, Sequence), "runs", runs, "must be run folders, or one")
    paths = [as_path(run, name="runs") for run in several]
    limit = None if steps is None else as_whole(plain_number(steps), name="steps", least=1)
    read, left_out = read_pooled(paths, steps=limit)
    named = entries(read)
    tables = (score_table(named), overall_table(named))
    said = [*remarks(named), *(f"{line}." for line in left_out)]
    return as_markdown([table for table in tables if table is not None], said)


def _named(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings as a dictionary of plain values."""
    given = {} if settings is None else settings
    ok = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
    require(ok, "settings", given, 'must be a dictionary such as {"data.batch": 64}')
    return {name: plain_number(value) for name, value in given.items()}


def _checked_jobs(jobs: int, env_id: str) -> int:
    """Number of processes, if so many can train; end a process that is still starting."""
    if getattr(current_process(), "_inheriting", False):  # it runs the script that started it
        say('virel_deep: a script must train with jobs > 1 below `if __name__ == "__main__":`')
        sys.exit(FAILED)
    jobs = as_whole(jobs, name="jobs", least=1)
    rule = "must be 1 for an environment whose function other processes can't import as `module:function`"
    require(jobs == 1 or not only_here(env_id), "jobs", jobs, f"{rule}: {env_id}")
    return jobs


def _recorded(run: Path, env: Maker | None) -> str:
    """Id of a run's environment; say so if the function that makes it now has another name."""
    rule = "must be a function that makes the run's environment, or None"
    require(env is None or callable(env), "env", env, rule)
    recorded = read_config(run).env
    if env is not None and path_of(env) != recorded:
        say(f"note: {run} was trained in {recorded}; its environment is now made by {path_of(env)}")
    return recorded


def _finished(runs: Sequence[Path], jobs: int, callbacks: Callbacks) -> Path:
    """Train a run's unfinished seeds; return its folder, or raise `TrainingStopped` or a callback's error."""
    status = train_run(*runs, jobs=jobs, callbacks=callbacks)
    if callbacks.error is not None:
        raise callbacks.error
    if status == DONE or (status == INTERRUPTED and callbacks.asked):
        return runs[0]
    raise TrainingStopped(runs[0], status, callbacks.failures)
