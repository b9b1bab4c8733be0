"""Stacks of independent perceptrons: K seeds x C heads, one product a layer, gradients written by hand.

Seeds and heads never meet: network `g = k C + c` reads the rows of seed k and owns its block of every weight.
On the CPU a stacked product is a loop of matrix products, so the bits of a seed do not depend on K, and it is
faster than a batched product where the output is narrow; on a GPU it is one batched product.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SIMD = 64
"""Flat parameters are padded to a multiple of this, so that no element is left to a loop's scalar tail, which
may round differently: the bits of a seed would depend on its place in the stack."""
CACHE_LINE = 16
"""Floats in 64 bytes. Every matrix of a stack starts on such a boundary: products with a vector round by the
alignment of their operands, so the bits of a seed would depend on its place in the stack."""


class Layer(NamedTuple):
    """Weights of one layer of every network: `weight [G, in, out]`, `bias [G, 1, out]`."""

    weight: Tensor
    bias: Tensor


class Network:
    """K x C perceptrons of the same sizes, ReLU between layers, all parameters in one flat tensor.

    Args:
        seeds: K.
        heads: C, networks a seed.
        sizes: `(in, hidden..., out)`.
    """

    def __init__(self, seeds: int, heads: int, sizes: Sequence[int], *, device: torch.device) -> None:
        """Allocate, all zero."""
        self.seeds, self.heads, self.sizes = seeds, heads, tuple(sizes)
        blocks = [rows * n_out for n_in, n_out in pairwise(sizes) for rows in (n_in, 1)]
        padded = seeds * heads * sum(_whole(block, CACHE_LINE) for block in blocks)
        self.flat = torch.zeros(_whole(padded, SIMD), device=device)
        self.layers = self.views(self.flat)
        self.leaf = self.flat.detach().requires_grad_()
        """The same storage as `flat`, as the leaf that autograd differentiates by."""
        self.gradient = torch.zeros_like(self.flat)
        self.gradient_layers = self.views(self.gradient)

    def views(self, flat: Tensor) -> list[Layer]:
        """`flat` (parameters, a gradient, an optimiser's moment) as layers; views, no copies."""
        stack, layers, start = self.seeds * self.heads, [], 0
        for n_in, n_out in pairwise(self.sizes):
            blocks = []
            for rows in (n_in, 1):
                end = start + stack * _whole(rows * n_out, CACHE_LINE)
                blocks.append(_matrices(flat[start:end].view(stack, -1), rows, n_out))
                start = end
            layers.append(Layer(*blocks))
        return layers

    def initialise(self, generators: Sequence[torch.Generator]) -> None:
        """Draw every parameter from U(-1/sqrt(in), 1/sqrt(in)), torch's default; a generator a seed."""
        for k, generator in enumerate(generators):
            for layer in self.layers:
                bound = layer.weight.shape[1] ** -0.5
                for block in layer:
                    mine = block[k * self.heads : (k + 1) * self.heads]
                    mine.copy_(torch.rand(mine.shape, generator=generator) * (2 * bound) - bound)

    def seed_blocks(self, flat: Tensor, k: int) -> dict[str, Tensor]:
        """The part of `flat` that is seed k's, by name: `0.weight [C, in, out]`, `0.bias [C, 1, out]`, ..."""
        mine = slice(k * self.heads, (k + 1) * self.heads)
        return {
            f"{i}.{name}": block[mine]
            for i, layer in enumerate(self.views(flat))
            for name, block in zip(Layer._fields, layer, strict=True)
        }

    def __call__(self, x: Tensor, *, train: bool = False, rows: int | None = None) -> Tensor:
        """Outputs `[K, C, B, out]` for inputs `x [K, B, in]`.

        Args:
            x: Inputs; every head of a seed reads the same ones.
            train: Whether autograd sees `self.leaf`. The gradient it returns is `self.gradient`, which the
                next backward pass overwrites: one backward pass at a time.
            rows: Rows of the batch that a backward pass reaches; None means all.
        """
        leaf = self.leaf if train else self.flat
        out: Tensor = _Perceptrons.apply(x, leaf, self, x.shape[1] if rows is None else rows)  # type: ignore[no-untyped-call]
        return out


class _Perceptrons(torch.autograd.Function):
    """Forward and backward pass of a `Network`; the parameters' gradient goes into `network.gradient`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, leaf: Tensor, network: Network, rows: int) -> Tensor:  # noqa: ARG004
        *hidden, last = network.layers
        activations = [_copies(x[:, None], network)]
        for layer in hidden:
            activations.append(_affine(activations[-1], layer).relu_())
        ctx.network = network
        ctx.activations = [h[:, :rows] for h in activations]
        return _affine(activations[-1], last).view(network.seeds, network.heads, x.shape[1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        network, activations = ctx.network, ctx.activations
        wants_x, wants_parameters = ctx.needs_input_grad[:2]
        rows = activations[0].shape[1]
        g = _copies(upstream[:, :, :rows], network)
        for i in reversed(range(len(activations))):
            h, layer = activations[i], network.layers[i]
            if wants_parameters:
                into = network.gradient_layers[i]
                _product(h.mT, g, out=into.weight)
                torch.sum(g, dim=1, keepdim=True, out=into.bias)
            if i > 0:
                g = _product(g, layer.weight.mT)
                # relu'(h), in place: h is the output of the ReLU.
                torch.ops.aten.threshold_backward.grad_input(g, h, 0, grad_input=g)
        grad_x = None
        if wants_x:
            grad_x = torch.zeros(network.seeds, upstream.shape[2], network.sizes[0], device=g.device)
            of_heads = _product(g, network.layers[0].weight.mT).view(*upstream.shape[:2], rows, -1)
            grad_x[:, :rows] = of_heads.sum(1)
        return grad_x, network.gradient if wants_parameters else None, None, None


def _affine(x: Tensor, layer: Layer) -> Tensor:
    if x.is_cuda:
        return torch.baddbmm(layer.bias, x, layer.weight)
    out = _stack(x.shape[0], x.shape[1], layer.weight.shape[2], device=x.device)
    for g in range(x.shape[0]):
        torch.addmm(layer.bias[g], x[g], layer.weight[g], out=out[g])
    return out


def _product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """`a @ b` for stacks `[G, m, n]` and `[G, n, p]`."""
    out = _stack(a.shape[0], a.shape[1], b.shape[2], device=a.device) if out is None else out
    if a.is_cuda:
        return torch.bmm(a, b, out=out)
    for g in range(a.shape[0]):
        torch.mm(a[g], b[g], out=out[g])
    return out


def _copies(x: Tensor, network: Network) -> Tensor:
    """`x [K, C or 1, B, n]` as a stack `[K C, B, n]`."""
    out = _stack(network.seeds * network.heads, *x.shape[2:], device=x.device)
    out.view(network.seeds, network.heads, *x.shape[2:]).copy_(x)
    return out


def _stack(n: int, rows: int, columns: int, *, device: torch.device) -> Tensor:
    """Matrices `[n, rows, columns]`, not filled, each on a cache line of its own."""
    return _matrices(torch.empty(n, _whole(rows * columns, CACHE_LINE), device=device), rows, columns)


def _matrices(padded: Tensor, rows: int, columns: int) -> Tensor:
    """The matrices `[n, rows, columns]` that begin the rows of `padded`; a view."""
    return padded[:, : rows * columns].view(-1, rows, columns)


def _whole(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
