"""Critics of all discrete actions as one perceptron: how a policy without a network acts and is exported."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Layers = list[tuple[Floats, Floats]]
"""`weight [in, out]` and `bias [out]` of each layer of a perceptron."""


def values_perceptron(blocks: Mapping[str, Any], n_action: int) -> Layers:
    r"""Layers of a perceptron from a state to the smaller critic's values of all A actions, `[A]`.

    The critics read the state and a one-hot action, so that the action is a bias of the first layer. A
    hidden layer holds those of every critic and action, side by side. Of two critics a last layer takes the
    smaller value, $\min(x, y) = \max(x, 0) - \max(-x, 0) - \max(x - y, 0)$.

    Args:
        blocks: blocks of 1 or 2 critics, `weight [C, in, out]` and `bias [C, 1, out]` of each layer.
        n_action: A.
    """
    *hidden, (weight, bias) = _of_all_actions(blocks, n_action)
    critics = len(blocks["0.weight"])
    if critics == 1:
        return [*hidden, (weight, bias)]
    first, second = (slice(c * n_action, (c + 1) * n_action) for c in (0, 1))
    x, y = (weight[:, first], bias[first]), (weight[:, second], bias[second])
    parts = [(x[i], -x[i], x[i] - y[i]) for i in (0, 1)]
    three = (np.concatenate(parts[0], axis=1), np.concatenate(parts[1]))
    one = np.eye(n_action, dtype=np.float32)
    return [*hidden, three, (np.concatenate((one, -one, -one)), np.zeros(n_action, np.float32))]


def _of_all_actions(blocks: Mapping[str, Any], n_action: int) -> Layers:
    """Layers from a state to the values of all actions by all critics, `[C A]`, critic by critic."""
    layers: Layers = []
    for i in range(sum(name.endswith(".weight") for name in blocks)):
        weights = np.asarray(blocks[f"{i}.weight"], dtype=np.float32)
        biases = np.asarray(blocks[f"{i}.bias"], dtype=np.float32)[:, 0]
        if i == 0:
            of_state, of_action = weights[:, :-n_action], weights[:, -n_action:]
            repeated = np.repeat(of_state, n_action, axis=0)
            weight = np.concatenate(list(repeated), axis=1)
            bias = (biases[:, None] + of_action).ravel()
        else:
            weight = _side_by_side(np.repeat(weights, n_action, axis=0))
            bias = np.repeat(biases, n_action, axis=0).ravel()
        layers.append((weight, bias))
    return layers


def _side_by_side(blocks: Floats) -> Floats:
    """Matrix with the blocks `[M, in, out]` on its diagonal and 0 elsewhere, `[M in, M out]`."""
    m, n_in, n_out = blocks.shape
    out = np.zeros((m, n_in, m, n_out), np.float32)
    out[np.arange(m), :, np.arange(m)] = blocks
    return out.reshape(m * n_in, m * n_out)
