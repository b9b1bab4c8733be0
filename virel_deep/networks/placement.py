"""Where a tensor lies: code that has a road of its own for a GPU asks here, and tests take it on the CPU."""

from torch import Tensor


def on_gpu(x: Tensor) -> bool:
    """Whether a tensor lies on a GPU."""
    return x.is_cuda
