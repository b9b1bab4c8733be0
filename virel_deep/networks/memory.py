"""Memory of passes through stacked perceptrons, and the passes: forward and backward, layer by layer."""

import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from virel_deep.networks import placement
from virel_deep.networks.stacks import Stack, affine, matrices, product, product_of_heads, whole


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


class Scratch(threading.local):
    """Memory that a pass needs no longer than one call, shared by all passes of a thread on the CPU.

    It has two places of each number type, which layers take in turn: a layer reads one and writes the other.
    """

    def __init__(self) -> None:
        """Start without memory; each place grows to the largest stack that it held."""
        self._places: dict[torch.dtype, list[Tensor]] = {}

    def places(self, dtype: torch.dtype) -> list[Tensor]:
        """Memory of both places as it is now."""
        return self._places.setdefault(dtype, [torch.empty(0, dtype=dtype) for _ in range(2)])

    def stack(self, place: int, shape: tuple[int, int, int], dtype: torch.dtype) -> Stack:
        """Stack of uninitialised matrices `[G, m, n]` at a place, each starting on its own cache line."""
        n, rows, columns = shape
        places, size = self.places(dtype), n * whole(rows * columns)
        if places[place].numel() < size:
            places[place] = torch.empty(size, dtype=dtype)
        return Stack(matrices(places[place][:size].view(n, -1), rows, columns))


SCRATCH = Scratch()


class Passing:
    """Stacks of some layers in the scratch memory: views that are made again where the memory has grown.

    On a GPU, where a captured update reads what it was captured with, they have memory of their own.

    Args:
        shapes: sizes `(G, m, n)` of the stacks.
        like: parameters of the networks, for number type and device.
    """

    def __init__(self, shapes: Sequence[tuple[int, int, int]], like: Tensor) -> None:
        """Store the sizes; nothing is allocated before the first use."""
        self._shapes, self._like = shapes, like
        self._of: list[Tensor] = []
        self._stacks: list[Stack] = []

    def __call__(self) -> list[Stack]:
        """Stacks of all layers; what the last call of anybody wrote into them is gone."""
        if placement.on_gpu(self._like):
            device = self._like.device
            self._stacks = self._stacks or [Stack.empty(*one, device=device) for one in self._shapes]
            return self._stacks
        now = SCRATCH.places(self._like.dtype)
        if not (self._of and self._of[0] is now[0] and self._of[1] is now[1]):
            for _ in range(2):  # a second time: a later stack may have replaced the memory of an earlier one
                of = enumerate(self._shapes)
                self._stacks = [SCRATCH.stack(i % 2, shape, self._like.dtype) for i, shape in of]
            self._of = list(now)
        return self._stacks


def _by_inputs(g: Stack, weight: Stack, *, seeds: int) -> Tensor:
    """Gradient `[K, rows, n]` w.r.t. n input columns, from that w.r.t. the first layer's outputs."""
    out = Stack.empty(seeds, weight.all.shape[1], g.all.shape[1], device=g.all.device)
    product_of_heads(weight, g.mT, out=out)  # transposed: a product is slow where its output is narrow
    return out.all.mT


class TensorStorage:
    """Reusable memory of one forward and backward pass, in torch or numpy.

    Inputs of layers are kept where a backward pass reads them. Those of other passes, and the slopes of all,
    lie in the scratch memory.
    """

    def __init__(self, network: Parameters, rows: int, reached: int) -> None:
        """Allocate the inputs of every layer, which a forward pass fills, if a backward pass is to follow."""
        self.network, self.sizes, self.passes = network, (rows, reached), 0
        n, like = network.seeds * network.heads, network.stacks[0].weight.all
        self.slopes = Passing([(n, reached, width) for width in network.sizes[1:]], like)
        """Gradients w.r.t. the outputs of every layer, for the rows that a backward pass covers."""
        self._inputs = None if reached else Passing([(n, rows, m) for m in network.sizes[:-1]], like)
        self._kept = [self._empty(rows, n) for n in network.sizes[:-1]] if reached else []
        self.read = self._kept if rows == reached else [Stack(one.all[:, :reached]) for one in self._kept]
        """Inputs of every layer in the rows that a backward pass reaches."""

    def forward(self, x: Tensor) -> Tensor:
        """Run the forward pass; return the outputs `[K, C, B, out]` as a new tensor."""
        network = self.network
        self.passes += 1
        inputs = self._kept if self._inputs is None else self._inputs()
        by_head(inputs[0].all, network).copy_(x[:, None])
        *hidden, last = network.stacks
        for layer, h, out in zip(hidden, inputs, inputs[1:], strict=False):
            affine(h, layer.weight, layer.bias, out=out)
            out.all.relu_()
        outputs = self._empty(self.sizes[0], network.sizes[-1])
        affine(inputs[-1], last.weight, last.bias, out=outputs)
        return by_head(outputs.all, network)

    def backward(self, upstream: Tensor, *, parameters: bool, inputs: slice | None) -> Tensor | None:
        """Run the backward pass, as `Storage` has it."""
        network, slopes = self.network, self.slopes()
        g = slopes[-1]
        by_head(g.all, network).copy_(upstream)
        for i in reversed(range(len(self.read))):
            h = self.read[i]
            if parameters:
                into = network.gradients[i]
                product(h.mT, g, out=into.weight)
                torch.sum(g.all, dim=1, keepdim=True, out=into.bias.all)
            if i > 0:
                below = slopes[i - 1]
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
