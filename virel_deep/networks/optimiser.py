"""Adam on one flat tensor; it is elementwise, so K stacked seeds are K separate optimisers."""

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from virel_deep.networks import placement


class Adam:
    """Adam with torch's default betas and eps (0.9, 0.999, 1e-8), one fused kernel over all parameters.

    It calls the kernel of `torch.optim.Adam(fused=True)` itself: the optimiser around it costs twice as much.

    Args:
        flat: parameters, padded to a multiple of `network.SIMD`.
        learning_rate: step size.
    """

    def __init__(self, flat: Tensor, learning_rate: float) -> None:
        """Allocate the Adam moments, all zero."""
        self._flat, self._first = flat, learning_rate
        self.learning_rate: float | Tensor = learning_rate
        self.state = {
            "step": torch.zeros((), device=flat.device),
            "exp_avg": torch.zeros_like(self._flat),
            "exp_avg_sq": torch.zeros_like(self._flat),
        }
        """Number of steps `[]`, and the moments, laid out as the parameters."""

    def scale_rate(self, factor: float) -> None:
        """Set the step size to this multiple of the first one, as a number or, on a GPU, in a tensor.

        A captured CUDA graph reads the tensor at each replay, where it would keep a number.
        """
        if not placement.on_gpu(self._flat):
            self.learning_rate = self._first * factor
        elif isinstance(self.learning_rate, Tensor):
            self.learning_rate.fill_(self._first * factor)
        else:
            self.learning_rate = torch.full((), self._first * factor, device=self._flat.device)

    def descend(self, gradient: Tensor) -> None:
        """Take one Adam step on the parameters, given their gradient in the same flat layout."""
        self.state["step"] += 1
        torch._fused_adam_(
            [self._flat],
            [gradient],
            [self.state["exp_avg"]],
            [self.state["exp_avg_sq"]],
            [],
            [self.state["step"]],
            lr=self.learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
        increment_version(self._flat)  # the kernel does not: a pass from before the step would go unnoticed
