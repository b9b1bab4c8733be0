r"""Iterative inference of a tanh-Gaussian, as functions of tensors: Marino et al., Eqs. (15), (16).

The parameters are $\lambda = (\mu, \log\sigma)$, `head [K, B, 2 A]`. One step takes the gradient of the
objective $\tilde J(\lambda; s) = E_{\pi_\lambda}[Q(s, a)] - \alpha\,KL(\pi_\lambda \| p)$ in them, and moves
them by what a network makes of it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from virel_deep.axes.gaussian import Gaussian
from virel_deep.axes.interfaces import Objective
from virel_deep.axes.posterior.tanh_gaussian import split, squash
from virel_deep.axes.tensors import Weighted, seedwise

SMALL = 1e-6
"""Added to the standard deviation by which entries are divided."""


class Measured(NamedTuple):
    """Objective at some parameters and its gradient in them; neither carries a gradient."""

    value: Tensor
    """Objective $\\tilde J$, `[K, B]`, scaled reward units."""
    slope: Tensor
    """Its gradient, `[K, B, 2 A]`."""


def drawn(state: Tensor, head: Tensor, noise: Tensor, objective: Objective) -> Weighted:
    """Draw actions of tanh-Gaussians `head [K, B, 2 A]`, reparametrised, at equal weights.

    Args:
        state: `[K, B, O]`.
        head: means, then log standard deviations.
        noise: standard normal, `[K, B, N, A]`.
        objective: whose prior gives the divergence.
    """
    action, pre, log_pi = seedwise(_squashed, head, noise)
    equal = torch.full_like(log_pi, 1 / noise.shape[2]).log()
    prior = objective.prior
    log_prior, exact = prior.log_density(state, action, pre), prior.divergence(state, head)
    return Weighted(action, equal, log_pi, log_prior, pre=pre, exact_divergence=exact)


def objective_of(posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
    r"""Objective $E[Q] - \alpha\,KL$ of weighted actions with values `q [K, B, N]`, `[K, B]`; Eq. (16)."""
    return posterior.mean(q) - alpha * posterior.divergence


def measured(state: Tensor, head: Tensor, noise: Tensor, objective: Objective) -> Measured:
    """Estimate the objective and its gradient at parameters `head`, from actions drawn with `noise`.

    Arguments as those of `drawn`. It works under `torch.no_grad` too.
    """
    with torch.enable_grad():
        leaf = head.detach().requires_grad_()
        action, divergence = _action_and_divergence(state, leaf, noise, objective)
        mean: Tensor = seedwise(lambda q: q.mean(-1), objective.q_of(state, action))
        value = mean - objective.alpha * divergence
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return Measured(value.detach(), slope)


def linearised(of: Measured, head: Tensor) -> Tensor:
    """Objective `[K, B]` with its gradient in the parameters `head` at which it was measured.

    It stands for the objective where its own graph is used up: same value, same first derivative.
    """
    moved: Tensor = seedwise(lambda slope, x: (slope * (x - x.detach())).sum(-1), of.slope, head)
    return of.value + moved


def standardised(x: Tensor) -> Tensor:
    """Entries `[..., A]` minus their mean, by their standard deviation; for A = 1 as they are.

    Deviation: 40. one entry has no spread, so that it stays as it is.

    Example:
        >>> import torch
        >>> standardised(torch.tensor([1.0, 3.0])).round(decimals=3), standardised(torch.tensor([5.0]))
        (tensor([-1.,  1.]), tensor([5.]))
    """
    if x.shape[-1] == 1:
        return x
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True).sqrt() + SMALL)


def features(head: Tensor, slope: Tensor) -> Tensor:
    """Inputs `[..., 4 A]` of an inference step: means, log deviations, both gradients, each standardised."""
    return torch.cat([standardised(x) for x in (*head.chunk(2, dim=-1), *slope.chunk(2, dim=-1))], dim=-1)


def gated_update(head: Tensor, output: Tensor) -> Tensor:
    r"""Parameters after a step, $\omega \lambda + (1 - \omega) \delta$ with the gate $\omega$; Eq. (15).

    Args:
        head: parameters $\lambda$, `[..., 2 A]`.
        output: the network's output `[..., 4 A]`: $\delta$, then the gates before the logistic function.
    """
    delta, before = output.chunk(2, dim=-1)
    gate = before.sigmoid()
    return gate * head + (1 - gate) * delta


def amortisation_gap(head: Tensor, slope: Tensor, alpha: Tensor) -> Tensor:
    r"""Estimate how far the objective is below its maximum over Gaussians, `[...]`, scaled reward units.

    $$ \frac{1}{2 \alpha} g^T F^{-1} g = \frac{1}{2 \alpha} \sum_i (\sigma_i^2 g_{\mu,i}^2
    + \tfrac12 g_{\log\sigma,i}^2) $$

    F is the Fisher information of the Gaussian. Near the best parameters this is the gap, to second order, if
    Q is quadratic in the action before the tanh: then the objective is minus $\alpha$ times the KL divergence
    from the best Gaussian, whose second derivative there is F. Otherwise it is off by a factor of order 1.
    Noise in the gradient adds to it. 0 where $\alpha$ is 0.

    Args:
        head: parameters `[..., 2 A]`.
        slope: gradient of the objective in them, `[..., 2 A]`.
        alpha: temperature, broadcast against `[...]`.
    """
    _, log_std = split(head)
    by_mean, by_log_std = slope.chunk(2, dim=-1)
    squared = (log_std.exp() * by_mean).square() + 0.5 * by_log_std.square()
    return torch.where(alpha > 0, squared.sum(-1) / (2 * alpha), 0.0)


def _action_and_divergence(
    state: Tensor, head: Tensor, noise: Tensor, objective: Objective
) -> tuple[Tensor, Tensor]:
    """Actions `[K, B, N, A]` and the KL divergence `[K, B]` from the prior, estimated if need be."""
    exact = objective.prior.divergence(state, head)
    if exact is None:
        actions = drawn(state, head, noise, objective)
        return actions.action, actions.divergence
    return seedwise(_action, head, noise), exact


def _action(head: Tensor, noise: Tensor) -> Tensor:
    mean, log_std = split(head)
    return (mean[..., None, :] + log_std.exp()[..., None, :] * noise).tanh()


def _squashed(head: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    of = split(head)
    return squash(Gaussian(of.mean[..., None, :], of.log_std[..., None, :]), noise)
