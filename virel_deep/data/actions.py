"""Maps of what policies choose to an environment's own actions: from [-1, 1], or from one-hot vectors."""

from typing import Any, Protocol

import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray

from virel_common.errors import InputError

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]


class Actions(Protocol):
    """Interface of a map of actions that a policy chooses, `[..., A]`, to those that an environment takes."""

    size: int
    """Number of entries A of an action as a policy chooses it."""

    def from_unit(self, action: Floats) -> NDArray[Any]:
        """Map actions `[..., A]` of a policy to the environment's own; raise `InputError` if one is none."""


class ActionRange:
    """Affine map from actions in [-1, 1] to an environment's own range, in that range's number type."""

    def __init__(self, space: Any) -> None:
        """Read lower and upper bounds of a bounded Gymnasium `Box`."""
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self.size = int(low.size)
        self.low, self.high = space.low, space.high
        self._symmetric = bool((low == -high).all())
        self._half, self._centre = (
            (high / 2 - low / 2).astype(space.dtype),
            (high / 2 + low / 2).astype(space.dtype),
        )

    def from_unit(self, action: Floats) -> Numbers:
        """Map actions `[..., A]` from [-1, 1] to the environment's range; rounding never leaves the range.

        Raises:
            InputError: an entry of `action` is not in [-1, 1], or is NaN.
        """
        if not np.abs(action).max() <= 1:
            raise InputError(f"`action` must be in [-1, 1]; found {action.tolist()}")
        command: Numbers = self._half * action.astype(self._half.dtype, copy=False)
        if not self._symmetric:  # a product with a factor of at most 1 cannot round to more than its bound
            command = np.minimum(np.maximum(self._centre + command, self.low), self.high)
        return command


class ActionChoice:
    """Map from one-hot vectors to the whole numbers of a Gymnasium `Discrete` space, its start included.

    Example:
        >>> from gymnasium.spaces import Discrete
        >>> one_hot = np.array([[0, 0, 1], [1, 0, 0]], np.float32)
        >>> ActionChoice(Discrete(3, start=5)).from_unit(one_hot).tolist()
        [7, 5]
    """

    def __init__(self, space: Any) -> None:
        """Read number and first of the actions of a Gymnasium `Discrete` space."""
        self.size, self.start, self._type = int(space.n), int(space.start), space.dtype

    def from_unit(self, action: Floats) -> NDArray[Any]:
        """Map one-hot vectors `[..., A]` to the environment's actions `[...]`, whole numbers of its type.

        Raises:
            InputError: a vector of `action` does not have a single 1 among zeros.
        """
        chosen = action == 1
        if not (bool((chosen.sum(-1) == 1).all()) and bool((chosen | (action == 0)).all())):
            raise InputError(f"`action` must be one-hot vectors, one 1 among zeros; found {action.tolist()}")
        index: NDArray[Any] = (chosen.argmax(-1) + self.start).astype(self._type)
        return index


def actions_of(space: Any) -> ActionRange | ActionChoice:
    """Map of a policy's actions to those of a Gymnasium space, a bounded `Box` or `Discrete`."""
    return ActionChoice(space) if isinstance(space, Discrete) else ActionRange(space)
