r"""Sums along rollouts: n-step errors of a state value, which are the advantages of the actions taken.

Entry t of a rollout is the transition from $s_t$. A sum stops where an episode ends, by termination or
truncation, and at the end of the rollout. There it bootstraps from the state reached, except that a terminal
state has the value 0. So no reward and no value leaks from one episode to another.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


def discounted_sums(x: Tensor, link: Tensor, steps: int | None) -> Tensor:
    r"""Sums $\sum_{d < n} x_{t+d} \prod_{i<d} c_{t+i}$ along the last axis, of every entry t.

    Found by doubling, in `log2 n` passes: a sum over 2 m entries is one over m entries, plus the product of
    their links times the sum over the next m.

    Args:
        x: `[..., T]` summands.
        link: `[..., T]` factors c of what follows each entry: a discount, or 0 where nothing follows.
        steps: n at least 1; None is as many as there are.

    Example:
        >>> import torch
        >>> half = torch.full((3,), 0.5)
        >>> discounted_sums(torch.ones(3), half, None), discounted_sums(torch.ones(3), half, 2)
        (tensor([1.7500, 1.5000, 1.0000]), tensor([1.5000, 1.5000, 1.0000]))
    """
    left = x.shape[-1] if steps is None else min(steps, x.shape[-1])
    out, out_link, done = torch.zeros_like(x), torch.ones_like(x), 0
    m = 1
    while left:
        if left & m:
            out, out_link = out + out_link * _later(x, done), out_link * _later(link, done)
            done, left = done + m, left - m
        x, link, m = x + link * _later(x, m), link * _later(link, m), 2 * m
    return out


def rollout_errors(
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    v: Tensor,
    v_next: Tensor,
    *,
    gamma: float,
    steps: int | None,
) -> Tensor:
    r"""Errors $\sum_{i<m} \gamma^i r_{t+i} + \gamma^m V(s_{t+m}) - V(s_t)$ of every entry; V-MPO, Eq. (6).

    m is `steps`, or fewer where the episode or the rollout ends before. Written as a sum of errors of one
    step, $\sum_{i<m} \gamma^i (r_{t+i} + \gamma V(s_{t+i+1}) - V(s_{t+i}))$, whose values cancel: within an
    episode `v_next` must be `v` one place later.

    Args:
        reward: `[..., T]`, scaled.
        terminated: `[..., T]`, 1.0 where the transition ended the task.
        truncated: `[..., T]`, 1.0 where a time limit ended the episode.
        v: values `[..., T]` of the states.
        v_next: values `[..., T]` of the states after each transition.
        gamma: discount factor.
        steps: most rewards of a sum; None is up to the rollout's end.

    Returns:
        Errors `[..., T]`, without gradient.

    Example:
        >>> import torch
        >>> r, v, no = torch.ones(3), torch.zeros(3), torch.zeros(3)
        >>> rollout_errors(r, no, no, v, torch.tensor([0.0, 0.0, 8.0]), gamma=0.5, steps=None)
        tensor([2.7500, 3.5000, 5.0000])
        >>> rollout_errors(r, torch.tensor([0.0, 1.0, 0.0]), no, v, v + 8, gamma=0.5, steps=None)
        tensor([5.5000, 1.0000, 5.0000])
    """
    error = reward + gamma * (1 - terminated) * v_next - v
    goes_on = 1 - torch.maximum(terminated, truncated)
    return discounted_sums(error, gamma * goes_on, steps).detach()


def _later(x: Tensor, m: int) -> Tensor:
    """Entries m places later, `[..., T]`, and 0 where there are none."""
    return pad(x[..., m:], (0, min(m, x.shape[-1])))
