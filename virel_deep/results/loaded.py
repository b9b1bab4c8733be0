"""Policy of a run for use in another program: it takes observations and gives what `env.step` takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError, require
from virel_deep.data.actions import Actions, actions_of
from virel_deep.data.making import close_quietly, make_env
from virel_deep.data.observations import Observations, observations_of
from virel_deep.data.returned import Unusable
from virel_deep.design.algorithm import Algorithm
from virel_deep.run.actors import Actor, normalised
from virel_deep.run.explore import Explorer
from virel_deep.run.folder import read_config
from virel_deep.run.policy import Policy, acts_by, newest, policy_of
from virel_deep.streams import stream

Numbers = NDArray[Any]
LONG = 80
"""Characters of a value in an error message."""


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """Policy of one seed of a run, acting as in evaluation or exploring, in the environment's own numbers.

    Example:
        >>> from virel_deep import load_policy, train
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     run = train("sac", "Pendulum-v1", steps=20, out=f"{folder}/run")
        ...     policy = load_policy(run)
        >>> policy.act([1.0, 0.0, 0.0]).shape, policy.act([[1.0, 0.0, 0.0]] * 5).shape
        ((1,), (5, 1))
    """

    env: str
    """Id in Gymnasium of the training's environment, or module and function with a colon between."""
    seed: int
    """Seed of the run whose newest policy this is."""
    step: int
    """Environment steps that the policy was trained for."""
    observation_size: int
    """Number of entries O of an observation; of a discrete one, of the one-hot vector that stands for it."""
    _policy: Policy = field(repr=False)
    _actions: Actions = field(repr=False)
    _observations: Observations = field(repr=False)
    _algorithm: Algorithm = field(repr=False)
    _state: Mapping[str, Any] = field(repr=False)
    _noise_seed: int = field(repr=False)

    def act(self, observation: ArrayLike, *, deterministic: bool = True) -> Numbers:
        """Choose actions that `env.step` takes: `[A]` for one observation `[O]`, `[N, A]` for `[N, O]`.

        A discrete observation is a whole number, several are `[N]`; so it is with discrete actions.

        Args:
            observation: one observation, or N of them.
            deterministic: whether the policy acts as in evaluation, where a planner (`smcp`) draws its plans
                and every other policy is deterministic; otherwise it explores as in training. What is drawn
                has random numbers of its own: the same calls after loading give the same actions.

        Raises:
            InputError: the observation has another shape, is not finite, or is not of a discrete space.
        """
        shape = self._observations.blank.shape
        try:
            given = np.asarray(observation, np.float64)
        except (ValueError, TypeError):
            rule = "must be numbers, in rows of one length"
            raise InputError(f"`observation` {rule}; found {_short(observation)}") from None
        with np.errstate(over="ignore"):
            seen = given.astype(np.float32) if shape else given
        alone = seen.shape == shape
        size = self.observation_size
        wanted = f"have shape [{size}], or [N, {size}]" if shape else "be a number, or have shape [N]"
        fits = alone or (seen.ndim == len(shape) + 1 and seen.shape[1:] == shape and len(seen) > 0)
        require(fits, "observation", seen.shape, f"must {wanted} with N at least 1")
        if not np.isfinite(seen).all():
            rule = "must be finite in float32" if np.isfinite(given).all() else "must be finite"
            raise InputError(f"`observation` {rule}; found {_short(given.tolist())}")
        try:
            vectors = self._observations.vectors(seen[None] if alone else seen)
        except Unusable as error:
            raise InputError(f"`observation`: {error}") from None
        acting = self._policy if deterministic else self._explorer
        action = self._actions.from_unit(acting.act(vectors.astype(np.float32, copy=False)))
        return action[0] if alone else action

    @cached_property
    def _explorer(self) -> Actor:
        source = stream(self._noise_seed, "exploring")
        return normalised(Explorer(self._algorithm, self._state, source), self._state)


def _short(value: object) -> str:
    """Beginning of a value's text, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def loaded_policy(run: Path, seed: int | None, *, noise_seed: int, best: bool = False) -> LoadedPolicy:
    """Load the newest policy of a run's seed, or that of its best evaluation; by default of its first seed.

    Raises:
        InputError: the run, seed or checkpoint does not exist, is damaged, or belongs to another run; the
            best policy was not kept; or `noise_seed` is negative.
    """
    require(noise_seed >= 0, "noise_seed", noise_seed, "must not be negative")
    chosen = read_config(run).seeds[0] if seed is None else seed
    config, found = newest(run, chosen, best=best)
    policy = policy_of(config, found, seed=chosen)
    env = make_env(policy.env)
    try:
        actions, seen = actions_of(env.action_space), observations_of(env.observation_space)
    finally:
        close_quietly(env)
    return LoadedPolicy(
        env=policy.env.id,
        seed=chosen,
        step=found.step,
        observation_size=seen.size,
        _policy=policy,
        _actions=actions,
        _observations=seen,
        _algorithm=config.algorithm,
        _state=acts_by(found),
        _noise_seed=noise_seed,
    )
