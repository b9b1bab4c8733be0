"""Environments that a function makes: found by import path `module:function`, or lent by a Python program.

A run folder records the import path. A function without one (a lambda, a local function, a function of a
script or notebook) is lent to the calls inside a `with` block, under the id that the run has for it. A block
lends in its own thread only, so that two threads may train in environments of the same name.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import gymnasium

from virel_common.errors import InputError, require
from virel_deep.design.environment import EnvSpec

Maker = Callable[..., "gymnasium.Env[Any, Any]"]
"""Function or class that makes a new environment at each call."""
_lent: ContextVar[tuple[str, Maker] | None] = ContextVar("lent", default=None)
"""Id of an environment and the function that makes it."""


def specified(env: EnvSpec | str | Maker) -> tuple[EnvSpec, Maker | None]:
    """Specification of an environment given as such, by its id, or by a function that makes it.

    Returns:
        The specification, whose id is `module:function` for a function, and the function, if it is one.

    Raises:
        InputError: it is none of these; an environment itself is not enough, because training and evaluation
            make several.

    Example:
        >>> from gymnasium.envs.classic_control.pendulum import PendulumEnv
        >>> specified("Pendulum-v1")[0].id, specified(PendulumEnv)[0].id
        ('Pendulum-v1', 'gymnasium.envs.classic_control.pendulum:PendulumEnv')
    """
    if isinstance(env, EnvSpec | str):
        return EnvSpec.of(env), None
    is_env = isinstance(env, gymnasium.Env)
    rule = "must be a Gymnasium id, an EnvSpec, or a function that makes a new environment at each call"
    require(callable(env) and not is_env, "env", env, rule)
    return EnvSpec(path_of(env)), env


def path_of(function: Maker) -> str:
    """Import path `module:function`; of a lambda or a local function, a name that nothing can import."""
    name = getattr(function, "__qualname__", None) or f"<{type(function).__name__}>"
    return f"{getattr(function, '__module__', None) or '<unknown>'}:{name}"


@contextmanager
def lent(env_id: str, function: Maker | None) -> Iterator[None]:
    """Inside the block and in this thread, make environments of this id by the function, if one is given."""
    token = _lent.set(None if function is None else (env_id, function))
    try:
        yield
    finally:
        _lent.reset(token)


def only_here(env_id: str) -> bool:
    """Whether a function is lent for this id that other processes can't find by its import path."""
    function = _lent_for(env_id)
    return function is not None and _imported(env_id) is not function


def found_elsewhere(env_id: str) -> bool:
    """Whether an id names an environment from outside of Gymnasium that any new process finds as well.

    That is one of a module, as in `module:Id`, or of an installed plugin, which is named by its namespace.
    """
    if only_here(env_id) or not _is_path(env_id):
        return False
    namespace, slash, _ = env_id.rpartition("/")
    plugins = {one.name for one in entry_points(group="gymnasium.envs")} if slash else set()
    return ":" in env_id or namespace in plugins


def function_of(env_id: str) -> Maker | None:
    """Find the function that an id names; None for an id that Gymnasium knows, or that nobody knows.

    Raises:
        InputError: it names a function that has no import path, and none is lent for it.
    """
    if function := _lent_for(env_id):
        return function
    if ":" not in env_id:
        return None
    if not _is_path(env_id):
        raise InputError(
            f"`env` must be found by its import path; {env_id!r} is a function of a script or notebook, a "
            "lambda or a local function: continue from Python, with `env=` that function"
        )
    _find_own_modules()
    return _imported(env_id)


def _find_own_modules() -> None:
    """Let imports find a module in the folder where the command runs, as `python` itself would."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def _lent_for(env_id: str) -> Maker | None:
    now = _lent.get()
    return now[1] if now is not None and now[0] == env_id else None


def _is_path(env_id: str) -> bool:
    """Whether an id may be an import path: not of a script's or notebook's function, nor of a local one."""
    return not env_id.startswith("__main__:") and "<" not in env_id


def _imported(env_id: str) -> Maker | None:
    """Import the function of an id `module:function`; None if there is none, or if it is a Gymnasium id."""
    module, _, name = env_id.partition(":")
    if not _is_path(env_id):
        return None
    try:
        imported = import_module(module)  # it may register the id
        found: Any = reduce(getattr, name.split("."), imported)
    except (ImportError, ValueError, AttributeError):
        return None
    return found if name not in gymnasium.registry and callable(found) else None
