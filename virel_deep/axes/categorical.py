"""Categorical policies: their probabilities, divergence and likelihood as tensors, and actions in numpy.

A discrete action is a unit vector with A entries, one-hot, so that critics, replay and targets of several
steps take it like any other action.
"""

import numpy as np
import torch
from torch import Tensor

from virel_deep.axes.tensors import Behaviour
from virel_deep.networks.perceptron import Floats


def log_probabilities(head: Tensor) -> Tensor:
    """Log probabilities `[..., A]` of a policy network's outputs `head [..., A]`, nats.

    Example:
        >>> import torch
        >>> log_probabilities(torch.tensor([0.0, 0.0])).exp()
        tensor([0.5000, 0.5000])
    """
    return head.log_softmax(-1)


def all_actions(log_p: Tensor) -> Tensor:
    """Every action at each state as one-hot vectors, `[..., A, A]`, for log probabilities `[..., A]`."""
    n = log_p.shape[-1]
    return torch.eye(n, dtype=log_p.dtype, device=log_p.device).expand(*log_p.shape, n)


def log_probability(log_p: Tensor, action: Tensor) -> Tensor:
    """Log probabilities `[...]` of one-hot actions `[..., A]`, given those of all actions `[..., A]`."""
    return (action * log_p).sum(-1)


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    r"""Divergence $KL(p \| q) = \sum_a p(a) \log(p(a) / q(a))$, `[...]`, of log probabilities `[..., A]`.

    Example:
        >>> import math, torch
        >>> half, most = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.75, 0.25]).log()
        >>> round(kl(most, half).item(), 6) == round(0.75 * math.log(1.5) + 0.25 * math.log(0.5), 6)
        True
    """
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def likelihood(log_p: Tensor, action: Tensor, log_weight: Tensor) -> Tensor:
    r"""Weighted log likelihood $\sum_j w_j \log p(a_j)$ of actions at a state, `[...]`; MPO, Eq. (10).

    Args:
        log_p: log probabilities of all actions, `[..., A]`.
        action: one-hot actions `[..., N, A]`: all of them, or those that were taken.
        log_weight: logarithms of their weights, `[..., N]`.
    """
    return (log_weight.exp() * log_probability(log_p[..., None, :], action)).sum(-1)


def explore(head: Floats, noise: Floats) -> Floats:
    """Draw one-hot actions `[N, A]` from policy network outputs `[N, A]` in numpy.

    `noise [N, 1]` is uniform in [0, 1): the action is the first whose cumulative probability exceeds it.
    Outputs that are not finite give NaN, so that they are not taken for a choice.
    """
    return behave(head, noise).action


def behave(head: Floats, noise: Floats) -> Behaviour:
    """Draw one-hot actions as `explore` does, with their log probabilities."""
    with np.errstate(invalid="ignore"):  # of infinite outputs, which give NaN below
        shifted = head - head.max(axis=-1, keepdims=True)
    p = np.exp(shifted)
    upto = p.cumsum(axis=-1)
    total = upto[..., -1:]
    index = (upto[..., :-1] <= noise * total).sum(axis=-1)
    action = one_hot(index, head)
    return Behaviour(action, action, (action * (shifted - np.log(total))).sum(axis=-1))


def greedy(head: Floats) -> Floats:
    """Most probable actions, one-hot, `[N, A]`; of several the first. NaN where an output is not finite."""
    return one_hot(head.argmax(axis=-1), head)


def behave_uniformly(numbers: Floats) -> Behaviour:
    """Uniform one-hot actions from numbers `[..., A]` that are uniform and independent: the largest wins.

    Two equal numbers, which occur once in some 2^24 pairs, count for the first.
    """
    n = numbers.shape[-1]
    action = one_hot(numbers.argmax(axis=-1), numbers)
    return Behaviour(action, action, np.full(numbers.shape[:-1], -np.log(n), numbers.dtype))


def one_hot(index: "np.ndarray[tuple[int, ...], np.dtype[np.intp]]", like: Floats) -> Floats:
    """One-hot vectors `[..., A]` of indices `[...]`; NaN where the numbers `like [..., A]` are not finite."""
    out: Floats = np.zeros_like(like)
    np.put_along_axis(out, index[..., None], 1, axis=-1)
    out[~np.isfinite(like).all(axis=-1)] = np.nan
    return out
