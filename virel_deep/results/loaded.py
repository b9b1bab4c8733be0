"""Policy of a run for use in another program: it takes observations and gives what `env.step` takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import require
from virel_deep.data.actions import ActionRange
from virel_deep.data.making import make_env
from virel_deep.design.algorithm import Algorithm
from virel_deep.run.explorers import Explorer
from virel_deep.run.folder import read_config
from virel_deep.run.policy import Policy, newest, policy_of
from virel_deep.streams import stream

Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """Policy of one seed of a run, deterministic or exploring, in the environment's own range of actions."""

    env: str
    """Gymnasium id of the environment that it was trained on, or `module:function`."""
    seed: int
    """Seed of the run whose newest policy this is."""
    step: int
    """Environment steps that the policy was trained for."""
    observation_size: int
    """Number of entries O of an observation."""
    _policy: Policy
    _actions: ActionRange
    _algorithm: Algorithm
    _state: Mapping[str, Any]
    _noise_seed: int

    def act(self, observation: ArrayLike, *, deterministic: bool = True) -> Numbers:
        """Choose actions that `env.step` takes: `[A]` for one observation `[O]`, `[N, A]` for `[N, O]`.

        Args:
            observation: one observation, or N of them.
            deterministic: whether the policy acts as in evaluation; otherwise it explores as in training, by
                random numbers of its own: the same calls after loading give the same actions.

        Raises:
            InputError: the observation has another shape, or is not finite.
        """
        seen = np.asarray(observation, np.float32)
        fits = seen.ndim in (1, 2) and seen.shape[-1] == self.observation_size
        require(fits, "observation", seen.shape, f"must have shape [{self.observation_size}], or [N, that]")
        require(bool(np.isfinite(seen).all()), "observation", seen.tolist(), "must be finite")
        unit = (self._policy if deterministic else self._explorer).act(np.atleast_2d(seen))
        action = self._actions.from_unit(unit)
        return action[0] if seen.ndim == 1 else action

    @cached_property
    def _explorer(self) -> Explorer:
        return Explorer(self._algorithm, self._state, stream(self._noise_seed, "exploring"))


def loaded_policy(run: Path, seed: int | None, *, noise_seed: int) -> LoadedPolicy:
    """Load the newest policy of a run's seed, by default of its first one.

    Raises:
        InputError: the run, seed or checkpoint does not exist, is damaged, or belongs to another run; or
            `noise_seed` is negative.
    """
    require(noise_seed >= 0, "noise_seed", noise_seed, "must not be negative")
    chosen = read_config(run).seeds[0] if seed is None else seed
    config, found = newest(run, chosen)
    policy = policy_of(config, found)
    env = make_env(policy.env)
    try:
        actions, shape = ActionRange(env.action_space), env.observation_space.shape
    finally:
        env.close()
    size, state = (shape[0] if shape else 0), found.state["agent"]
    return LoadedPolicy(
        policy.env.id, chosen, found.step, size, policy, actions, config.algorithm, state, noise_seed
    )
