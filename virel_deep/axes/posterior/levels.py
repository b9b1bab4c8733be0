r"""Distributions of two levels as functions of tensors: $\pi(a|s) = \sum_z \pi^H(z|s) \pi^L(a|z, s)$.

Shapes: Z latents, N actions, A entries of an action. A low level has n outputs per latent: log probabilities
of A choices but for a constant, or means and log standard deviations of A entries.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from virel_deep.axes.categorical import kl, log_probabilities, log_probability
from virel_deep.axes.gaussian import kl_parts
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


def from_choices(low: Tensor, other: Tensor) -> Tensor:
    """KL divergence `[..., Z]` of a low level, outputs `[..., Z, A]`, from another, nats."""
    return kl(log_probabilities(low), log_probabilities(other))


def from_squashed(low: Tensor, other: Tensor) -> Tensor:
    """KL divergence `[..., Z]` of a tanh-Gaussian low level, outputs `[..., Z, 2 A]`, from another, nats."""
    return kl_parts(split(low), split(other)).sum(-1)


def first_choices(latents: int, n_action: int) -> Tensor:
    """Outputs `[Z, A]` of a low level that is half uniform, half one action per latent: number z mod A.

    A single latent is uniform.

    Example:
        >>> first_choices(2, 3).softmax(-1)
        tensor([[0.6667, 0.1667, 0.1667],
                [0.1667, 0.6667, 0.1667]])
    """
    out = torch.zeros(latents, n_action)
    if latents > 1:
        out[torch.arange(latents), torch.arange(latents) % n_action] = math.log(1 + n_action)
    return out


def first_squashed(latents: int, n_action: int) -> Tensor:
    """Outputs `[Z, 2 A]` of a low level whose means before the tanh are 1 or -1 in one entry, 0 elsewhere.

    That entry is z mod A, with -1 where z div A is odd. A single latent has mean 0. Deviations are 1.

    Example:
        >>> first_squashed(4, 2)[:, :2].tolist()
        [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    """
    out = torch.zeros(latents, 2 * n_action)
    if latents > 1:
        z = torch.arange(latents)
        out[z, z % n_action] = 1.0 - 2.0 * (z // n_action % 2)
    return out


class Form(NamedTuple):
    """Functions of a low level's outputs, for one kind of action."""

    given: Given
    divergence: Callable[[Tensor, Tensor], Tensor]
    """KL divergence `[..., Z]` of one low level from another."""
    first: Callable[[int, int], Tensor]
    """Outputs of the low level to begin with, of Z latents and A entries of an action."""


CHOICES = Form(of_choices, from_choices, first_choices)
SQUASHED = Form(of_squashed, from_squashed, first_squashed)
