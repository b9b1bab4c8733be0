"""Gridworlds with several goals, one per task: a frozen lake, and two rooms that are joined by a door."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from virel_common.errors import require

Cell = tuple[int, int]
"""Row and column of a cell."""
MOVES: tuple[Cell, ...] = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Row and column steps of the actions: up, right, down, left."""
PIXELS = 32
"""Height and width of a drawn cell."""
COLOURS = {
    "S": (235, 235, 245),
    ".": (235, 235, 245),
    "#": (60, 60, 70),
    "H": (60, 110, 190),
    "goal": (40, 160, 90),
    "agent": (215, 95, 30),
}
LAKES = {
    4: ("S...", ".H.H", "...H", "H..."),
    8: ("S.......", "........", "...H....", ".....H..", "...H....", ".HH...H.", ".H..H.H.", "...H...."),
}
"""Maps of Gymnasium's FrozenLake by their size: start S, ice, holes H."""
LAKE_GOALS: dict[int, tuple[Cell, ...]] = {
    4: ((3, 3), (3, 1), (0, 3), (2, 0), (3, 2)),
    8: ((7, 7), (7, 2), (0, 7), (4, 0), (6, 3)),
}
ROOMS = ("...#...", "...#...", "S......", "...#...", "...#...")
"""Two rooms, and a door in the wall # between them."""
ROOM_GOALS: tuple[Cell, ...] = ((0, 4), (0, 6), (4, 4), (4, 6), (2, 6))


class Grid(gymnasium.Env[Any, Any]):
    """Gridworld whose episode begins at S and ends at the goal or in a hole; subclasses are maps.

    With probability `slip` a move turns by a right angle, to either side alike. A move into a border or a
    wall stays. An observation is the number of a cell, row by row.

    Args:
        cells: map, one text per row.
        goal: cell of the goal.
        slip: probability of a slip, in [0, 1].
        rewards: of every step, and on top of entering the goal.
        render_mode: `rgb_array`, or None for no pictures.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        cells: tuple[str, ...],
        goal: Cell,
        slip: float,
        rewards: tuple[float, float],
        render_mode: str | None,
    ) -> None:
        """Store the map; `reset` begins an episode."""
        require(0 <= slip <= 1, "slip", slip, "must lie in [0, 1]")
        self._cells, self._goal, self._rewards = cells, goal, rewards
        self.slip, self.render_mode = slip, render_mode
        self.columns = len(cells[0])
        self.observation_space = Discrete(len(cells) * self.columns)
        self.action_space = Discrete(len(MOVES))
        self.cell = self._start = self._number(self._found("S"))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Begin an episode at S."""
        super().reset(seed=seed, options=options)
        self.cell = self._start
        return self.cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Move up, right, down or left."""
        u = self.np_random.random()
        turn = 0 if u >= self.slip else (1 if u < self.slip / 2 else -1)
        down, right = MOVES[(int(action) + turn) % len(MOVES)]
        row, column = divmod(self.cell, self.columns)
        there = row + down, column + right
        if self._free(there):
            self.cell = self._number(there)
        there = self._place()
        arrived = there == self._goal
        reward = self._rewards[0] + arrived * self._rewards[1]
        return self.cell, reward, arrived or self._kind(there) == "H", False, {}

    def render(self) -> NDArray[np.uint8]:
        """Draw the map, the goal and the present cell, `[height, width, 3]`."""
        kinds = [[COLOURS[kind] for kind in row] for row in self._cells]
        picture = np.array(kinds, np.uint8).repeat(PIXELS, 0).repeat(PIXELS, 1)
        for (row, column), kind, inset in ((self._goal, "goal", 3), (self._place(), "agent", 9)):
            rows, columns = (slice(i * PIXELS + inset, (i + 1) * PIXELS - inset) for i in (row, column))
            picture[rows, columns] = COLOURS[kind]
        return picture

    def _free(self, cell: Cell) -> bool:
        row, column = cell
        inside = 0 <= row < len(self._cells) and 0 <= column < self.columns
        return inside and self._kind(cell) != "#"

    def _kind(self, cell: Cell) -> str:
        return self._cells[cell[0]][cell[1]]

    def _place(self) -> Cell:
        return divmod(self.cell, self.columns)

    def _number(self, cell: Cell) -> int:
        return cell[0] * self.columns + cell[1]

    def _found(self, kind: str) -> Cell:
        return next((i, row.index(kind)) for i, row in enumerate(self._cells) if kind in row)


class FrozenGoals(Grid):
    """Frozen lake with one of five goals: reward 1 at the goal, 0 elsewhere; a hole ends the episode.

    Goals 0 to 3 are the tasks to learn a prior on, goal 4 the one to use it for.

    Args:
        goal: number of the goal, 0 to 4.
        size: 4 or 8 rows and columns, as the maps of Gymnasium's FrozenLake.
        slip: probability that a move turns by a right angle.
        render_mode: `rgb_array`, or None for no pictures.

    Example:
        >>> env = FrozenGoals(goal=3)
        >>> _, _ = env.reset(seed=0)
        >>> [env.step(2)[:3] for _ in range(2)]
        [(4, 0.0, False), (8, 1.0, True)]
    """

    def __init__(
        self, goal: int = 0, size: int = 4, slip: float = 0.0, render_mode: str | None = None
    ) -> None:
        """Choose map and goal."""
        require(size in LAKES, "size", size, f"must be one of {', '.join(map(str, LAKES))}")
        chosen = goal_of(LAKE_GOALS[size], goal)
        super().__init__(LAKES[size], chosen, slip, (0.0, 1.0), render_mode)


class TwoRooms(Grid):
    """Two rooms of 5 x 3 cells, joined by one door; the goal lies in the right one, and every step costs 1.

    Goals 0 to 3 are the corners of the right room, goal 4 is the middle of its right wall. The exact
    counterpart is in the figure of the claim `distral-distilled`.

    Args:
        goal: number of the goal, 0 to 4.
        slip: probability that a move turns by a right angle.
        render_mode: `rgb_array`, or None for no pictures.
    """

    def __init__(self, goal: int = 0, slip: float = 0.1, render_mode: str | None = None) -> None:
        """Choose the goal."""
        super().__init__(ROOMS, goal_of(ROOM_GOALS, goal), slip, (-1.0, 0.0), render_mode)


def goal_of(goals: tuple[Cell, ...], goal: object) -> Cell:
    """Cell of a goal by its number.

    Raises:
        InputError: there is no such goal.
    """
    known = isinstance(goal, int) and not isinstance(goal, bool) and 0 <= goal < len(goals)
    require(known, "goal", goal, f"must be a whole number from 0 to {len(goals) - 1}")
    assert isinstance(goal, int)
    return goals[goal]
