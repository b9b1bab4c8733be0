"""Stacks of matrices `[G, m, n]` and their products: a loop on the CPU, one batched call on a GPU."""

from functools import cached_property

import torch
from torch import Tensor

CACHE_LINE = 16
"""Floats in 64 bytes. Every matrix of a stack starts on such a boundary: how a product with a vector rounds
depends on the alignment of its operands, so the bits of a seed would depend on its place in the stack."""


class Stack:
    """Matrices `[G, m, n]`, with a view of each that is made once: views cost as much as small products."""

    def __init__(self, of: Tensor) -> None:
        """Make the views of a tensor `[G, m, n]`, whose storage is shared."""
        self.all = of
        self.each = of.unbind()

    @classmethod
    def empty(cls, n: int, rows: int, columns: int, *, device: torch.device) -> "Stack":
        """A stack of `n` matrices that are not filled, each on a cache line of its own."""
        return cls(matrices(torch.empty(n, whole(rows * columns), device=device), rows, columns))

    @cached_property
    def mT(self) -> "Stack":
        """The transposed matrices, in the same storage."""
        return Stack(self.all.mT)


def affine(x: Stack, weight: Stack, bias: Stack, *, out: Stack) -> None:
    """`out <- x @ weight + bias`, matrix by matrix, for `bias [G, 1, n]`."""
    if x.all.is_cuda:
        torch.baddbmm(bias.all, x.all, weight.all, out=out.all)
        return
    for one, w, b, into in zip(x.each, weight.each, bias.each, out.each, strict=True):
        torch.addmm(b, one, w, out=into)


def product(a: Stack, b: Stack, *, out: Stack) -> None:
    """`out <- a @ b`, matrix by matrix, for stacks `[G, m, n]` and `[G, n, p]`."""
    if a.all.is_cuda:
        torch.bmm(a.all, b.all, out=out.all)
        return
    for one, other, into in zip(a.each, b.each, out.each, strict=True):
        torch.mm(one, other, out=into)


def product_of_heads(a: Stack, b: Stack, *, out: Stack) -> None:
    """`out <- sum of a @ b over the heads of a seed`: `out [K, m, p]` of `[K C, m, n]` and `[K C, n, p]`."""
    heads = len(a.all) // len(out.all)
    if a.all.is_cuda:
        of_each = torch.bmm(a.all, b.all)
        torch.sum(of_each.view(-1, heads, *of_each.shape[1:]), dim=1, out=out.all)
        return
    for g, (one, other) in enumerate(zip(a.each, b.each, strict=True)):
        into = out.each[g // heads]
        torch.addmm(into, one, other, beta=0 if g % heads == 0 else 1, out=into)


def matrices(padded: Tensor, rows: int, columns: int) -> Tensor:
    """The matrices `[n, rows, columns]` with which the rows of `padded` begin, as a view."""
    return padded[:, : rows * columns].view(-1, rows, columns)


def whole(n: int) -> int:
    """Floats in the whole cache lines that a matrix of `n` floats takes up."""
    return -(-n // CACHE_LINE) * CACHE_LINE
