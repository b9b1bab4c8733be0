r"""Targets of several steps: windows of n consecutive transitions of one episode, per window.

Entry i of a window is the transition from $s_{t+i}$. What follows the end of an episode in a window belongs
to the next one and does not count. A terminal state has the value 0; where an episode is truncated, the
target bootstraps from the state that it was truncated in.
"""

import torch
from torch import Tensor


def alive(terminated: Tensor, truncated: Tensor) -> Tensor:
    """Whether each transition of a window belongs to the episode of the first, `[..., n]`, 1.0 or 0.0."""
    ended = torch.maximum(terminated, truncated)
    ended_before = torch.cat((torch.zeros_like(ended[..., :1]), ended[..., :-1]), dim=-1)
    return (1 - ended_before).cumprod(-1)


def last(alive: Tensor) -> Tensor:
    """Index `[...]` of the last transition of a window that belongs to the episode of the first."""
    return alive.sum(-1).long() - 1


def n_step_target(
    reward: Tensor, terminated: Tensor, truncated: Tensor, v_last: Tensor, *, gamma: float
) -> Tensor:
    r"""Target $\sum_{i<m} \gamma^i r_{t+i} + \gamma^m \bar V(s_{t+m})$ of n steps, without gradient.

    m is n, or fewer where the episode ends within the window.

    Args:
        reward: `[..., n]`, scaled.
        terminated: `[..., n]`, 1.0 where the transition ended the task.
        truncated: `[..., n]`, 1.0 where a time limit ended the episode.
        v_last: value of the state after the last transition that counts, `[...]`.
        gamma: discount factor.

    Example:
        >>> import torch
        >>> r, no = torch.ones(3), torch.zeros(3)
        >>> n_step_target(r, no, no, torch.tensor(8.0), gamma=0.5)
        tensor(2.7500)
        >>> n_step_target(r, torch.tensor([0.0, 1.0, 0.0]), no, torch.tensor(8.0), gamma=0.5)
        tensor(1.5000)
    """
    counts = alive(terminated, truncated)
    powers = _powers(gamma, reward)
    end = last(counts)[..., None]
    bootstrap = gamma * powers.expand_as(reward).gather(-1, end) * (1 - terminated.gather(-1, end))
    target = (powers * counts * reward).sum(-1) + bootstrap[..., 0] * v_last
    return target.detach()


def retrace_target(
    q: Tensor,
    v_next: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    log_ratio: Tensor,
    *,
    gamma: float,
    trace: float,
) -> Tensor:
    r"""Retrace's targets of every pair of a window, without gradient; Munos et al. 2016, Eqs. (3), (4).

    $$ y_i = Q(s_i, a_i) + \sum_{j \ge i} \gamma^{j-i} \Big(\prod_{l=i+1}^{j} c_l\Big)
    (r_j + \gamma \bar V(s_{j+1}) - Q(s_j, a_j)),
    \qquad c_l = \lambda \min(1, \pi(a_l|s_l) / b(a_l|s_l)) $$

    The sum ends with the episode or the window: pair i of n has a target of at most n - i steps. Backwards,
    $y_i = r_i + \gamma \bar V(s_{i+1}) + \gamma c_{i+1} (y_{i+1} - Q(s_{i+1}, a_{i+1}))$.

    Args:
        q: target values of the stored pairs, `[..., n]`.
        v_next: values of the states after each transition, `[..., n]`.
        reward: `[..., n]`, scaled.
        terminated: `[..., n]`, 1.0 where the transition ended the task.
        truncated: `[..., n]`, 1.0 where a time limit ended the episode.
        log_ratio: `[..., n]` log densities of the stored actions under the policy that is evaluated, minus
            those under the policy that acted. The first is not read: no target is cut before its own pair.
        gamma: discount factor.
        trace: lambda in [0, 1].

    Returns:
        Targets `[..., n]`.

    Example:
        >>> import torch
        >>> no, ratio = torch.zeros(2), torch.zeros(2)
        >>> q, v, r = torch.tensor([5.0, 7.0]), torch.tensor([4.0, 2.0]), torch.ones(2)
        >>> retrace_target(q, v, r, no, no, ratio, gamma=0.5, trace=0.0)  # one step: 1 + v / 2
        tensor([3., 2.])
        >>> retrace_target(q, v, r, no, no, ratio, gamma=0.5, trace=1.0)  # the first: and (2 - 7) / 2
        tensor([0.5000, 2.0000])
    """
    one_step = reward + gamma * (1 - terminated) * v_next
    goes_on = 1 - torch.maximum(terminated, truncated)
    cut = gamma * trace * log_ratio.clamp(max=0).exp()
    targets = [one_step[..., -1]]
    for i in reversed(range(reward.shape[-1] - 1)):
        later = cut[..., i + 1] * goes_on[..., i] * (targets[-1] - q[..., i + 1])
        targets.append(one_step[..., i] + later)
    return torch.stack(targets[::-1], dim=-1).detach()


def _powers(gamma: float, like: Tensor) -> Tensor:
    """Powers `gamma^i` for i < n, `[n]`."""
    return gamma ** torch.arange(like.shape[-1], dtype=like.dtype, device=like.device)
