"""Specification of an environment: its id, arguments and time limit; without Gymnasium."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST = 1000
"""Steps after which an episode counts as over where no time limit ends it; it goes on all the same."""


@dataclass(frozen=True)
class EnvSpec:
    """Which environment to make, and how; equal specifications make equal environments.

    Example:
        >>> EnvSpec("Pendulum-v1", {"g": 9.0}, max_episode_steps=100).arguments
        {'g': 9.0}
    """

    id: str
    """Id in Gymnasium; one that a module registers has the module and a colon in front."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Arguments of the environment by name, as `gymnasium.make` takes them."""
    max_episode_steps: int | None = None
    """Time limit in steps; None is the limit that the id was registered with."""
    task: tuple[int, int] | None = None
    """Number of its task and of all tasks, told by a one-hot entry of the observation; None: no entry."""

    @classmethod
    def of(cls, env: "EnvSpec | str") -> "EnvSpec":
        """Return a specification as it is; an id alone means no arguments and the registered time limit."""
        return env if isinstance(env, EnvSpec) else cls(env)
