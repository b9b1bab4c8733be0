"""Policy of one seed in numpy, without exploring, for evaluation, video and export."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import require
from virel_deep.design.environment import EnvSpec, numbered
from virel_deep.design.run import RunConfig
from virel_deep.run.actors import Actor, make_actor
from virel_deep.run.evaluations import BEST
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import load_seed
from virel_deep.storage.checkpoint import Loaded
from virel_deep.streams import stream

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Policy:
    """Policy of one seed that does not explore: what acts, in which environment, after how many steps."""

    actor: Actor
    env: EnvSpec
    """Environment that the policy was trained in; of several tasks the one that was asked for."""
    step: int
    """Environment steps that the policy was trained for."""

    def act(self, observation: Floats) -> Floats:
        """Actions `[N, A]` in [-1, 1] at `observation [N, O]`; only a planner draws them."""
        return self.actor.act(observation)


def load_policy(run: Path, seed: int, *, best: bool = False, task: str | None = None) -> Policy:
    """Load the policy from the newest checkpoint of a seed, or that of its best evaluation.

    `task` is the name or number of the task to act in; None is the first one.

    Raises:
        InputError: the run, seed, task or checkpoint does not exist, is damaged, or belongs to another run;
            or the best policy was not kept.
    """
    return policy_of(*newest(run, seed, best=best), seed=seed, task=task)


def newest(run: Path, seed: int, *, best: bool = False) -> tuple[RunConfig, Loaded]:
    """Load a seed's newest or best checkpoint without the replay; return it after the configuration.

    Raises:
        InputError: the run, seed or checkpoint does not exist, is damaged, or belongs to another run.
    """
    config = read_config(run)
    require(seed in config.seeds, "seed", seed, f"must be one of {list(config.seeds)}")
    rule = f"must be left out: the run {run} was trained without --keep-best and has no best policy"
    require(config.keep_best or not best, "best", best, rule)
    place = BEST if best else "checkpoints"
    return config, load_seed(run, config, seed, place=place)


def acts_by(loaded: Loaded) -> dict[str, Any]:
    """What the policy of a checkpoint acts by: its agent, and the moments of observations, if any."""
    moments = {name: loaded.state[name] for name in ("moments",) if name in loaded.state}
    return {**loaded.state["agent"], **moments}


def policy_of(config: RunConfig, loaded: Loaded, *, seed: int, task: str | None = None) -> Policy:
    """Policy of a checkpoint of a seed, for a task by its name or number; None is the first one.

    One that plans has the random numbers of that seed and step.
    """
    number = 0 if task is None else numbered(task, config.task_names)
    source = stream(seed, "evaluation-actions", loaded.step)
    actor = make_actor(config.algorithm, acts_by(loaded), source)
    return Policy(actor, config.env_specs[number], loaded.step)
