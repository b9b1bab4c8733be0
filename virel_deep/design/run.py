"""Configuration of a training run: algorithm, environment, seeds, and how it is trained, logged and saved."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from virel_deep.design.algorithm import Algorithm
from virel_deep.design.environment import EnvSpec, check_tasks, labels, specs
from virel_deep.design.fields import Table, Tables, added, check_types, demand, demand_at_least
from virel_deep.design.records import decode, encode

Precision = Literal["auto", "highest", "medium", "stacked", "compiled"]
"""How float32 matrix products are computed; see `RunConfig.precision`."""

COUNTS = (
    "steps", "copies", "capacity", "eval_every", "eval_episodes", "log_every", "checkpoint_every", "threads",
    "stop_evaluations",
)  # fmt: skip
"""Settings of a run that count something, so that they are at least 1."""


@dataclass(frozen=True)
class RunConfig:
    """Complete configuration of a training run, stored as `config.json` in its folder."""

    preset: str
    """Name of the preset that the algorithm began as; a label."""
    env: str
    """Gymnasium id, like HalfCheetah-v5."""
    algorithm: Algorithm
    steps: int
    """Environment steps (transitions) per seed."""
    seeds: tuple[int, ...]
    """Seeds of the run, each an independent repetition."""
    copies: int = 1
    """Parallel environments per seed (E); still one update per transition."""
    capacity: int = 1_000_000
    """Transitions kept per seed; never more than `steps`."""
    eval_every: int = 1000
    """Environment steps from one evaluation to the next."""
    eval_episodes: int = 1
    """Deterministic episodes per evaluation (VIREL App. I: 1,000 steps, one full episode)."""
    log_every: int = 1000
    """Environment steps from one `train` row of the log to the next."""
    checkpoint_every: int = 10_000
    """Environment steps from one checkpoint to the next."""
    device: str = "cpu"
    """Torch device that trains: cpu or cuda."""
    threads: int = 1
    """CPU threads per training process; two beside another busy process are far slower than one."""
    precision: Precision = "auto"
    """How float32 products are computed: `highest` by torch, matrix by matrix; `stacked` as exactly by numpy,
    stack by stack, which is faster for narrow layers; `compiled` as exactly by numba, a whole pass of a
    network in one call, which is fastest for narrow layers; `medium` by torch with oneDNN (on a GPU, TF32).
    `auto` is `medium` on a CPU where a probe finds it exact and much faster, else `stacked`; on a GPU
    `highest`.

    `virel train` records what the probe chose, so that all processes of a run have the same bits."""
    env_arguments: Table = added({})  # noqa: RUF009  (makes a field)
    """Arguments of the environment by name, as `gymnasium.make` takes them."""
    max_episode_steps: int | None = added(None)
    """Time limit of an episode in steps; None is the limit that the environment was registered with."""
    normalize: bool = added(False)
    """Whether networks see observations minus their running mean, divided by their running deviation."""
    eval_env: str | None = added(None)
    """Gymnasium id of the environment of evaluations, with equal spaces; None is the one of training."""
    eval_stochastic: bool = added(False)
    """Whether evaluations draw actions as training does, instead of taking the deterministic ones."""
    keep_best: bool = added(False)
    """Whether the policy of each seed's best evaluation is kept, in the seed's folder `best`."""
    stop_return: float | None = added(None)
    """Mean return of an evaluation from which on a seed may stop early; None: it never does."""
    stop_evaluations: int = added(1)
    """Consecutive evaluations that must reach `stop_return` before a seed stops."""
    tasks: Tables = added(())  # noqa: RUF009  (makes a field)
    """Tasks that a seed trains at once, each with an `id` and `arguments` of its own; () is the one of `env`.
    Copy i of the environments has task i modulo their number."""
    prior_run: str | None = added(None)
    """Run folder that the prior's parameters came from, which `prior.npz` holds; None: they were drawn.
    In a job of a study it is relative to the job's own folder."""

    def __post_init__(self) -> None:
        """Check numbers of steps, seeds, copies and rows; raise `InputError` for one that is invalid."""
        check_types(self)
        demand_at_least(
            self, 1, *COUNTS, *(["max_episode_steps"] if self.max_episode_steps is not None else [])
        )
        finite = self.stop_return is None or math.isfinite(self.stop_return)
        demand(self, finite, "stop_return", "must be finite or None")
        demand(self, len(self.seeds) >= 1, "seeds", "must name at least one seed")
        demand(self, len(set(self.seeds)) == len(self.seeds), "seeds", "must all be different")
        demand(self, all(seed >= 0 for seed in self.seeds), "seeds", "must be non-negative")
        for name in ("steps", "eval_every", "log_every", "checkpoint_every"):
            whole = getattr(self, name) % self.copies == 0
            demand(self, whole, name, f"must be a multiple of `copies` = {self.copies}")
        check_tasks(self.tasks)
        whole = self.copies % max(1, len(self.tasks)) == 0
        demand(self, whole, "copies", f"must be a multiple of the number of tasks, {len(self.tasks)}")
        own = self.eval_env is None or not self.tasks
        demand(self, own, "eval_env", "must be None where there are several tasks")
        if self.algorithm.data.capped:
            self._check_capacity()

    def _check_capacity(self) -> None:
        """Raise `InputError` unless the replay holds a batch and a window."""
        least = max(self.copies, self.algorithm.data.transitions(self.copies))
        demand(self, self.capacity >= least, "capacity", f"must be at least {least}, to hold a batch")
        window = self.first_window
        demand(
            self,
            self.capacity >= window,
            "capacity",
            f"must be at least {window}, to hold a window of targets",
        )

    @property
    def env_specs(self) -> tuple[EnvSpec, ...]:
        """Specifications of the environments that the run trains in: one, or one per task."""
        one = EnvSpec(self.env, self.env_arguments, self.max_episode_steps)
        return specs(self.tasks, one) or (one,)

    @property
    def task_names(self) -> list[str]:
        """Names of the tasks, in their order; none where there is one task."""
        return labels(self.tasks)

    @property
    def eval_specs(self) -> tuple[EnvSpec, ...]:
        """Specifications of the environments of evaluations; another id has none of the run's arguments."""
        if self.eval_env is None:
            return self.env_specs
        return (EnvSpec(self.eval_env, max_episode_steps=self.max_episode_steps),)

    @property
    def idle(self) -> str | None:
        """Reason why a seed makes no update in all of its steps; None if it makes one."""
        of = self.algorithm
        return of.data.idle(
            self.steps, window=of.value.window, copies=self.copies,
            every=of.update_every, ratio=of.updates_per_step,
        )  # fmt: skip

    @property
    def kept(self) -> int:
        """Most transitions that are kept per seed."""
        return self.algorithm.data.kept(capacity=self.capacity, copies=self.copies)

    @property
    def first_window(self) -> int:
        """Transitions from the first to the last of one window, those of the other copies included."""
        return (self.algorithm.value.window - 1) * self.copies + 1


def to_json(config: RunConfig) -> dict[str, Any]:
    """Convert a run's configuration to plain JSON values."""
    return encode(config)


def from_json(values: dict[str, Any]) -> RunConfig:
    """Convert plain JSON values to a run's configuration.

    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type or breaks a rule.

    Example:
        >>> from virel_deep.design.presets import run_config
        >>> config = run_config("sac", "HalfCheetah-v5", steps=1000, seeds=(0,))
        >>> from_json(to_json(config)) == config
        True
    """
    return decode(RunConfig, values, "config")
