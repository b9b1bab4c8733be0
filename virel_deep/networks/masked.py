"""Memory of one large pass whose parameters are fixed: it keeps which units are on, not what they are.

A gradient in the inputs needs no more than that. Networks take turns in the scratch memory, so that a pass
over many rows needs a byte per unit and row, and two layers of one network. The numbers are those of
`TensorStorage`: each network's matrices are multiplied by the same routine.

Of the smaller of C critics' values, each row has its gradient from one critic alone. A backward pass of a
network therefore leaves out the rows whose slope is 0, where these are many; its numbers are the same up to
rounding.

A mask has all bits of a unit that is on, so that a slope stays as it is or becomes 0. That takes numpy a
fraction of the time that torch's own masks take.
"""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from virel_deep.networks.memory import Parameters, Passing, by_head
from virel_deep.networks.stacks import Stack, affine, by_numpy, product

LARGE = 2**16
"""Units of a network's widest layer, over all rows, from which on a pass is large: 256 rows of 256."""

MOST = 0.75
"""Share of rows with a slope up to which the others are left out: gathering rows takes time too."""


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
            rows = sloping(of_each[g])
            slope = of_each[g] if rows is None else of_each[g].index_select(0, rows)
            of_rows = [Stack(one.all[:, : len(slope)]) for one in slopes]
            of_rows[-1].all.copy_(slope)
            for i in reversed(range(1, len(layers))):
                on, below = self._on[g][i - 1], of_rows[i - 1]
                product(of_rows[i], layers[i][0].mT, out=below)
                bits = below.numpy.view(self._bits)
                np.bitwise_and(bits, on if rows is None else on.take(rows.numpy(), axis=1), out=bits)
            summed.add(g, network.stacks[0].weight.all[g, inputs], of_rows[0].all[0].mT, rows)
        return summed.result()


def sloping(slope: Tensor) -> Tensor | None:
    """Indices of the rows of `slope [rows, out]` that are not 0; None if they are more than `MOST` of all.

    Example:
        >>> sloping(torch.tensor([[0.0, 0.0], [0.0, 2.0], [0.0, 0.0]])), sloping(torch.tensor([[1.0], [1.0]]))
        (tensor([1]), None)
    """
    rows = (slope != 0).any(-1).nonzero().squeeze(-1)
    return None if len(rows) > MOST * len(slope) else rows


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

    def add(self, g: int, weight: Tensor, slope: Tensor, rows: Tensor | None) -> None:
        """Add the product `weight @ slope` of network g, all rows or some; networks come in their order."""
        place, first = (g, True) if by_numpy() else (g // self._heads, g % self._heads == 0)
        into = self._of.each[place]
        if rows is not None:
            part = torch.empty(len(weight), len(rows), device=weight.device)
            product(Stack(weight[None]), Stack(slope[None]), out=Stack(part[None]))
            if first:
                into.zero_()
            into.index_add_(1, rows, part)
        elif by_numpy():
            product(Stack(weight[None]), Stack(slope[None]), out=Stack(into[None]))
        else:
            torch.addmm(into, weight, slope, beta=int(not first), out=into)

    def result(self) -> Tensor:
        """Sums `[K, rows, n]`."""
        if not by_numpy():
            return self._of.all.mT
        of_seeds = self._of.all.view(-1, self._heads, *self._of.all.shape[1:])
        return torch.sum(of_seeds, dim=1).mT
