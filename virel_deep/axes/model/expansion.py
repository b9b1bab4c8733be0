r"""Action values expanded by h steps of a model, after which the critics take over: Marino et al., (9).

$$ \hat Q_h(s, a) = E\Big[\sum_{i<h} \gamma^i c_i \hat r_i - \alpha \sum_{0<i\le h} \gamma^i c_i
\log\frac{\pi(a_i|s_i)}{p(a_i|s_i)} + \gamma^h c_h Q(s_h, a_h)\Big] $$

$c_i$ is the probability that the rollout has not ended before step i. The logarithms count where the values
are soft. A rollout has one member of the ensemble, from its first step to its last.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from virel_deep.axes.interfaces import AssignedWorld, Objective
from virel_deep.axes.tensors import Weighted
from virel_deep.axes.value import smaller_q
from virel_deep.networks.network import Network

Walk = Callable[[Tensor, Tensor, Objective], Weighted]
"""One action of a policy at each state `[K, R, O]`, from its noise `[K, R, A]`: `abilities.Walking.walk`."""


class Paths(NamedTuple):
    """What B rollouts follow: the model, the policy, and their random numbers."""

    world: AssignedWorld
    walk: Walk
    noise: Tensor
    """Standard normal numbers of every step, for the model, then for the policy: `[K, B, h, O + A]`."""


class Horizon(NamedTuple):
    """How rewards and values along a rollout are added up."""

    gamma: float
    soft: bool
    """Whether the divergence from the prior counts."""


def expanded_q(
    critic: Network, state: Tensor, action: Tensor, *, along: Paths, objective: Objective, of: Horizon
) -> Tensor:
    """Expanded values `[K, B, N]` of actions; differentiable in them, with policy, critics and model fixed.

    All actions of a state have its member and its random numbers, so that they differ by nothing else.

    Args:
        critic: critics, of which the smaller value counts.
        state: `[K, B, O]`.
        action: `[K, B, N, A]`.
        along: model, policy and random numbers.
        objective: prior and temperature of the divergence.
        of: discount, and whether the divergence counts.
    """
    n, width, groups = action.shape[2], along.world.width, along.world.groups
    noise = groups.arranged(along.noise).repeat_interleave(n, dim=1)
    at, a = groups.arranged(state).repeat_interleave(n, dim=1), groups.arranged(action).flatten(1, 2)
    total, weight = action.new_zeros(a.shape[:2]), action.new_ones(a.shape[:2])
    for xi in noise.unbind(2):
        found = along.world.step(at, a, xi[..., :width])
        total = total + weight * found.reward
        weight = of.gamma * weight * (1 - found.ends)
        following = along.walk(found.state, xi[..., width:], objective)
        if of.soft:
            total = total - weight * (objective.alpha * following.log_ratio[:, :, 0])
        at, a = found.state, following.action[:, :, 0]
    total = total + weight * smaller_q(critic, at, a[:, :, None])[:, :, 0]
    return groups.restored(total.view(len(total), -1, n))
