"""First look at the environments of a run before anything is written: can it be trained and evaluated in?"""

from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box

from virel_common.errors import InputError
from virel_deep.data.global_generators import GlobalGenerators
from virel_deep.data.making import close_quietly, make_env
from virel_deep.data.record import Record, changes, record_of
from virel_deep.data.repeats import check_repeats
from virel_deep.design.environment import LONGEST, EnvSpec
from virel_deep.design.run import RunConfig

NO_LIMIT = (
    "{} has no time limit: of an episode that doesn't end, each {:,} steps are scored as one; "
    "--max-episode-steps sets a limit"
)


class Look(NamedTuple):
    """What a first look finds."""

    notes: list[str]
    """Notes for the user, one line each."""
    record: dict[str, Any]
    """What the environment is, for the run's `config.json`."""


def first_look(config: RunConfig) -> Look:
    """Make the environments of a run and check them.

    Raises:
        InputError: an environment can't be made, keeps state that a seed doesn't reach, its spaces are of
            another kind, or the one of evaluations has other spaces than the one of training.
    """
    env = _made(config.env_spec)
    try:
        spaces, record = _spaces(env), record_of(env)
        if config.eval_env is not None:
            _check_equal(config, spaces)
        check_repeats(env, config.env, lambda: _made(config.env_spec))
    finally:
        close_quietly(env)
    limit = record["max_episode_steps"]
    return Look([] if limit else [NO_LIMIT.format(config.env, LONGEST)], record)


def changed_environment(was: Record, config: RunConfig) -> list[str]:
    """Sentences on how the environment of a run differs from what was recorded when it began."""
    env = make_env(config.env_spec)
    try:
        return changes(was, record_of(env))
    finally:
        close_quietly(env)


def _made(spec: EnvSpec) -> Any:
    """Make an environment as training does, with global generators of its own."""
    with GlobalGenerators(np.random.SeedSequence(0)).lent():
        return make_env(spec)


def _check_equal(config: RunConfig, spaces: tuple[Any, Any]) -> None:
    """Raise `InputError` unless the environment of evaluations shows and takes what the training's does."""
    other = make_env(config.eval_spec)
    try:
        theirs = _spaces(other)
    finally:
        close_quietly(other)
    for name, mine, found in zip(("observation", "action"), spaces, theirs, strict=True):
        boxes = name == "observation" and isinstance(mine, Box) and isinstance(found, Box)
        same = mine.shape == found.shape if boxes else mine == found  # bounds of observations mean nothing
        if not same:
            rule = f"must have the {name} space of {config.env}, {mine}"
            raise InputError(f"`eval_env` {rule}; {config.eval_env} has {found}")


def _spaces(env: Any) -> tuple[Any, Any]:
    return env.observation_space, env.action_space
