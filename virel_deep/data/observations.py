"""Observations as vectors: flat boxes as they are, the whole numbers of a discrete space one-hot."""

from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from virel_deep.data.returned import Unusable

Values = NDArray[Any]


class Observations(Protocol):
    """Interface of a map of an environment's observations to vectors, which networks take."""

    size: int
    """Number of entries O of a vector."""
    blank: Values
    """An observation of zeros, of the shape and number type that the environment announces."""

    def vectors(self, seen: Values) -> Values:
        """Map observations `[N, ...]` to vectors `[N, O]`; raise `Unusable` if one is not of the space."""


class Flat:
    """Observations that are vectors already, of a Gymnasium `Box` with one axis."""

    def __init__(self, space: Any) -> None:
        """Read shape and number type of the box."""
        self.blank = np.zeros(space.shape, space.dtype)
        self.size = int(self.blank.size)

    def vectors(self, seen: Values) -> Values:
        """Return the observations `[N, O]` as they are."""
        return seen


class OneHot:
    """Observations that are whole numbers, of a Gymnasium `Discrete` space with `size` elements.

    Example:
        >>> from gymnasium.spaces import Discrete
        >>> OneHot(Discrete(3, start=5)).vectors(np.array([7, 5])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """

    def __init__(self, space: Any) -> None:
        """Read number and first of the observations."""
        self.size, self._start = int(space.n), int(space.start)
        self.blank = np.full((), self._start, space.dtype)

    def vectors(self, seen: Values) -> NDArray[np.float32]:
        """Map observations `[N]` to unit vectors `[N, O]`.

        Raises:
            Unusable: one is not of the space.
        """
        last = self._start + self.size - 1
        outside = (seen < self._start) | (seen > last) | (seen != np.rint(seen))
        if outside.any():
            found = seen[outside].flat[0].item()
            raise Unusable(f"an observation is {found:.15g}; it must be from {self._start} to {last}")
        index = (seen - self._start).astype(np.int64)
        return one_hot(index, self.size)


def one_hot(index: NDArray[np.integer[Any]], size: int) -> NDArray[np.float32]:
    """Unit vectors `[N, size]` that have their 1 at `index [N]`."""
    out = np.zeros((len(index), size), np.float32)
    out[np.arange(len(index)), index] = 1
    return out


def observations_of(space: Any) -> Flat | OneHot:
    """Map of the observations of a Gymnasium space, a flat `Box` or `Discrete`, to vectors."""
    return OneHot(space) if isinstance(space, Discrete) else Flat(space)
