"""Several tasks: the entry that tells them apart in an observation, and the environments that ship for it."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from virel_deep.data.observations import observations_of
from virel_deep.data.returned import checked_reset, checked_step

SHIPPED = {
    "virel/FrozenGoals-v0": ("virel_deep.data.grids:FrozenGoals", 100),
    "virel/TwoRooms-v0": ("virel_deep.data.grids:TwoRooms", 100),
    "virel/ReacherSide-v0": ("virel_deep.data.reacher:SidedReacher", 50),
}
"""Place and time limit of the environments that come with virel, by id; loaded when one is made."""


class TaskEntry(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Environment whose observations end with a one-hot entry for its task, so that one network serves all.

    A discrete observation becomes a vector: its own one-hot entries, then those of the task. What the
    environment returns is checked before the entry is appended, against the space without it.

    Args:
        env: environment of one task.
        number: number of its task.
        count: number of tasks T.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], number: int, count: int) -> None:
        """Append the entry to the observation space."""
        super().__init__(env)
        space = env.observation_space
        self._vectors = observations_of(space)
        n = self._vectors.size
        box = space if isinstance(space, Box) else Box(0, 1, (n,), np.float32)
        self.entry = np.zeros(count, box.dtype)
        self.entry[number] = 1
        low, high = np.append(box.low, [0] * count), np.append(box.high, [1] * count)
        self.observation_space = Box(low.astype(box.dtype), high.astype(box.dtype), dtype=box.dtype)

    def reset(self, **options: Any) -> tuple[NDArray[Any], Any]:
        """Start an episode, and append the task's entry to its first observation."""
        returned = self.env.reset(**options)
        return self._with_entry(checked_reset(returned, self._vectors.blank)), returned[1]

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, Any]:
        """Step the environment, and append the task's entry to the observation."""
        returned = self.env.step(action)
        seen, reward, terminated, truncated = checked_step(returned, self._vectors.blank)
        return self._with_entry(seen), reward, terminated, truncated, returned[4]

    def _with_entry(self, seen: Any) -> NDArray[Any]:
        [vector] = self._vectors.vectors(seen[None])
        return np.concatenate([vector, self.entry])


def register() -> None:
    """Tell Gymnasium the environments that come with virel; nothing is loaded before one is made."""
    for env_id, (place, limit) in SHIPPED.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=place, max_episode_steps=limit)
