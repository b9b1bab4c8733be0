"""Options of `virel train`, which are the arguments of a training from Python, too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from virel_common.errors import require
from virel_deep.design.fields import RULES, fits, hints_of
from virel_deep.design.run import Precision, RunConfig

SAME = (
    "capacity", "eval_env", "eval_episodes", "eval_stochastic", "normalize",
    "keep_best", "stop_return", "stop_evaluations", "threads",
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
    """Gymnasium id of the environment, like HalfCheetah-v5; for one of your own module:Id, where the module
    registers the id, or module:function, where the function makes the environment."""
    steps: float | None = None
    """Environment steps per seed in total, such as 1e6. With `--resume`: a new, larger total."""
    seeds: int = 1
    """Number of seeds to train: 0, 1, ..., or consecutive numbers from `--first-seed` on. With `--resume`: a
    new, larger number."""
    first_seed: int = 0
    """First seed of the run, at least 0; the others are the next whole numbers."""
    out: Path | None = None
    """Run folder to write; default out/train/PRESET-ENV."""
    resume: Annotated[tuple[Path, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Continue the run in this folder, or in several that differ in their seeds alone; on the CPU the result
    is that of an uninterrupted run (in environments other than MuJoCo's, CartPole-v1 and Pendulum-v1
    episodes begin anew)."""
    jobs: int | None = None
    """Number of processes that the seeds are split over; default one per CPU core; on a GPU a single one."""
    set: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """Settings of the algorithm as NAME=VALUE: data.batch=128 temperature=residual temperature.scale=1e-3."""
    env_arg: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """Arguments of the environment as NAME=VALUE, such as g=9.0 is_slippery=false; a value is JSON, a Python
    literal or text."""
    task: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """One of several tasks that are trained at once, by its arguments as NAME=VALUE, after the id of its
    environment if that is not --env. Given twice or more: --task goal=0 --task goal=1."""
    prior: Path | None = None
    """Run folder of an earlier training, whose learned prior this one has; --set prior.frozen=False to train
    it further."""
    max_episode_steps: int | None = None
    """Time limit of an episode, in training and evaluation; default: the one of the registered id."""
    capacity: int = RunConfig.capacity
    """Transitions that each seed's replay keeps, in memory and on disk; rollouts keep one rollout."""
    copies: int | None = None
    """Parallel copies of the environment per seed; as many gradient updates per transition as with one.
    Default: the preset's number, 1 for most, rounded up to a multiple of the number of tasks."""
    eval_episodes: int = 1
    """Number of episodes per evaluation, played without exploring."""
    eval_every: int | None = None
    """Environment steps from one evaluation to the next. Default 1000, or the next smaller multiple of the
    copies."""
    normalize: bool = False
    """Normalise observations by their running mean and deviation, per seed; evaluations, checkpoints and
    exported policies include this."""
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
    checkpoint_every: int | None = None
    """Environment steps from one checkpoint to the next. Default 10000, or the next smaller multiple of the
    copies."""
    device: str = "auto"
    """Device that trains: cpu, cuda, or auto, which means cuda if torch finds a GPU, else cpu."""
    threads: int = 1
    """CPU threads of torch and numpy in each training process."""
    precision: Precision = "auto"
    """Way to compute float32 matrix products: highest (torch, matrix by matrix), stacked (numpy, as
    exact, faster for narrow networks), compiled (numba, as exact, fastest for narrow networks), medium
    (torch with oneDNN or TF32), or auto: medium where it is exact and much faster, else stacked (on a GPU
    highest)."""


def check_options(options: TrainOptions) -> None:
    """Raise `InputError` for the first option whose value is of another type than the command line gives.

    Example:
        >>> check_options(TrainOptions(copies="2"))
        Traceback (most recent call last):
            ...
        virel_common.errors.InputError: `copies` must be a whole number or None; found '2'
    """
    for name, hint in hints_of(TrainOptions).items():
        value = getattr(options, name)
        if hint in RULES:
            large = isinstance(value, int) and hint in {int, int | None, float | None}  # its own rule says so
            require(
                fits(value, hint) or (large and not isinstance(value, bool)),
                name,
                value,
                f"must be {RULES[hint]}",
            )
        elif hint == Path | None:
            require(value is None or isinstance(value, Path), name, value, "must be a `Path` or None")
        elif name == "task":
            words = isinstance(value, tuple | list) and all(isinstance(one, tuple | list) for one in value)
            texts = words and all(isinstance(word, str) for one in value for word in one)
            require(texts, name, value, 'must be tuples of texts, such as (("goal=0",), ("goal=1",))')
