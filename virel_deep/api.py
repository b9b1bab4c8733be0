"""The deep agent from Python: train, continue, load a policy, evaluate, compare.

Each function writes or reads a run folder, the same that the command line uses: `virel train --resume`
continues what `train` began, and `load_policy` reads what `virel train` wrote.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError, require
from virel_deep.commands.train import TrainOptions, continued_run, new_run
from virel_deep.data.actions import Actions, actions_of
from virel_deep.data.making import make_env
from virel_deep.data.observations import Observations, observations_of
from virel_deep.data.returned import Unusable
from virel_deep.results.evaluate_run import Evaluated, evaluate_run
from virel_deep.results.names import entries
from virel_deep.results.pool import pooled
from virel_deep.results.read import read_run
from virel_deep.results.tables import as_markdown, overall_table, score_table
from virel_deep.run import policy as seed_policy
from virel_deep.run.folder import read_config
from virel_deep.run.launch import COMPLETE
from virel_deep.run.launch import train as train_run

RunPath = str | Path
Numbers = NDArray[Any]


class TrainingStopped(RuntimeError):
    """Training ended early: a seed failed, or it was stopped; `run` is the folder, which can be continued."""

    def __init__(self, run: Path, status: int) -> None:
        """Store the run folder and the exit status that the command line would have."""
        reason = "a seed failed" if status == 1 else "it was stopped"
        super().__init__(f"training in {run} ended early, as {reason}; `resume({str(run)!r})` continues it")
        self.run, self.status = run, status


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """Deterministic policy of one seed of a run, which acts in the environment's own numbers."""

    env: str
    """Gymnasium id of the environment that it was trained on."""
    seed: int
    """Seed of the run whose newest policy this is."""
    step: int
    """Environment steps that the policy was trained for."""
    observation_size: int
    """Number of entries O of an observation; of a discrete one, of the one-hot vector that stands for it."""
    _policy: seed_policy.Policy
    _actions: Actions
    _observations: Observations

    def act(self, observation: ArrayLike) -> Numbers:
        """Choose actions that `env.step` takes: `[A]` for one observation `[O]`, `[N, A]` for `[N, O]`.

        A discrete observation is a whole number, several are `[N]`; so it is with discrete actions.

        Raises:
            InputError: the observation has another shape, is not finite, or is not of a discrete space.
        """
        shape = self._observations.blank.shape
        seen = np.asarray(observation, np.float32 if shape else np.float64)
        alone = seen.shape == shape
        wanted = f"have shape [{self.observation_size}], or [N, that]" if shape else "be a number, or [N]"
        fits = alone or (seen.ndim == len(shape) + 1 and seen.shape[1:] == shape)
        require(fits, "observation", seen.shape, f"must {wanted}")
        require(bool(np.isfinite(seen).all()), "observation", seen.tolist(), "must be finite")
        try:
            vectors = self._observations.vectors(seen[None] if alone else seen)
        except Unusable as error:
            raise InputError(f"`observation`: {error}") from None
        action = self._actions.from_unit(self._policy.act(vectors.astype(np.float32, copy=False)))
        return action[0] if alone else action


def train(
    preset: str,
    env: str,
    *,
    steps: float,
    seeds: int = 1,
    out: RunPath | None = None,
    jobs: int = 1,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Train an agent, as `virel train` does, and return its run folder.

    Args:
        preset: named algorithm; `virel presets` lists them.
        env: Gymnasium id, or `module:Id` for an environment that a module registers.
        steps: environment steps per seed.
        seeds: number of seeds, 0, 1, ...; options may hold `first_seed`.
        out: run folder; None: out/train/PRESET-ENV.
        jobs: processes that the seeds are split over. From a thread other than the main one, use 1.
        settings: settings of the algorithm by name, such as `{"data.batch": 64, "temperature.scale": 1e-3}`.
        options: other options of `virel train`, such as `eval_every=5000` or `device="cpu"`.

    Raises:
        InputError: an argument is wrong; nothing was written.
        TrainingStopped: a seed failed, or training was interrupted.

    Example:
        >>> run = train("sac", "Pendulum-v1", steps=1e4, seeds=3, out="out/pendulum")  # doctest: +SKIP
    """
    unknown = sorted(set(options) - set(TrainOptions.__dataclass_fields__))
    require(
        not unknown,
        "options",
        unknown,
        "must be options of `virel train`; algorithm settings go into `settings`",
    )
    chosen = TrainOptions(
        preset=preset, env=env, steps=steps, seeds=seeds, out=None if out is None else Path(out), **options
    )
    return _finished(new_run(chosen, dict(settings or {})), jobs)


def resume(run: RunPath, *, steps: float | None = None, jobs: int = 1) -> Path:
    """Continue a run exactly where it ended, or beyond its goal with a larger number of `steps`.

    Raises:
        InputError: there is no run, or `steps` is below its goal so far.
        TrainingStopped: a seed failed, or training was interrupted.
    """
    return _finished(continued_run(Path(run), steps), jobs)


def load_policy(run: RunPath, seed: int | None = None) -> LoadedPolicy:
    """Load the newest policy of a run's seed, by default of its first one.

    Raises:
        InputError: the run, seed or checkpoint does not exist, is damaged, or belongs to another run.

    Example:
        >>> policy = load_policy("out/pendulum")  # doctest: +SKIP
        >>> action = policy.act(observation)  # doctest: +SKIP
    """
    folder = Path(run)
    chosen = read_config(folder).seeds[0] if seed is None else seed
    found = seed_policy.load_policy(folder, chosen)
    env = make_env(found.env)
    try:
        actions, seen = actions_of(env.action_space), observations_of(env.observation_space)
    finally:
        env.close()
    return LoadedPolicy(found.env.id, chosen, found.step, seen.size, found, actions, seen)


def evaluate(run: RunPath, *, episodes: int = 10, seed: int = 0) -> list[Evaluated]:
    """Evaluate the newest policy of every seed of a run on the same episodes, deterministically.

    Returns: one `Evaluated` per seed, with `seed`, `step`, `episodes` and `returns`.

    Raises:
        InputError: there is no run, `episodes` is less than 1, or a seed cannot be evaluated.
    """
    done, failed = evaluate_run(Path(run), episodes=episodes, seed=seed)
    require(not failed, "run", str(run), f"must hold a policy of every seed; {'; '.join(failed)}")
    return done


def compare(runs: Sequence[RunPath], *, steps: int | None = None) -> str:
    """Compare runs: a Markdown table of scores with intervals; runs that differ in seeds alone are one.

    Args: runs: run folders; the first one's algorithm is what others are compared with. steps: only so many.

    Raises:
        InputError: a folder is no run, or named twice.
    """
    paths = [Path(run) for run in runs]
    folders = [str(path.resolve()) for path in paths]
    require(len(folders) >= 1, "runs", folders, "must name at least one run folder")
    require(len(set(folders)) == len(folders), "runs", folders, "must be different folders")
    read = pooled([read_run(path) for path in paths])
    named = entries(read if steps is None else [run.until(steps) for run in read])
    tables = (score_table(named), overall_table(named))
    return as_markdown([table for table in tables if table is not None], [])


def _finished(run: Path, jobs: int) -> Path:
    """Train a run's unfinished seeds; return its folder, or raise `TrainingStopped`."""
    require(jobs >= 1, "jobs", jobs, "must be at least 1")
    status = train_run(run, jobs=jobs)
    if status != COMPLETE:
        raise TrainingStopped(run, status)
    return run
