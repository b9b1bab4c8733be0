"""Compiled passes through stacked perceptrons: one call per pass, for networks whose products are small.

numba calls the BLAS of SciPy for one matrix at a time and loops over the rest, so the bits of a network
depend on no other network. K seeds, C heads, G = K C networks; parameters are laid out as in `Network`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, no_type_check

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (what numba calls: whoever limits threads must find it loaded)
import torch
from numpy.typing import NDArray
from torch import Tensor

from virel_common.compiled import njit
from virel_deep.networks.stacks import whole

Floats = NDArray[np.floating[Any]]


class Net(NamedTuple):
    """Stacked perceptrons as numba reads them."""

    flat: Floats
    """Parameters of all networks."""
    gradient: Floats
    """Their gradient, laid out alike."""
    layers: NDArray[np.int64]
    """Per layer: inputs, outputs, then position of the first weight block, and of the first bias block."""


class CompiledStorage:
    """Reusable memory of one forward and backward pass, which compiled loops compute on the CPU.

    Args:
        flat, gradient: parameters and gradient of all networks.
        sizes: `(in, hidden..., out)`.
        seeds, heads: K and C.
        rows, reached: rows of a batch, and how many of them, from the first on, a backward pass covers.
    """

    def __init__(
        self,
        flat: Tensor,
        gradient: Tensor,
        sizes: Sequence[int],
        *,
        seeds: int,
        heads: int,
        rows: int,
        reached: int,
    ) -> None:
        """Allocate the outputs of hidden layers, which a forward pass fills."""
        self.passes, self.sizes = 0, (rows, reached)
        self._net = Net(flat.detach().numpy(), gradient.numpy(), table_of_layers(sizes, seeds * heads))
        self._of, self._n_out = (seeds, heads), sizes[-1]
        self._hidden = np.empty((seeds * heads, rows * sum(sizes[1:-1])), self._net.flat.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Run the forward pass; return the outputs `[K, C, B, out]` as a new tensor.

        The backward pass reads the inputs again, so that they must not change before it.
        """
        self.passes += 1
        self._x = np.ascontiguousarray(x.detach().numpy())
        out = torch.empty(*self._of, self.sizes[0], self._n_out, dtype=x.dtype)
        forward(self._net, self._x, self._hidden, out.numpy())
        return out

    def backward(self, slope: Tensor, *, parameters: bool, inputs: slice | None) -> Tensor | None:
        """Run the backward pass from `slope`, the gradient w.r.t. the outputs.

        If asked for, the gradient w.r.t. all parameters is written to `network.gradient`, and that w.r.t.
        input columns, summed over heads, `[K, rows, n]`, is returned.
        """
        columns = inputs or slice(0, 0)
        out = np.zeros((self._of[0], self.sizes[1], columns.stop - columns.start), self._hidden.dtype)
        upstream = np.ascontiguousarray(slope.numpy())
        backward(self._net, self._x, self._hidden, upstream, parameters, columns.start, out)
        return None if inputs is None else torch.from_numpy(out)


def table_of_layers(sizes: Sequence[int], stack: int) -> NDArray[np.int64]:
    """Sizes and positions of the blocks of each layer, as `Network.views` has them."""
    rows, start = [], 0
    for n_in, n_out in pairwise(sizes):
        biases = start + stack * whole(n_in * n_out)
        rows.append((n_in, n_out, start, biases))
        start = biases + stack * whole(n_out)
    return np.array(rows)


@njit(cache=True)
@no_type_check
def padded(n):
    """Entries of a block that has n: whole cache lines, as `stacks.whole`."""
    return (n + 15) // 16 * 16


@njit(cache=True)
@no_type_check
def weight(flat, layers, i, g):
    """Weights `[in, out]` of layer i of network g."""
    n = layers[i, 0] * layers[i, 1]
    start = layers[i, 2] + g * padded(n)
    return flat[start : start + n].reshape(layers[i, 0], layers[i, 1])


