r"""What a network of a model predicts of a transition, and its loss, as functions of tensors.

A network reads a normalised state and an action. Its outputs are the means of the normalised differences to
the next state and of the reward (D = O + 1 numbers), as many log variances before their bounds, and the
logarithm of the odds that the transition ends the episode.
"""

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus

LOG_VARIANCE = (-10.0, 1.0)
"""Range of the log variances of normalised columns.

They have variance 1 by construction, so that a prediction with a variance above e is worse than the mean of
all; PETS (Chua et al. 2018) learns both bounds, because its columns are not normalised."""


class Predicted(NamedTuple):
    """Distribution of a transition as a network predicts it, in normalised columns."""

    mean: Tensor
    """Means of differences and reward, `[..., D]`."""
    log_variance: Tensor
    """Their log variances, within `LOG_VARIANCE`, `[..., D]`."""
    ends: Tensor
    """Log odds of the end of the episode, `[...]`."""


def predicted(out: Tensor) -> Predicted:
    r"""Read a network's outputs `[..., 2 D + 1]`; log variances are bounded softly, by two softplus.

    Example:
        >>> import torch
        >>> found = predicted(torch.tensor([0.0, -99.0, 0.0]))
        >>> found.mean.tolist(), round(found.log_variance.item(), 3), found.ends.item()
        ([0.0], -10.0, 0.0)
    """
    d = out.shape[-1] // 2
    low, high = LOG_VARIANCE
    below = high - softplus(high - out[..., d : 2 * d])
    return Predicted(out[..., :d], low + softplus(below - low), out[..., -1])


def negative_log_likelihood(of: Predicted, target: Tensor, terminated: Tensor) -> Tensor:
    r"""Negative log likelihood `[...]` of transitions, without its constant, nats.

    $$ \frac12 \sum_j \big((y_j - \mu_j)^2 e^{-\ell_j} + \ell_j\big) + \log(1 + e^z) - d z $$

    Args:
        of: what a network predicts.
        target: normalised differences and reward y, `[..., D]`.
        terminated: 1.0 where the transition ended the episode (d), `[...]`.
    """
    gaussian = 0.5 * ((target - of.mean).square() * (-of.log_variance).exp() + of.log_variance).sum(-1)
    return gaussian + softplus(of.ends) - terminated * of.ends


def fit_loss(out: Tensor, target: Tensor, terminated: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """Loss `[M]` of each member on the transitions that are not held out, and its error `[M]` on the others.

    The error is the mean squared one of the means, in normalised columns; 0 where nothing is held out.

    Args:
        out: outputs of the members, `[..., M, B, 2 D + 1]`.
        target: `[..., B, D]`.
        terminated: `[..., B]`.
        held: 1.0 for transitions that are held out, `[..., B]`.
    """
    of, weight = predicted(out), (1 - held)[..., None, :]
    nll = negative_log_likelihood(of, target[..., None, :, :], terminated[..., None, :])
    loss = (nll * weight).sum(-1) / weight.sum(-1).clamp(min=1.0)
    squared = (target[..., None, :, :] - of.mean.detach()).square().mean(-1) * held[..., None, :]
    return loss, squared.sum(-1) / held.sum(-1).clamp(min=1.0)[..., None]
