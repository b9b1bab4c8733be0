"""Precision of float32 matrix products: a probe of this machine, and a setting for a block of code."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import Literal

import torch

from virel_common.errors import require
from virel_deep.design.run import Precision
from virel_deep.networks.stacks import Engine, cpu_products
from virel_deep.networks.threads import computing_threads

FLOAT32_LEVEL = 4.0
"""`medium` counts as float32 if its error is at most this many times that of `highest` (bf16: thousands)."""
WORTH_IT = 1.4
"""`auto` takes `medium` only where it is this many times faster. Narrow products get slower under it; and on
Zen 4, where it is 1.07 times faster, one start in twenty measured 1.2."""


_one_at_a_time = RLock()
ENGINES: dict[str, Engine] = {"stacked": "numpy", "compiled": "compiled"}
"""What computes products on the CPU instead of torch, by precision."""


def relative_error(setting: str) -> float:
    """Measure the relative error (Frobenius norm) of a 256 x 256 x 256 product at a torch precision."""
    a, b = (torch.randn(256, 256, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    exact = a.double() @ b.double()
    with _set(setting):
        return float(((a @ b).double() - exact).norm() / exact.norm())


@cache
def chosen(
    precision: Precision, device: str, threads: int = 1
) -> Literal["highest", "medium", "stacked", "compiled"]:
    """Resolve the option `precision`; `auto` is decided by measuring this machine, once per process.

    What is measured is computed with as many `threads` as the training will have: with others `medium` may
    seem faster than it is, and on a busy machine now this, now that.

    On a GPU `medium` is TF32, which `auto` never takes, and there are no products by numpy.

    Raises:
        InputError: `stacked` or `compiled` on a GPU.
    """
    possible = precision not in ENGINES or device == "cpu"
    require(possible, "precision", precision, "must not be stacked or compiled on a GPU")
    if precision != "auto":
        return precision
    if device != "cpu":
        return "highest"
    with computing_threads(threads):
        accurate = relative_error("medium") <= FLOAT32_LEVEL * relative_error("highest")
        seconds = _seconds()
    return "medium" if accurate and seconds["medium"] * WORTH_IT <= seconds["highest"] else "stacked"


@contextmanager
def products(precision: Precision, device: str) -> Iterator[None]:
    """Run a block with matrix products of the chosen precision; acting should stay outside the block.

    Acting has small products, which `medium` slows down.
    """
    setting = chosen(precision, device, torch.get_num_threads())
    if setting == "highest":
        yield
        return
    with _set("medium") if setting == "medium" else cpu_products(ENGINES[setting]):
        yield


@contextmanager
def _set(setting: str) -> Iterator[None]:
    """Set torch's precision of float32 matrix products inside the block, and restore it afterwards.

    Torch has one such setting for all threads, so that blocks of several threads take turns.
    """
    with _one_at_a_time:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(setting)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def _seconds() -> dict[str, float]:
    """Time a 256 x 256 x 256 matrix product under torch's `highest` and `medium`: least seconds of each."""
    a = torch.ones(256, 256)
    times: dict[str, list[float]] = {"highest": [], "medium": []}
    for _ in range(11):
        for setting, found in times.items():
            with _set(setting):
                for _ in range(5):
                    start = time.perf_counter()
                    torch.mm(a, a)
                    found.append(time.perf_counter() - start)
    return {setting: min(found[5:]) for setting, found in times.items()}
