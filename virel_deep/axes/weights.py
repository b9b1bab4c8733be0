r"""Weights of the E-steps of MPO and RERPI and the slope of their dual, as functions of tensors.

The dual of the KL budget is $g(\eta) = \eta \epsilon + \eta E_\mu \log E_\pi e^{Q/\eta}$, MPO, Eq. (9). Its
derivative is the budget minus the divergence that is spent, $g'(\eta) = \epsilon - E_\mu KL(q_\eta \| \pi)$,
so that the temperature needs no more than that divergence; a parametric posterior has the same slope.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from virel_deep.design.improvement import kept


class Tempered(NamedTuple):
    """Weights of N actions at a state after the E-step, as logarithms, and what they gained by it."""

    log_weight: Tensor
    """`[..., N]`, `-inf` for actions that are not kept; the weights sum to 1."""
    log_ratio: Tensor
    """Logarithms of the weights over the prior's among those kept, `[..., N]`; 0 where the weight is 0."""


def tempered_weights(log_prior: Tensor, q: Tensor, alpha: Tensor, *, keep: float = 1.0) -> Tempered:
    r"""Weights $w_j \propto p_j e^{Q(s, a_j) / \eta}$ of actions with weights p_j in the prior, MPO, Eq. (8).

    Actions that were drawn from the prior have equal weights p_j; actions that are enumerated have their
    probabilities. At the temperature 0 the actions of largest value have all the weight.

    Args:
        log_prior: logarithms of the weights p_j, which sum to 1, `[..., N]`.
        q: action values `[..., N]`, scaled reward units.
        alpha: temperature $\eta \ge 0$, `[..., 1]`, the same units per nat.
        keep: share of the actions, those of largest Q, that has weight.

    Example:
        >>> import math, torch
        >>> half, q = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.0, 2 * math.log(3.0)])
        >>> [round(x, 3) for x in tempered_weights(half, q, torch.tensor([2.0])).log_weight.exp().tolist()]
        [0.25, 0.75]
    """
    n = kept(q.shape[-1], keep)
    below = q - q.amax(-1, keepdim=True)
    greedy = torch.zeros_like(q).masked_fill(below < 0, -math.inf)  # the limit of no temperature
    scaled = log_prior + torch.where(alpha > 0, below / alpha, greedy)
    if n == q.shape[-1]:
        log_weight = scaled.log_softmax(-1)
        return Tempered(log_weight, _finite(log_weight - log_prior))
    left_out = torch.ones_like(q, dtype=torch.bool).scatter_(-1, q.topk(n, dim=-1).indices, False)
    log_weight = scaled.masked_fill(left_out, -math.inf).log_softmax(-1)
    before = log_prior.masked_fill(left_out, -math.inf).log_softmax(-1)
    return Tempered(log_weight, _finite((log_weight - before).masked_fill(left_out, 0.0)))


def _finite(log_ratio: Tensor) -> Tensor:
    """Logarithms of ratios, with 0 for those of actions whose weight is 0."""
    return log_ratio.masked_fill(log_ratio == -math.inf, 0.0)


def rank_weights(log_prior: Tensor, q: Tensor) -> Tempered:
    r"""Weights $w_j \propto p_j \ln((N + \frac12) / i_j)$ of N actions of rank i_j by value, RERPI, Sec. 4.1.

    The action of largest value has the rank 1. Actions of equal value share the mean of their ranks' weights,
    so that their order does not matter.

    Args:
        log_prior: logarithms of the weights p_j, which sum to 1, `[..., N]`.
        q: action values `[..., N]`, scaled reward units.

    Example:
        >>> import torch
        >>> third = torch.full((3,), 1 / 3).log()
        >>> rank_weights(third, torch.tensor([1.0, 7.0, 1.0])).log_weight.exp().round(decimals=3)
        tensor([0.1810, 0.6370, 0.1810])
    """
    n = q.shape[-1]
    rank = torch.arange(1, n + 1, dtype=torch.float64, device=q.device)
    upto = pad(((n + 0.5) / rank).log().cumsum(0), (1, 0))
    better = (q[..., None, :] > q[..., :, None]).sum(-1)
    equal = (q[..., None, :] == q[..., :, None]).sum(-1)
    mean = (upto[better + equal] - upto[better]) / equal  # NaN for a NaN, which equals nothing
    log_weight = (log_prior + mean.log().to(q.dtype)).log_softmax(-1)
    return Tempered(log_weight, log_weight - log_prior)


def discounted(log_weight: Tensor, age: Tensor, *, gamma: float) -> Tensor:
    r"""Log weights of actions at states that have weights $\gamma^t / \overline{\gamma^t}$, t a state's age.

    A state that is drawn from episodes gets the weight that it has in the discounted visits
    $\sum_t \gamma^t P(s_t = s)$; the weights of the states have the mean 1.

    Args:
        log_weight: logarithms of weights that sum to 1 over N, `[..., B, N]`.
        age: steps of the episode before each state, `[..., B]`.
        gamma: discount factor.

    Example:
        >>> import torch
        >>> discounted(torch.zeros(3, 1), torch.tensor([0.0, 1.0, 1.0]), gamma=0.5).exp().squeeze().tolist()
        [1.5, 0.75, 0.75]
    """
    weight = gamma ** (age - age.amin(-1, keepdim=True))  # the youngest has 1, so that not all are 0
    return log_weight + (weight / weight.mean(-1, keepdim=True)).log()[..., None]


def d_budget(kl: Tensor, *, epsilon: float) -> Tensor:
    r"""Slope of a budget's dual w.r.t. its price: $g'(\eta) = \epsilon - KL$, MPO, Eq. (9).

    Deviation: 10. the price is learnt on its logarithm, by this slope without the factor $\eta$ of the chain
    rule: the root is the same, and Adam does not slow down as the price falls by orders of magnitude.

    Args:
        kl: mean divergence at the present price, `[K]`, nats.
        epsilon: budget, nats.
    """
    return epsilon - kl


def effective_samples(log_weight: Tensor) -> Tensor:
    r"""Effective number of samples $1 / \sum_j w_j^2$, from log weights `[..., N]`; between 1 and N."""
    return 1 / log_weight.exp().square().sum(-1)
