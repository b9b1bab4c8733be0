"""First look at the environments of a run before anything is written: can it be trained and evaluated in?"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete

from virel_common.errors import InputError, require
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.global_generators import GlobalGenerators, require_single
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.making import close_quietly, make_env
from virel_deep.data.observations import observations_of
from virel_deep.data.record import Record, changes, record_of
from virel_deep.data.repeats import check_repeats
from virel_deep.design.environment import LONGEST, EnvSpec
from virel_deep.design.priors import Blind
from virel_deep.design.run import RunConfig
from virel_deep.design.temperature import Dual
from virel_deep.design.transfer import seen_by_prior

NO_LIMIT = (
    "{} has no registered time limit: if an episode never ends, each {:,} steps are scored as one; "
    "max_episode_steps (--max-episode-steps) sets a limit"
)


class Look(NamedTuple):
    """What a first look finds."""

    notes: list[str]
    """Notes for the user, one line each."""
    record: list[dict[str, Any]]
    """What each environment is, for the run's `config.json`: those of the tasks, then `eval_env`."""
    n_observation: int
    """Entries of an observation."""


def first_look(config: RunConfig) -> Look:
    """Make the environments of a run and check them.

    Raises:
        InputError: an environment can't be made or reset, keeps state that a seed doesn't reach, its spaces
            are of another kind, or the one of evaluations has other spaces than the one of training; or
            torch's default number type is not float32.
    """
    require_single()
    named = _named(config)
    looks = {name: _looked_at(spec, name.partition(" ")[0]) for name, spec in named.items()}
    first, *others = looks
    spaces, _ = looks[first]
    for name in others:
        _require_spaces(name, looks[name][0], of_first=(first.partition(" ")[2], spaces))
    size = observations_of(spaces[0]).size
    if config.algorithm.blind_to:
        _check_blind(config, size)
    if isinstance(config.algorithm.temperature, Dual):
        _check_target(config, config.algorithm.temperature.target_entropy, spaces[1])
    records = [record for _, record in looks.values()]
    pairs = zip(named.values(), records, strict=True)
    endless = dict.fromkeys(spec.id for spec, record in pairs if not record["max_episode_steps"])
    return Look([NO_LIMIT.format(env_id, LONGEST) for env_id in endless], records, size)


def _named(config: RunConfig) -> dict[str, EnvSpec]:
    """Every environment of a run by its name in messages, which begins with the argument that gives it."""
    of_tasks = config.task_names or [config.env]
    names = [f"{'task' if i else 'env'} {name}" for i, name in enumerate(of_tasks)]
    named = dict(zip(names, config.env_specs, strict=True))
    return named if config.eval_env is None else named | {f"eval_env {config.eval_env}": config.eval_specs[0]}


def _looked_at(spec: EnvSpec, argument: str) -> tuple[tuple[Any, Any], dict[str, Any]]:
    """Spaces of an environment, and facts about it; raise `InputError` if it is unfit."""
    env = _made(spec, argument)
    try:
        found = _spaces(env), record_of(env)
        _check_start(spec, env, argument)
    except BaseException:
        close_quietly(env)
        raise
    check_repeats(env, spec.id, lambda: _made(spec, argument), argument=argument)
    return found


def _check_start(spec: EnvSpec, env: Any, argument: str) -> None:
    """Raise `InputError` unless an episode can start: a wrong argument may be first used there."""
    try:
        SeedEnvs(spec, 1, np.random.SeedSequence(0), lent=[env])
    except EnvironmentFailure as failure:
        rule = f"`{argument}` must be an environment that can start an episode"
        raise InputError(f"{rule}; {failure}") from None


def _check_blind(config: RunConfig, seen: int) -> None:
    """Raise `InputError` if the prior is blind to an entry that does not exist, or to all that exist."""
    prior = config.algorithm.prior
    assert isinstance(prior, Blind)
    found = [entry for entry in prior.blind if not -seen <= entry < seen]
    rule = f"must name entries of an observation of {config.env}, 0 to {seen - 1}"
    require(not found, "prior.blind", found, rule)
    alone = len({entry % seen for entry in prior.blind}) == seen
    name, value = ("prior.blind", prior.blind) if alone else ("prior.blind_last", prior.blind_last)
    require(seen_by_prior(config, seen) > 0, name, value, "must leave the prior an entry to see")


def _check_target(config: RunConfig, target: float | None, actions: Any) -> None:
    """Raise `InputError` if no policy has the target entropy: tuned to it, the temperature never stops."""
    if target is None:
        return
    discrete = isinstance(actions, Discrete)
    n = int(actions.n) if discrete else int(np.prod(actions.shape))
    most = math.log(n) if discrete else n * math.log(2)
    rule = (
        f"must be {'above 0 and ' * discrete}below {most:.4g}, the entropy of uniform actions in {config.env}"
    )
    require(target < most and (target > 0 or not discrete), "temperature.target_entropy", target, rule)


def changed_environment(was: Sequence[Record], config: RunConfig) -> list[str]:
    """Sentences on how the environments of a run differ from what was recorded when it began.

    `was` is the record that `first_look` found then; a run of an earlier version recorded its first
    environment alone.
    """
    specs = _named(config).values()
    name = "the environment {}" if len(specs) > 1 else "the environment"
    found = [
        change
        for one, spec in zip(was, specs, strict=False)
        for change in changes(one, _record(spec), of=name.format(spec.id))
    ]
    return [*dict.fromkeys(found)]


def _record(spec: EnvSpec) -> dict[str, Any]:
    env = make_env(spec)
    try:
        return record_of(env)
    finally:
        close_quietly(env)


def _made(spec: EnvSpec, argument: str) -> Any:
    """Make an environment as training does, with global generators of its own."""
    with GlobalGenerators(np.random.SeedSequence(0)).lent():
        return make_env(spec, argument=argument)


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
