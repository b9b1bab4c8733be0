"""Posteriors over actions in [-1, 1], from the output of a policy network and noise drawn beforehand."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from virel_deep.networks.perceptron import Floats

LOG_STD_RANGE = (-20.0, 2.0)


def tanh_gaussian(head: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    r"""Action $a = \tanh u$, $u = \mu + \sigma \xi$, and $\log \pi_\theta(a|s)$; design paper (13), (14).

    $$ \log \pi(a|s) = \sum_i \log N(u_i; \mu_i, \sigma_i) - 2 (\log 2 - u_i - \mathrm{softplus}(-2 u_i)) $$

    The second term is log(1 - tanh(u)^2) without its cancellation: it is exact to rounding for every u, where
    log(1 - a^2 + 1e-6) is off by up to 13.8 nats a saturated dimension.

    Args:
        head: `[..., 2 A]` means, then log standard deviations (clamped to `LOG_STD_RANGE`).
        noise: `[..., A]` standard normal.

    Returns:
        Action `[..., A]` and its log density `[...]`, nats, over [-1, 1]^A (not the environment's range).

    Example:
        >>> import torch
        >>> action, log_pi = tanh_gaussian(torch.tensor([0.0, 0.0]), torch.tensor([0.0]))
        >>> action.item(), round(log_pi.item(), 4)  # the standard normal's density at 0
        (0.0, -0.9189)
    """
    out: tuple[Tensor, Tensor] = _TanhGaussian.apply(head, noise)  # type: ignore[no-untyped-call]
    return out


class Sample(NamedTuple):
    """What `tanh_gaussian` returns, and what its gradient needs beside the action, `[..., A]` each."""

    action: Tensor
    log_pi: Tensor
    pushed: Tensor
    """Noise times standard deviation."""
    inside: Tensor
    """Where the log standard deviation is not clamped."""


def sample(head: Tensor, noise: Tensor) -> Sample:
    """`tanh_gaussian` without autograd: `gradient` is called by hand."""
    mean, log_std = split(head)
    pushed = log_std.exp() * noise
    u = mean + pushed
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    # torch's own threshold of 20 drops 2e-9: nothing in float32, but the exact check is in float64.
    log_slope = 2 * (math.log(2) - u - softplus(-2 * u, threshold=40))
    return Sample(u.tanh(), (log_normal - log_slope).sum(-1), pushed, log_std == head.chunk(2, dim=-1)[1])


def explore(head: Floats, noise: Floats) -> Floats:
    """The action of `sample` alone, in numpy: for acting."""
    n = noise.shape[-1]
    mean, log_std = head[..., :n], head[..., n:]
    std = np.exp(np.minimum(np.maximum(log_std, LOG_STD_RANGE[0]), LOG_STD_RANGE[1]))
    action: Floats = np.tanh(mean + std * noise)
    return action


def gradient(action: Tensor, pushed: Tensor, inside: Tensor, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
    """Gradient `[..., 2 A]` by the head, from those by action `[..., A]` and log density `[...]`.

    d log pi / du = 2 tanh u.
    """
    by_log_pi = by_log_pi[..., None]
    by_mean = by_action - action * (action * by_action - 2 * by_log_pi)
    return torch.cat((by_mean, (by_mean * pushed - by_log_pi) * inside), dim=-1)


class _TanhGaussian(torch.autograd.Function):
    """`sample` and `gradient` as autograd wants them."""

    @staticmethod
    def forward(ctx: Any, head: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        action, log_pi, pushed, inside = sample(head, noise)
        ctx.save_for_backward(inside, pushed, action)
        return action, log_pi

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_action: Tensor, by_log_pi: Tensor) -> tuple[Tensor, None]:
        inside, pushed, action = ctx.saved_tensors
        return gradient(action, pushed, inside, by_action, by_log_pi), None


def split(head: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and clamped log standard deviation of the Gaussian before the tanh, `[..., A]` each."""
    mean, log_std = head.chunk(2, dim=-1)
    return mean, log_std.clamp(*LOG_STD_RANGE)


def deterministic(head: Tensor) -> Tensor:
    """Action `tanh(head)`, `[..., A]`: of a deterministic policy, or of a tanh-Gaussian's mean."""
    return head.tanh()


def smoothed_target(action: Tensor, noise: Tensor, *, std: float, clip: float) -> Tensor:
    """Target action of TD3: `action + clip(std * noise)`, kept in [-1, 1]. Fujimoto et al. 2018, (14)."""
    return (action + (std * noise).clamp(-clip, clip)).clamp(-1, 1)
