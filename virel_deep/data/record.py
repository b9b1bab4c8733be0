"""What an environment is beyond its id: its class, wrappers, time limit, and the code that it comes from."""

import hashlib
import inspect
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium

from virel_deep.data.making import time_limit

Record = Mapping[str, Any]
"""Facts about one environment."""


def record_of(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Facts about an environment for a run's `config.json`, as JSON values.

    Returns:
        `class`; `wrappers`, outermost first; `max_episode_steps`; and either `version` of the package that
        has the class, or `source`, the SHA-256 sum of its file.
    """
    wrappers, layer = [], env
    while isinstance(layer, gymnasium.Wrapper):
        wrappers.append(type(layer).__name__)
        layer = layer.env
    made = type(layer)
    return {
        "class": f"{made.__module__}.{made.__qualname__}",
        "wrappers": wrappers,
        "max_episode_steps": time_limit(env),
        **_origin(made),
    }


def changes(was: Record, now: Record, *, of: str = "the environment") -> list[str]:
    """Sentences on what differs between two records of an environment, one per fact; `of` names it."""
    return [
        f"{of}'s {name} changed from {was.get(name)!r} to {now.get(name)!r} since this run began"
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name)
    ]


def _origin(made: type) -> dict[str, str]:
    try:
        return {"version": metadata.version(made.__module__.partition(".")[0])}
    except metadata.PackageNotFoundError:
        pass
    try:
        content = Path(inspect.getsourcefile(made) or "").read_bytes()
    except (OSError, TypeError):  # typed in by hand
        return {}
    return {"source": hashlib.sha256(content).hexdigest()}
