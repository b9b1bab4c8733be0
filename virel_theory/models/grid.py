"""Cells and moves of gridworlds."""

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import require
from virel_theory.checks import Mask, as_array

Cell = tuple[int, int]
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left


def as_cell(cell: Cell, shape: tuple[int, ...], *, name: str) -> Cell:
    """Return the grid cell `cell` as `(row, column)`, checked to lie inside the grid."""
    given = as_array(cell, name=name)
    is_pair = given.shape == (2,) and given.dtype.kind in "iu"
    require(is_pair, name, cell, "must be a cell (row, column), two integers")
    row, column = given.tolist()
    require(0 <= row < shape[0] and 0 <= column < shape[1], name, cell, f"must lie in the grid {list(shape)}")
    return row, column


def grid_moves(free: Mask) -> NDArray[np.int64]:
    """Successor states `[S, 4]` of the four grid moves; a move into a border or a wall stays."""
    height, width = free.shape
    cells = np.moveaxis(np.indices(free.shape), 0, 2).reshape(-1, 1, 2)
    moved = (cells + np.array(MOVES)).clip(0, [height - 1, width - 1])  # [S, 4, 2]
    open_way = free[moved[..., 0], moved[..., 1]] & free.reshape(-1, 1)
    moved = np.where(open_way[..., None], moved, cells)
    out: NDArray[np.int64] = moved[..., 0] * width + moved[..., 1]
    return out
