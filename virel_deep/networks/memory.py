"""Memory of passes through stacked perceptrons, and the passes: forward and backward, layer by layer."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from virel_deep.networks.stacks import Stack, affine, product, product_of_heads


class Stacks(NamedTuple):
    """Weights and biases of one layer as stacks, with a view of each network's matrix."""

    weight: Stack
    bias: Stack


class Parameters(NamedTuple):
    """Parameters of K x C perceptrons, as a pass reads them."""

    seeds: int
    heads: int
    sizes: tuple[int, ...]
    """`(in, hidden..., out)`."""
    stacks: Sequence[Stacks]
    """Weights and biases of every layer."""
    gradients: Sequence[Stacks]
    """Their gradient, in the same layout; a backward pass writes it."""


class Storage(Protocol):
    """Interface of a pass's memory, in torch's tensors or compiled."""

    passes: int
    """Forward passes so far."""
    sizes: tuple[int, int]
    """Rows of a batch, and how many of them a backward pass covers."""

    def forward(self, x: Tensor) -> Tensor:
        """Run the forward pass; return the outputs `[K, C, B, out]` as a new tensor."""

    def backward(self, upstream: Tensor, *, parameters: bool, inputs: slice | None) -> Tensor | None:
        """Run the backward pass from `upstream`, the gradient w.r.t. the outputs.

        If asked for, the gradient w.r.t. all parameters is written to `network.gradient`, and that w.r.t.
        input columns, summed over heads, `[K, rows, n]`, is returned.
        """


def _by_inputs(g: Stack, weight: Stack, *, seeds: int) -> Tensor:
    """Gradient `[K, rows, n]` w.r.t. n input columns, from that w.r.t. the first layer's outputs."""
    out = Stack.empty(seeds, weight.all.shape[1], g.all.shape[1], device=g.all.device)
    product_of_heads(weight, g.mT, out=out)  # transposed: a product is slow where its output is narrow
    return out.all.mT


class TensorStorage:
    """Reusable memory of one forward and backward pass, in torch or numpy: inputs and slopes of layers."""

    def __init__(self, network: Parameters, rows: int, reached: int) -> None:
        """Allocate the inputs of every layer, which a forward pass fills."""
        self.network, self.sizes, self.passes = network, (rows, reached), 0
        self.inputs = [self._empty(rows, n) for n in network.sizes[:-1]]
        self.read = self.inputs if rows == reached else [Stack(one.all[:, :reached]) for one in self.inputs]
        """Inputs of every layer in the rows that a backward pass reaches."""

    @cached_property
    def slopes(self) -> list[Stack]:
        """Gradients w.r.t. the outputs of every layer, for the rows that a backward pass covers."""
        return [self._empty(self.sizes[1], n) for n in self.network.sizes[1:]]

    def forward(self, x: Tensor) -> Tensor:
        """Run the forward pass; return the outputs `[K, C, B, out]` as a new tensor."""
        network = self.network
        self.passes += 1
        by_head(self.inputs[0].all, network).copy_(x[:, None])
        *hidden, last = network.stacks
        for layer, h, out in zip(hidden, self.inputs, self.inputs[1:], strict=False):
            affine(h, layer.weight, layer.bias, out=out)
            out.all.relu_()
        outputs = self._empty(self.sizes[0], network.sizes[-1])
        affine(self.inputs[-1], last.weight, last.bias, out=outputs)
        return by_head(outputs.all, network)

    def backward(self, upstream: Tensor, *, parameters: bool, inputs: slice | None) -> Tensor | None:
        """Run the backward pass, as `Storage` has it."""
        network, g = self.network, self.slopes[-1]
        by_head(g.all, network).copy_(upstream)
        for i in reversed(range(len(self.read))):
            h = self.read[i]
            if parameters:
                into = network.gradients[i]
                product(h.mT, g, out=into.weight)
                torch.sum(g.all, dim=1, keepdim=True, out=into.bias.all)
            if i > 0:
                below = self.slopes[i - 1]
                product(g, network.stacks[i].weight.mT, out=below)
                # relu'(h), in place: h is the output of the ReLU.
                torch.ops.aten.threshold_backward.grad_input(below.all, h.all, 0, grad_input=below.all)
                g = below
        if inputs is None:
            return None
        return _by_inputs(g, Stack(network.stacks[0].weight.all[:, inputs]), seeds=network.seeds)

    def _empty(self, rows: int, columns: int) -> Stack:
        return Stack.empty(
            self.network.seeds * self.network.heads,
            rows,
            columns,
            device=self.network.stacks[0].weight.all.device,
        )


def by_head(stack: Tensor, network: Parameters) -> Tensor:
    """View a stack `[K C, m, n]` as `[K, C, m, n]`: seeds, then heads."""
    return stack.view(network.seeds, network.heads, *stack.shape[1:])
