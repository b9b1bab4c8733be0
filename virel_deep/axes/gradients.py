"""Derivatives of means over a minibatch of the losses, by what the networks give. Tested against autograd.

That of a tanh-Gaussian by its network's output is `inference.gradient`.
"""

import torch
from torch import Tensor


def squared_loss(value: Tensor, target: Tensor) -> Tensor:
    """Of `losses.v_loss` and `losses.q_loss` by the value, both `[..., B]`."""
    return (value - target) / value.shape[-1]


def smaller(q: Tensor) -> Tensor:
    """Of the sum over rows of the smaller critic's value, by the critics' values `q [K, C, B]`; true is 1."""
    if q.shape[1] == 1:
        return torch.ones_like(q, dtype=torch.bool)
    first = q[:, 0] <= q[:, 1]
    return torch.stack((first, ~first), dim=1)


def penalty(head: Tensor, inside: Tensor, *, mean_weight: float, log_std_weight: float) -> Tensor:
    """Of `losses.penalty` by the policy's output `[K, B, 2 A]`; `inside`: as `inference.Sample` has it."""
    mean, log_std = head.chunk(2, dim=-1)
    scale = 2 / inside[0].numel()
    return torch.cat((scale * mean_weight * mean, scale * log_std_weight * log_std * inside), dim=-1)


def dual_temperature_loss(log_pi: Tensor, *, target_entropy: float) -> Tensor:
    """Of `losses.dual_temperature_loss` by log alpha, `[K]`."""
    return -target_entropy - log_pi.mean(-1)
