"""Forward pass of one perceptron in numpy, for acting on a few rows: its calls cost half of torch's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def perceptron(layers: Sequence[tuple[Floats, Floats]], x: Floats) -> Floats:
    """Outputs `[N, out]` of a perceptron at inputs `x [N, in]`, with ReLU between its layers.

    Each row is multiplied by itself, so that its outputs do not depend on the others: a product of many rows
    may be rounded in another order than that of one.

    Example:
        >>> layers = [(np.array([[1.0], [2.0]]), np.array([0.5]))]
        >>> perceptron(layers, np.array([[1.0, 1.0], [0.0, 2.0]])).tolist()
        [[3.5], [4.5]]
    """
    *hidden, (weight, bias) = layers
    rows = x[:, None]
    for w, b in hidden:
        rows = np.maximum(rows @ w + b, 0)
    out: Floats = (rows @ weight + bias)[:, 0]
    return out
