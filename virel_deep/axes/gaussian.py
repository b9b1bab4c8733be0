r"""Gaussian policies before the tanh: log densities and the two parts of their KL divergence, per state.

All divergences are those of the Gaussians; the tanh maps both alike and changes none of them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """Diagonal Gaussian before the tanh: means and log standard deviations, `[..., A]` each."""

    mean: Tensor
    log_std: Tensor


def log_density(of: Gaussian, u: Tensor) -> Tensor:
    r"""Log density $\log N(u; \mu, \sigma)$ of actions before the tanh, `[...]`, nats; MPO, Eq. (12).

    Args:
        of: means and log standard deviations `[..., A]`.
        u: actions before the tanh, `[..., A]`.

    Example:
        >>> import torch
        >>> standard = Gaussian(torch.zeros(2), torch.zeros(2))
        >>> round(log_density(standard, torch.tensor([0.0, 1.0])).item(), 4)
        -2.3379
    """
    scaled = (u - of.mean) * (-of.log_std).exp()
    return (-0.5 * scaled.square() - of.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


def kl_by_mean(mean: Tensor, other_mean: Tensor, log_std: Tensor) -> Tensor:
    r"""KL divergence of Gaussians that differ in their means alone, MPO, App. D.

    $$ C_\mu = \frac12 \sum_i (\mu_i - \mu'_i)^2 / \sigma_i^2 $$

    Args:
        mean: `[..., A]`.
        other_mean: `[..., A]`; the order of the two does not matter.
        log_std: log standard deviation of the second argument of the KL divergence, `[..., A]`.
    """
    return 0.5 * ((mean - other_mean) * (-log_std).exp()).square().sum(-1)


def kl_by_spread(log_std: Tensor, other_log_std: Tensor) -> Tensor:
    r"""KL divergence $KL(p \| q)$ of Gaussians that differ in their deviations alone, MPO, App. D.

    $$ C_\Sigma = \frac12 \sum_i (\sigma_i^2 / \sigma'^2_i - 1 - \log(\sigma_i^2 / \sigma'^2_i)) $$

    Deviation: 9. by `expm1` of twice the difference d of the log deviations: near d = 0 the divergence is
    d^2, and the printed form is off by a rounding of 1, in float32 more than d^2 where d is 1e-4.

    Args:
        log_std: log standard deviations of p, `[..., A]`.
        other_log_std: log standard deviations of q, `[..., A]`.

    Example:
        >>> import torch
        >>> f"{kl_by_spread(torch.tensor([1e-3]), torch.tensor([0.0])).item():.4g}"  # d^2 + 2 d^3 / 3
        '1.001e-06'
    """
    twice = 2 * (log_std - other_log_std)
    return 0.5 * (torch.expm1(twice) - twice).sum(-1)


def kl_parts(p: Gaussian, q: Gaussian) -> Tensor:
    r"""Both parts of $KL(p \| q)$, `[..., 2]`: by mean, then by spread; their sum is the divergence."""
    return torch.stack((kl_by_mean(p.mean, q.mean, q.log_std), kl_by_spread(p.log_std, q.log_std)), dim=-1)


def kl_parts_apart(p: Gaussian, q: Gaussian) -> Tensor:
    r"""Divergences of p from q with its mean, then its deviation, changed alone, `[..., 2]`: RERPI.

    By mean with the deviation of p, so that no gradient of the first part reaches the deviations of q.
    """
    return torch.stack((kl_by_mean(p.mean, q.mean, p.log_std), kl_by_spread(p.log_std, q.log_std)), dim=-1)


class Moments(NamedTuple):
    r"""Weighted moments of the actions at a state, all that a Gaussian's likelihood needs of them."""

    centre: Tensor
    """Mean $c$ of the actions, without the weights, `[..., A]`."""
    total: Tensor
    r"""Sum of the weights $w_j$, `[..., 1]`."""
    first: Tensor
    r"""$\sum_j w_j (u_j - c)$, `[..., A]`."""
    second: Tensor
    r"""$\sum_j w_j (u_j - c)^2$, `[..., A]`."""


def moments(u: Tensor, weight: Tensor) -> Moments:
    """Weighted moments of actions `u [..., N, A]` before the tanh with weights `[..., N]`."""
    centre, w = u.mean(-2), weight[..., None]
    apart = u - centre[..., None, :]
    weighted = w * apart
    return Moments(centre, w.sum(-2), weighted.sum(-2), (weighted * apart).sum(-2))


def likelihood(q: Gaussian, of: Moments) -> Tensor:
    r"""Weighted log likelihood $\sum_j w_j \log N(u_j; \mu, \sigma)$ of actions at a state, MPO, Eq. (10).

    By their moments, so that no gradient goes through the N actions: with $d = \mu - c$,
    $$ \sum_j w_j (u_j - \mu)^2 = d^2 \sum_j w_j - 2 d \sum_j w_j (u_j - c) + \sum_j w_j (u_j - c)^2 $$

    Args:
        q: Gaussian that is fitted, `[..., A]`.
        of: moments of the actions before the tanh.

    Example:
        >>> import torch
        >>> standard = Gaussian(torch.zeros(1), torch.zeros(1))
        >>> u, weight = torch.tensor([[-1.0], [2.0]]), torch.tensor([0.5, 0.5])
        >>> round(likelihood(standard, moments(u, weight)).item(), 4)  # -(1 + 4) / 4 - log(2 pi) / 2
        -2.1689
    """
    d = q.mean - of.centre
    square = of.total * d.square() - 2 * d * of.first + of.second
    constant = q.log_std + 0.5 * math.log(2 * math.pi)
    return (-0.5 * square * (-2 * q.log_std).exp() - of.total * constant).sum(-1)


def decoupled_likelihood(q: Gaussian, old: Gaussian, of: Moments) -> Tensor:
    r"""Weighted log likelihood by the mean with the old deviation, plus that by the deviation: RERPI.

    $$ \sum_j w_j (\log N(u_j; \mu, \sigma_{old}) + \log N(u_j; \mu_{old}, \sigma)) $$
    """
    return likelihood(Gaussian(q.mean, old.log_std), of) + likelihood(Gaussian(old.mean, q.log_std), of)
