"""Evaluation of the newest or best policy of one seed: its episodes, or why there are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from virel_common.errors import InputError
from virel_deep.data.environments import Episode
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.design.run import RunConfig
from virel_deep.results.statistics import Scores
from virel_deep.run.evaluate import PolicyFailure, evaluate_tasks
from virel_deep.run.policy import load_policy
from virel_deep.streams import stream


class Asked(NamedTuple):
    """Episodes to play with each seed's policy."""

    episodes: int
    """Number of episodes in each task."""
    seed: int
    """Source of their randomness."""
    best: bool = False
    """Whether to take the policy of the seed's best evaluation, not the newest."""


@dataclass(frozen=True)
class Evaluated:
    """Evaluation of the newest policy of one seed: its training step and its episodes."""

    seed: int
    step: int
    """Environment steps that the policy was trained for."""
    episodes: list[Episode]
    """Episodes of all tasks, task by task."""
    tasks: Sequence[str] = ()
    """Names of the tasks, each with as many episodes; none where there is one task."""

    @property
    def returns(self) -> Scores:
        """Unscaled return of each episode."""
        return np.array([episode.return_ for episode in self.episodes])

    @property
    def of_tasks(self) -> dict[str, "Evaluated"]:
        """Evaluation in each task alone, by its name; empty where there is one task."""
        n = len(self.episodes) // max(1, len(self.tasks))
        return {
            name: Evaluated(self.seed, self.step, self.episodes[i * n : (i + 1) * n])
            for i, name in enumerate(self.tasks)
        }


def evaluate_seed(run: Path, config: RunConfig, seed: int, asked: Asked) -> Evaluated | str:
    """Evaluate the policy of one seed of a run, or say in a sentence why it can't be evaluated."""
    source = stream(asked.seed, "after-training")
    try:
        policy = load_policy(run, seed, best=asked.best)
        played = evaluate_tasks(policy.act, config.eval_specs, source, asked.episodes)
    except (InputError, EnvironmentFailure, PolicyFailure) as error:
        return f"seed {seed}: {error}"
    return Evaluated(seed, policy.step, [x for of_task in played for x in of_task], config.task_names)
