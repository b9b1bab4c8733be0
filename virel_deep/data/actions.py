"""Map of actions in [-1, 1], which policies choose, to an environment's own range."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]


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
