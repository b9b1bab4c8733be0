"""Make an environment from its specification, after checking that the agent can act in it."""

import difflib
import importlib.util
import re
import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple, flatdim

from virel_common.errors import InputError, in_one_line, require
from virel_common.values import misread, misread_by
from virel_deep.data import simulator
from virel_deep.data.functions import function_of
from virel_deep.data.global_generators import Disturbed, undisturbed
from virel_deep.data.tasks import TaskEntry, register
from virel_deep.design.environment import EnvSpec


class NotMadeError(InputError):
    """An environment of a known id whose constructor failed; `what` is what it raised, in one line."""

    def __init__(self, argument: str, env_id: str, what: str) -> None:
        """Store what the constructor raised."""
        super().__init__(f"`{argument}` must be an environment that can be made; {env_id!r} raised {what}")
        self.what = what
        self._made_of = argument, env_id, what

    def __reduce__(self) -> tuple[type["NotMadeError"], tuple[str, str, str], dict[str, Any]]:
        """Make copies by the constructor, as another process does that gets the error; notes go along."""
        return type(self), self._made_of, vars(self)


WRAPPED = "give a function that returns it wrapped in gymnasium.wrappers"
FLATTEN = f"{WRAPPED}.FlattenObservation"
"""What to do about observations that are numbers of another shape."""
ENCODE = f"{WRAPPED}.TransformObservation, whose `func` makes a flat `Box` of numbers of an observation"
"""What to do about other observations, such as text."""
CONVERT = f"{WRAPPED}.TransformAction, whose `func` maps a flat, bounded `Box` or `Discrete` to its actions"
"""What to do about other actions."""


def make_env(
    env: EnvSpec | str, *, render_mode: str | None = None, argument: str = "env"
) -> gymnasium.Env[Any, Any]:
    """Make a Gymnasium environment, after checking that the agent can act in it.

    Args:
        env: specification, or an id alone; `module:function` is a function that makes the environment.
        render_mode: how it is drawn; None: not at all.
        argument: what errors call it.

    Raises:
        InputError: the id is unknown, an argument is text where the default is a number or truth value, the
            environment cannot be made, or changes the working directory or torch's default number type while
            it is; its observation is neither a flat `Box` nor `Discrete`, or its action
            is neither a flat, bounded `Box` of floats nor `Discrete`.
    """
    spec = EnvSpec.of(env)
    register()
    simulator.log.listen()
    options: dict[str, Any] = dict(spec.arguments)
    if render_mode is not None:
        options["render_mode"] = render_mode
    try:
        with warnings.catch_warnings(record=True) as said, undisturbed():
            made = _made(spec, options, argument)
        for one in said:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    except InputError:
        raise
    except Disturbed as error:
        close_quietly(made)
        rule = "must be an environment that leaves to the process what all share"
        raise InputError(f"`{argument}` {rule}; while {spec.id} was made, {error}") from None
    except gymnasium.error.UnregisteredEnv as error:
        raise InputError(f"`{argument}` must be a Gymnasium id; found {spec.id!r}{_near(spec.id)}") from error
    except BaseException as error:
        raise_if_asked(error)
        raise NotMadeError(argument, spec.id, in_one_line(error)) from error
    _check_spaces(made, spec.id, argument)
    return made if spec.task is None else TaskEntry(made, *spec.task)


def _made(spec: EnvSpec, options: dict[str, Any], argument: str) -> gymnasium.Env[Any, Any]:
    """Make an environment by Gymnasium, or by the function that its id names."""
    function = function_of(spec.id)
    wrong = misread_by(spec.id, options) if function is None else misread(function, options)
    if wrong:
        raise InputError(f"an argument of {spec.id}, {wrong}")
    if function is None:
        # Gymnasium's checker looks only at the first step, and prints; `SeedEnvs` checks every step.
        known: gymnasium.Env[Any, Any] = gymnasium.make(
            spec.id, max_episode_steps=spec.max_episode_steps, disable_env_checker=True, **options
        )
        return known
    made = function(**options)
    rule = f"must be a function that returns a Gymnasium environment; {spec.id} returned another thing"
    require(isinstance(made, gymnasium.Env), argument, type(made).__name__, rule)
    limit = spec.max_episode_steps
    return made if limit is None else gymnasium.wrappers.TimeLimit(made, limit)


