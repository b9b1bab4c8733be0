"""Stacks of matrices `[G, m, n]` and their products: matrix by matrix on the CPU, in one call on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CACHE_LINE = 16
"""Floats in 64 bytes. Every matrix of a stack starts on such a boundary: how a product with a vector rounds
depends on the alignment of its operands, so the bits of a seed would depend on its place in the stack."""


class Stack:
    """Matrices `[G, m, n]`, with a view of each that is made once: views cost as much as small products."""

    def __init__(self, of: Tensor) -> None:
        """Share the storage of a tensor `[G, m, n]`."""
        self.all = of

    @cached_property
    def each(self) -> tuple[Tensor, ...]:
        """A view of each matrix."""
        return self.all.unbind()

    @classmethod
    def empty(cls, n: int, rows: int, columns: int, *, device: torch.device) -> "Stack":
        """A stack of `n` matrices that are not filled, each on a cache line of its own."""
        return cls(matrices(torch.empty(n, whole(rows * columns), device=device), rows, columns))

    @cached_property
    def numpy(self) -> NDArray[Any]:
        """The matrices as an array on the same storage; on the CPU."""
        out: NDArray[Any] = self.all.detach().numpy()
        return out

    @cached_property
    def mT(self) -> "Stack":
        """The transposed matrices, in the same storage."""
        return Stack(self.all.mT)


def affine(x: Stack, weight: Stack, bias: Stack, *, out: Stack) -> None:
    """`out <- x @ weight + bias`, matrix by matrix, for `bias [G, 1, n]`."""
    if x.all.is_cuda:
        torch.baddbmm(bias.all, x.all, weight.all, out=out.all)
    elif _by_numpy:
        _numpy_product(x, weight, out=out)
        out.numpy += bias.numpy
    else:
        for one, w, b, into in zip(x.each, weight.each, bias.each, out.each, strict=True):
            torch.addmm(b, one, w, out=into)


def product(a: Stack, b: Stack, *, out: Stack) -> None:
    """`out <- a @ b`, matrix by matrix, for stacks `[G, m, n]` and `[G, n, p]`."""
    if a.all.is_cuda:
        torch.bmm(a.all, b.all, out=out.all)
    elif _by_numpy:
        _numpy_product(a, b, out=out)
    else:
        for one, other, into in zip(a.each, b.each, out.each, strict=True):
            torch.mm(one, other, out=into)


def product_of_heads(a: Stack, b: Stack, *, out: Stack) -> None:
    """`out <- sum of a @ b over the heads of a seed`: `out [K, m, p]` of `[K C, m, n]` and `[K C, n, p]`."""
    heads = len(a.all) // len(out.all)
    if a.all.is_cuda or _by_numpy:
        of_each = torch.bmm(a.all, b.all) if a.all.is_cuda else torch.from_numpy(np.matmul(a.numpy, b.numpy))
        torch.sum(of_each.view(-1, heads, *of_each.shape[1:]), dim=1, out=out.all)
        return
    for g, (one, other) in enumerate(zip(a.each, b.each, strict=True)):
        into = out.each[g // heads]
        torch.addmm(into, one, other, beta=0 if g % heads == 0 else 1, out=into)


_by_numpy = False


@contextmanager
def numpy_products() -> Iterator[None]:
    """Run a block whose products on the CPU are numpy's: one call per stack, a loop over its matrices in C.

    Each matrix is multiplied by itself, by the same routine whatever the others are, so the bits of a seed do
    not depend on its neighbours. They are not those of torch's products.
    """
    global _by_numpy  # noqa: PLW0603  (like torch's own setting of its products)
    before, _by_numpy = _by_numpy, True
    try:
        yield
    finally:
        _by_numpy = before


def by_numpy() -> bool:
    """Whether products on the CPU are numpy's at the moment."""
    return _by_numpy


def _numpy_product(a: Stack, b: Stack, *, out: Stack) -> None:
    if a.all.shape[2] == 1:  # an outer product: numpy's is slow, and elementwise it is the same number
        np.multiply(a.numpy, b.numpy, out=out.numpy)
    else:
        np.matmul(a.numpy, b.numpy, out=out.numpy)


def matrices(padded: Tensor, rows: int, columns: int) -> Tensor:
    """The matrices `[n, rows, columns]` with which the rows of `padded` begin, as a view."""
    return padded[:, : rows * columns].view(-1, rows, columns)


def whole(n: int) -> int:
    """Floats in the whole cache lines that a matrix of `n` floats takes up."""
    return -(-n // CACHE_LINE) * CACHE_LINE
