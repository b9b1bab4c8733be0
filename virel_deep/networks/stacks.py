"""Stacks of matrices `[G, m, n]` and their products: matrix by matrix on the CPU, batched on a GPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from virel_deep.networks import placement

CACHE_LINE = 16
"""Floats in 64 bytes. Every matrix of a stack starts on such a boundary: how a product with a vector rounds
depends on the alignment of its operands, so the bits of a seed would depend on its place in the stack."""

Engine = Literal["torch", "numpy", "compiled"]


class Stack:
    """Stack of matrices `[G, m, n]` with cached views: making a view costs as much as a small product."""

    def __init__(self, of: Tensor) -> None:
        """Wrap a tensor `[G, m, n]` as a stack of matrices, sharing its storage."""
        self.all = of

    @cached_property
    def each(self) -> tuple[Tensor, ...]:
        """Views of the single matrices of the stack."""
        return self.all.unbind()

    @classmethod
    def empty(cls, n: int, rows: int, columns: int, *, device: torch.device) -> "Stack":
        """Allocate a stack of `n` uninitialised matrices, each starting on its own cache line."""
        return cls(matrices(torch.empty(n, whole(rows * columns), device=device), rows, columns))

    @cached_property
    def numpy(self) -> NDArray[Any]:
        """View of the stack as a numpy array on the same memory; CPU only."""
        out: NDArray[Any] = self.all.detach().numpy()
        return out

    @cached_property
    def mT(self) -> "Stack":
        """Stack of the transposed matrices, in the same memory."""
        return Stack(self.all.mT)


def affine(x: Stack, weight: Stack, bias: Stack, *, out: Stack) -> None:
    """Affine map `out <- x @ weight + bias` for each matrix of the stacks, with `bias [G, 1, n]`."""
    if placement.on_gpu(x.all):
        torch.baddbmm(bias.all, x.all, weight.all, out=out.all)
    elif by_numpy():
        _numpy_product(x, weight, out=out)
        out.numpy += bias.numpy
    else:
        for one, w, b, into in zip(x.each, weight.each, bias.each, out.each, strict=True):
            torch.addmm(b, one, w, out=into)


def product(a: Stack, b: Stack, *, out: Stack) -> None:
    """Matrix products `out <- a @ b` of two stacks `[G, m, n]` and `[G, n, p]`."""
    if placement.on_gpu(a.all):
        torch.bmm(a.all, b.all, out=out.all)
    elif by_numpy():
        _numpy_product(a, b, out=out)
    else:
        for one, other, into in zip(a.each, b.each, out.each, strict=True):
            torch.mm(one, other, out=into)


def product_of_heads(a: Stack, b: Stack, *, out: Stack) -> None:
    """Sum over a seed's C heads of `a @ b`: `out [K, m, p]` from `a [K C, m, n]` and `b [K C, n, p]`."""
    heads = len(a.all) // len(out.all)
    together = placement.on_gpu(a.all)
    if together or by_numpy():
        of_each = torch.bmm(a.all, b.all) if together else torch.from_numpy(np.matmul(a.numpy, b.numpy))
        torch.sum(of_each.view(-1, heads, *of_each.shape[1:]), dim=1, out=out.all)
        return
    for g, (one, other) in enumerate(zip(a.each, b.each, strict=True)):
        into = out.each[g // heads]
        torch.addmm(into, one, other, beta=0 if g % heads == 0 else 1, out=into)


class _Products(threading.local):
    """What computes products on the CPU, in each thread: two trainings in one process don't share it."""

    engine: Engine = "torch"


_products = _Products()


@contextmanager
def cpu_products(engine: Engine) -> Iterator[None]:
    """Run a block whose CPU matrix products are computed by another engine than torch.

    `numpy` takes one call per stack, looping in C; `compiled` one call per pass of a network, and numpy for
    other products. Each matrix is multiplied by itself, by the same routine whatever the others are, so the
    bits of a seed do not depend on its neighbours. They are not those of torch's products. Like torch, numpy
    says nothing of products that are not finite: what comes of them is checked.
    """
    before, _products.engine = _products.engine, engine
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    finally:
        _products.engine = before


def by_numpy() -> bool:
    """Whether single CPU matrix products are computed by numpy at the moment."""
    return _products.engine != "torch"


def by_compiled() -> bool:
    """Whether whole passes of networks are compiled at the moment."""
    return _products.engine == "compiled"


def _numpy_product(a: Stack, b: Stack, *, out: Stack) -> None:
    if a.all.shape[2] == 1:  # an outer product: numpy's is slow, and elementwise it is the same number
        torch.mul(a.all, b.all, out=out.all)
    else:
        np.matmul(a.numpy, b.numpy, out=out.numpy)


def matrices(padded: Tensor, rows: int, columns: int) -> Tensor:
    """View the rows of a padded tensor as matrices `[n, rows, columns]`, without the padding."""
    return padded[:, : rows * columns].view(-1, rows, columns)


def whole(n: int) -> int:
    """Round a matrix size of `n` floats up to whole cache lines."""
    return -(-n // CACHE_LINE) * CACHE_LINE
