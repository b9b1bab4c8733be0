"""Gymnasium's Reacher with targets on one side, so that two tasks differ in where the target may be."""

from typing import Any

import numpy as np
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from numpy.typing import NDArray

from virel_common.errors import require

SIDES = {"left": -1.0, "right": 1.0}
"""Sign of the target's x by side."""


class SidedReacher(ReacherEnv):
    """Reacher-v5 whose target lies on one side; the other side's tasks are mirror images in x.

    Args:
        side: `left` or `right`.
        options: arguments of Gymnasium's Reacher.
    """

    def __init__(self, side: str = "left", **options: Any) -> None:
        """Choose the side."""
        require(side in SIDES, "side", side, f"must be one of {', '.join(SIDES)}")
        self._sign = SIDES[side]
        super().__init__(**options)

    def reset_model(self) -> NDArray[np.float64]:
        """Begin an episode as Reacher does, with the target mirrored to its side."""
        super().reset_model()  # type: ignore[no-untyped-call]
        self.goal[0] = self._sign * abs(self.goal[0])
        position, velocity = self.data.qpos.copy(), self.data.qvel.copy()
        position[-2:] = self.goal
        self.set_state(position, velocity)  # type: ignore[no-untyped-call]
        observation: NDArray[np.float64] = self._get_obs()  # type: ignore[no-untyped-call]
        return observation
