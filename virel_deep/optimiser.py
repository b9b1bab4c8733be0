"""Adam on one flat tensor: elementwise, so K stacked seeds are K separate optimisers."""

import torch
from torch import Tensor


class Adam:
    """Adam with torch's defaults (betas 0.9 and 0.999, eps 1e-8), one fused kernel over all parameters.

    Args:
        leaf: Flat parameters that require grad, padded to a multiple of `networks.SIMD`.
        learning_rate: Step size.
    """

    def __init__(self, leaf: Tensor, learning_rate: float) -> None:
        """Allocate the moments."""
        self.leaf = leaf
        self._adam = torch.optim.Adam([leaf], lr=learning_rate, fused=True, capturable=leaf.is_cuda)
        leaf.grad = torch.zeros_like(leaf)
        self._adam.step()  # allocates the moments; a zero gradient moves nothing
        self.state["step"].zero_()

    @property
    def state(self) -> dict[str, Tensor]:
        """`step []`, `exp_avg` and `exp_avg_sq` (laid out as the parameters)."""
        state: dict[str, Tensor] = self._adam.state[self.leaf]
        return state

    def minimise(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`, the sum over seeds of each seed's own loss."""
        (self.leaf.grad,) = torch.autograd.grad(loss, self.leaf)
        self._adam.step()
