r"""Distributions of two levels as functions of tensors: $\pi(a|s) = \sum_z \pi^H(z|s) \pi^L(a|z, s)$.

Shapes: Z latents, N actions, A entries of an action. A low level has n outputs per latent: log probabilities
of A choices but for a constant, or means and log standard deviations of A entries.
"""

from collections.abc import Callable

from torch import Tensor

from virel_deep.axes.categorical import log_probabilities, log_probability
from virel_deep.axes.posterior.tanh_gaussian import log_squashed, split

Given = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""Log densities `[..., Z, N]` given each latent, of a low level's outputs, actions, and these before
the tanh."""


def mixture(log_latent: Tensor, given: Tensor) -> Tensor:
    r"""Log densities $\log\sum_z p(z) p(a|z)$ of actions, `[..., N]`, nats.

    Args:
        log_latent: log probabilities of the latents, `[..., Z]`.
        given: log densities of the actions given each latent, `[..., Z, N]`.

    Example:
        >>> import torch
        >>> half, pure = torch.tensor([0.5, 0.5]).log(), torch.tensor([[0.9, 0.1], [0.3, 0.7]]).log()
        >>> mixture(half, pure).exp()
        tensor([0.6000, 0.4000])
    """
    return (log_latent[..., None] + given).logsumexp(-2)


def of_choices(low: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG001
    """Log probabilities `[..., Z, N]` of one-hot actions `[..., N, A]`, given outputs `low [..., Z, A]`."""
    return log_probability(log_probabilities(low)[..., None, :], action[..., None, :, :])


def of_squashed(low: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG001
    """Log densities `[..., Z, N]` of tanh-Gaussian actions, given outputs `low [..., Z, 2 A]`.

    `pre [..., N, A]` are the actions before the tanh.
    """
    assert pre is not None, "a tanh-Gaussian weighs actions before the tanh"
    return log_squashed(split(low[..., None, :]), pre[..., None, :, :])