def has_discrete_actions(env: EnvSpec | str) -> bool:
    """Make an environment, check it as `make_env` does, and tell whether its actions are discrete.

    Raises:
        InputError: as `make_env`.
    """
    made = make_env(env)
    close_quietly(made)
    return isinstance(made.action_space, Discrete)


def can_be_made(env: EnvSpec) -> bool:
    """Whether one more environment can be made now; it is closed at once."""
    try:
        close_quietly(make_env(env))
    except NotMadeError:
        return False
    return True


def raise_if_asked(error: BaseException) -> None:
    """Raise Ctrl-C again. All else that comes out of an environment is its crash, `sys.exit` included."""
    if isinstance(error, KeyboardInterrupt | GeneratorExit):
        raise error


def close_quietly(env: gymnasium.Env[Any, Any]) -> None:
    """Close an environment that was only looked at; that it can't be closed is of no concern then."""
    try:
        with undisturbed():
            env.close()
    except BaseException as error:
        raise_if_asked(error)


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """Steps after which an environment truncates an episode, as far as Gymnasium knows; None: never."""
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, gymnasium.wrappers.TimeLimit):
            return int(layer._max_episode_steps)
        layer = layer.env
    return env.spec.max_episode_steps if env.spec else None


def require_version(env_id: str, *, argument: str = "env") -> None:
    """Raise `InputError` for the name of a registered environment without its version.

    Gymnasium would take the newest one, whichever that is at the time; and neither the run's name nor what a
    preset has for an environment would be those of the id.
    """
    _, _, name = env_id.rpartition(":")
    if name in gymnasium.registry or re.search(r"-v\d+$", name):
        return
    versions = [
        one.version
        for one in gymnasium.registry.values()
        if one.version is not None and f"{one.namespace}/{one.name}".removeprefix("None/") == name
    ]
    if versions:
        newest = f"{env_id}-v{max(versions)}"
        raise InputError(f"`{argument}` must be an id with its version, such as {newest}; found {env_id!r}")


def _near(env_id: str) -> str:
    """What is like an unknown id, or what its module lacks, as the end of a message."""
    module, colon, name = env_id.partition(":")
    if colon:
        return f"; {module} has no function or id {name!r}" if _exists(module) else f"; no module {module!r}"
    near = difflib.get_close_matches(env_id, list(gymnasium.registry), n=5)
    return f"; similar ids: {', '.join(near)}" if near else ""


def _exists(module: str) -> bool:
    """Whether a module can be found; one whose parent fails to import can't."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _check_spaces(env: gymnasium.Env[Any, Any], env_id: str, argument: str) -> None:
    for name in ("observation_space", "action_space"):
        if getattr(env, name, None) is None:
            rule = (
                f"must be an environment with an `observation_space` and an `action_space`; {env_id} has no"
            )
            raise InputError(f"`{argument}` {rule} `{name}`")
    observation: Any = env.observation_space
    action: Any = env.action_space
    rule = f"of {env_id} must be a flat `Box` (one axis, not empty) or `Discrete`"
    for name, space in (("observation", observation), ("action", action)):
        flat = isinstance(space, Box) and len(space.shape) == 1 and space.shape[0] >= 1
        advice = CONVERT if name == "action" else FLATTEN if _numbers(space) else ENCODE
        require(flat or isinstance(space, Discrete), name, space, f"{rule}: {advice}")
    if isinstance(action, Discrete):
        return
    rule = f"of {env_id} must be a `Box` of floats: {CONVERT}"
    require(np.issubdtype(action.dtype, np.floating), "action", action, rule)
    bounded = np.isfinite(action.low) & np.isfinite(action.high) & (action.low < action.high)
    rule = f"of {env_id} must have finite bounds, low < high: {CONVERT}"
    require(bool(bounded.all()), "action", action, rule)


def _numbers(space: Any) -> bool:
    """Whether a space is of numbers, a fixed count of at least one, which Gymnasium can flatten."""
    if isinstance(space, Dict | Tuple):
        parts = space.values() if isinstance(space, Dict) else space
        return len(space) > 0 and all(map(_numbers, parts))
    return isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete) and flatdim(space) > 0
