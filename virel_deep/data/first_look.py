"""First look at the environments of a run before anything is written: can it be trained and evaluated in?"""

from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box

from virel_common.errors import InputError, require
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.global_generators import GlobalGenerators
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.making import close_quietly, make_env
from virel_deep.data.observations import observations_of
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
    n_observation: int
    """Entries of an observation."""


def first_look(config: RunConfig) -> Look:
    """Make the environments of a run and check them.

    Raises:
        InputError: an environment can't be made or reset, keeps state that a seed doesn't reach, its spaces
            are of another kind, or the one of evaluations has other spaces than the one of training.
    """
    first, *others = config.env_specs
    spaces, look = _looked_at(first)
    if config.eval_env is not None:
        _check_equal(config, spaces)
    for name, other in zip(config.task_names[1:], others, strict=True):
        _require_spaces(f"task {name}", _looked_at(other)[0], of_first=(config.task_names[0], spaces))
    if config.algorithm.blind_to:
        _check_blind(config, look.n_observation)
    return look


def _looked_at(spec: EnvSpec) -> tuple[tuple[Any, Any], Look]:
    """Spaces of an environment, and what there is to say about it; raise `InputError` if it is unfit."""
    env = _made(spec)
    try:
        spaces, record = _spaces(env), record_of(env)
        _check_start(spec, env)
        check_repeats(env, spec.id, lambda: _made(spec))
    finally:
        close_quietly(env)
    limit = record["max_episode_steps"]
    notes = [] if limit else [NO_LIMIT.format(spec.id, LONGEST)]
    return spaces, Look(notes, record, observations_of(spaces[0]).size)


def _check_start(spec: EnvSpec, env: Any) -> None:
    """Raise `InputError` unless an episode can start: a wrong argument may be first used there."""
    try:
        SeedEnvs(spec, 1, np.random.SeedSequence(0), lent=[env])
    except EnvironmentFailure as failure:
        raise InputError(f"`env` must be an environment that can start an episode; {failure}") from None


def _check_blind(config: RunConfig, seen: int) -> None:
    """Raise `InputError` if the prior is blind to an entry that does not exist, or to all that exist."""
    found = [entry for entry in config.algorithm.blind_to if not -seen <= entry < seen]
    rule = f"must name entries of an observation of {config.env}, 0 to {seen - 1}"
    require(not found, "prior.blind", found, rule)
    left = seen - len({entry % seen for entry in config.algorithm.blind_to})
    require(left > 0, "prior.blind", list(config.algorithm.blind_to), "must leave the prior an entry to see")


def changed_environment(was: Record, config: RunConfig) -> list[str]:
    """Sentences on how the environment of a run differs from what was recorded when it began."""
    env = make_env(config.env_specs[0])
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
    other = make_env(config.eval_specs[0], argument="eval_env")
    try:
        theirs = _spaces(other)
    finally:
        close_quietly(other)
    _require_spaces(f"eval_env {config.eval_env}", theirs, of_first=(config.env, spaces))


def _require_spaces(name: str, theirs: tuple[Any, Any], *, of_first: tuple[str, tuple[Any, Any]]) -> None:
    """Raise `InputError` unless an environment has the spaces of the first one, given with its name."""
    argument, _, other = name.partition(" ")
    first, spaces = of_first
    for what, mine, found in zip(("observation", "action"), spaces, theirs, strict=True):
        boxes = what == "observation" and isinstance(mine, Box) and isinstance(found, Box)
        same = mine.shape == found.shape if boxes else mine == found  # bounds of observations mean nothing
        if not same:
            rule = f"must have the {what} space of {first}, {mine}"
            raise InputError(f"`{argument}` {rule}; {other} has {found}")


def _spaces(env: Any) -> tuple[Any, Any]:
    return env.observation_space, env.action_space
