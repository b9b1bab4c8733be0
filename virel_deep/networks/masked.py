"""Memory of one large pass whose parameters are fixed: it keeps which units are on, not what they are.

A gradient in the inputs needs no more than that. Networks take turns in the scratch memory, so that a pass
over many rows needs a byte per unit and row, and two layers of one network. The numbers are those of
`TensorStorage`: each network's matrices are multiplied by the same routine.

A mask has all bits of a unit that is on, so that a slope stays as it is or becomes 0. That takes numpy a
fraction of the time that torch's own masks take.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from virel_deep.networks.memory import Parameters, Passing, by_head
from virel_deep.networks.stacks import Stack, affine, by_numpy, product

LARGE = 2**18
"""Units of a network's widest layer, over all rows, from which on a pass is large: 1,024 rows of 256."""


class MaskedStorage:
    """Reusable memory of a large pass on the CPU with a gradient in its inputs, in torch or numpy.

    Args:
        network: stacked perceptrons.
        rows: rows of a batch.
    """

    def __init__(self, network: Parameters, rows: int) -> None:
        """Allocate the masks of hidden layers, which a forward pass fills."""
        self.network, self.passes, self.sizes = network, 0, (rows, rows)
        self._n = network.seeds * network.heads
        hidden = network.sizes[1:-1]
        self._on = [[np.empty((1, rows, n), np.int8) for n in hidden] for _ in range(self._n)]
        like = network.stacks[0].weight.all
        self._bits = np.dtype(f"i{like.element_size()}")
        self._forward = Passing([(1, rows, n) for n in network.sizes[:-1]], like)
        self._slopes = Passing([(1, rows, n) for n in network.sizes[1:]], like)

    @cached_property
    def _layers(self) -> list[list[tuple[Stack, Stack]]]:
        """Weights and biases of every layer of each network, as stacks of one matrix."""
        return [
            [
                (Stack(one.weight.all[g : g + 1]), Stack(one.bias.all[g : g + 1]))
                for one in self.network.stacks
            ]
            for g in range(self._n)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Run the forward pass; return the outputs `[K, C, B, out]` as a new tensor."""
        self.passes += 1
        inputs, rows = self._forward(), self.sizes[0]
        outputs = Stack.empty(self._n, rows, self.network.sizes[-1], device=x.device)
        for g, layers in enumerate(self._layers):
            inputs[0].all.copy_(x[g // self.network.heads])
            for (weight, bias), h, out, mask in zip(layers, inputs, inputs[1:], self._on[g], strict=False):
                affine(h, weight, bias, out=out)
                out.all.relu_()
                np.less_equal(out.numpy, 0, out=mask.view(np.bool_))
                np.subtract(mask, 1, out=mask)
            affine(inputs[-1], *layers[-1], out=Stack(outputs.all[g : g + 1]))
        return by_head(outputs.all, self.network)

    def backward(self, upstream: Tensor, *, parameters: bool, inputs: slice | None) -> Tensor | None:
        """Run the backward pass, as `Storage` has it, to the inputs alone."""
        assert not parameters, "a pass with fixed parameters has no gradient in them"
        if inputs is None:
            return None
        slopes, network, of_each = self._slopes(), self.network, upstream.flatten(0, 1)
        summed = InputSum(network, inputs.stop - inputs.start, self.sizes[0])
        for g, layers in enumerate(self._layers):
            slopes[-1].all.copy_(of_each[g])
            for i in reversed(range(1, len(layers))):
                product(slopes[i], layers[i][0].mT, out=slopes[i - 1])
                bits = slopes[i - 1].numpy.view(self._bits)
                np.bitwise_and(bits, self._on[g][i - 1], out=bits)
            summed.add(g, network.stacks[0].weight.all[g, inputs], slopes[0].all[0].mT)
        return summed.result()


class InputSum:
    """Sum over a seed's networks of their gradients in the inputs, rounded as `product_of_heads` rounds it.

    Args:
        network: stacked perceptrons.
        columns, rows: columns of the inputs, and rows of the batch.
    """

    def __init__(self, network: Parameters, columns: int, rows: int) -> None:
        """Allocate the sums: torch adds up within its products, numpy afterwards."""
        self._heads, of = network.heads, network.stacks[0].weight.all
        n = len(of) if by_numpy() else network.seeds
        self._of = Stack.empty(n, columns, rows, device=of.device)

    def add(self, g: int, weight: Tensor, slope: Tensor) -> None:
        """Add the product `[n, rows]` of network g; networks come in their order."""
        if by_numpy():
            product(Stack(weight[None]), Stack(slope[None]), out=Stack(self._of.all[g : g + 1]))
        else:
            into = self._of.each[g // self._heads]
            torch.addmm(into, weight, slope, beta=min(g % self._heads, 1), out=into)

    def result(self) -> Tensor:
        """Sums `[K, rows, n]`."""
        if not by_numpy():
            return self._of.all.mT
        of_seeds = self._of.all.view(-1, self._heads, *self._of.all.shape[1:])
        return torch.sum(of_seeds, dim=1).mT