@njit(cache=True)
@no_type_check
def bias(flat, layers, i, g):
    """Biases `[out]` of layer i of network g."""
    start = layers[i, 3] + g * padded(layers[i, 1])
    return flat[start : start + layers[i, 1]]


@njit(cache=True)
@no_type_check
def layer_inputs(layers, i, x, hidden):
    """Inputs `[rows, in]` of layer i of one network: its `x`, or the outputs of the hidden layer below."""
    start = 0
    for below in range(i - 1):
        start += len(x) * layers[below, 1]
    if i == 0:
        return x
    return hidden[start : start + len(x) * layers[i, 0]].reshape(len(x), layers[i, 0])


@njit(cache=True)
@no_type_check
def forward(net, x, hidden, out):
    """Forward passes: fill `hidden [G, n]` and `out [K, C, rows, out]` from inputs `x [K, rows, in]`."""
    layers, last = net.layers, len(net.layers) - 1
    for k in range(len(x)):
        for c in range(out.shape[1]):
            g = k * out.shape[1] + c
            for i in range(len(layers)):
                y = out[k, c] if i == last else layer_inputs(layers, i + 1, x[k], hidden[g])
                np.dot(layer_inputs(layers, i, x[k], hidden[g]), weight(net.flat, layers, i, g), y)
                add_bias(y, bias(net.flat, layers, i, g), i < last)


@njit(cache=True)
@no_type_check
def add_bias(y, b, relu):
    """Add biases to every row, and take the ReLU if asked for; NaN stays NaN."""
    for r in range(len(y)):
        for j in range(len(b)):
            y[r, j] += b[j]
    if relu:
        for r in range(len(y)):
            for j in range(len(b)):
                y[r, j] = 0 if y[r, j] < 0 else y[r, j]  # noqa: FURB136  (`max` may lose NaN)


@njit(cache=True)
@no_type_check
def backward(net, x, hidden, upstream, parameters, first, by_inputs):
    """Backward passes from `upstream [K, C, reached, out]`; add to `by_inputs [K, reached, n]`.

    The gradients w.r.t. parameters go to `net.gradient` if `parameters` is true; n input columns begin at
    `first`.
    """
    layers, (_, heads, reached, _) = net.layers, upstream.shape
    for k in range(len(x)):
        for c in range(heads):
            g, slope = k * heads + c, upstream[k, c]
            for i in range(len(layers) - 1, -1, -1):
                h = layer_inputs(layers, i, x[k], hidden[g])[:reached]
                if parameters:
                    np.dot(h.T, slope, weight(net.gradient, layers, i, g))
                    sum_rows(slope, bias(net.gradient, layers, i, g))
                if i > 0:
                    slope = below_relu(slope, weight(net.flat, layers, i, g), h)
            if by_inputs.shape[2]:
                columns = weight(net.flat, layers, 0, g)[first : first + by_inputs.shape[2]]
                accumulate(by_inputs[k], slope, columns)


@njit(cache=True)
@no_type_check
def below_relu(slope, w, h):
    """Gradient w.r.t. a ReLU's inputs from that w.r.t. the outputs of the layer above; h is its output."""
    out = np.empty((len(slope), len(w)), slope.dtype)
    np.dot(slope, w.T, out)
    for r in range(len(h)):
        for j in range(h.shape[1]):
            out[r, j] = 0 if h[r, j] <= 0 else out[r, j]
    return out


@njit(cache=True)
@no_type_check
def accumulate(out, slope, columns):
    """Add the gradient w.r.t. some input columns, whose weights are `columns [n, out]`."""
    one = np.empty(out.shape, out.dtype)
    np.dot(slope, columns.T, one)
    for r in range(len(out)):
        for j in range(out.shape[1]):
            out[r, j] += one[r, j]


@njit(cache=True)
@no_type_check
def sum_rows(x, out):
    """out[j] <- sum over r of x[r, j], row by row: in float64, since in float32 that order is not exact."""
    total = np.zeros(len(out))
    for r in range(len(x)):
        for j in range(len(out)):
            total[j] += x[r, j]
    for j in range(len(out)):
        out[j] = total[j]
