"""Deterministic policy of DDPG and TD3: one action per state, and a target copy of the policy network."""

import numpy as np
import torch
from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.posterior.pathwise import Pathwise
from virel_deep.axes.tensors import Weighted, seedwise
from virel_deep.design import parts
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


def deterministic(head: Tensor) -> Tensor:
    """Deterministic action `tanh(head)`, `[..., A]`, of a policy network's output or a Gaussian's mean."""
    return head.tanh()


def smoothed_target(action: Tensor, noise: Tensor, *, std: float, clip: float) -> Tensor:
    """TD3's target action, `action + clip(std * noise)` kept in [-1, 1]; Fujimoto et al. 2018, Eq. (14)."""
    return (action + (std * noise).clamp(-clip, clip)).clamp(-1, 1)


class Deterministic(Pathwise):
    """Deterministic policy, the tanh of a network; noise is added when exploring and to target actions.

    Args:
        settings: standard deviations of the noises.
        policy: network from a state to A outputs.
        target: network of the same sizes, its target copy.
    """

    def __init__(self, settings: parts.Deterministic, policy: Network, target: Network) -> None:
        """Store policy and target network, and the standard deviations of the noise."""
        self.settings = settings
        self.networks, self.targets = {"policy": policy}, {"policy": target}
        self.acting = Draw(policy.sizes[-1])
        self.noise = {"action": self.acting}

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """Compute the policy's action at each state, differentiable in its parameters; draws no noise."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        return _certain(state, seedwise(deterministic, head), objective)

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Compute the target policy's action plus clipped noise at each next state, as in TD3."""
        calm = seedwise(deterministic, self.targets["policy"](state).squeeze(1))
        return _certain(state, self.smooth(calm, noise["action"]), objective)

    def smooth(self, action: Tensor, noise: Tensor) -> Tensor:
        """Add TD3's clipped noise to target actions `[K, B, A]`; with a standard deviation of 0, none."""
        return smoothed_target(
            action, noise, std=self.settings.target_noise, clip=self.settings.target_noise_clip
        )

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Exploratory action in numpy: the policy's action plus noise, clipped to [-1, 1]."""
        return explore(head, noise, std=self.settings.exploration_noise)


def explore(head: Floats, noise: Floats, *, std: float) -> Floats:
    """Squashed network output plus normal noise of this deviation, clipped to [-1, 1], in numpy."""
    action: Floats = np.minimum(np.maximum(np.tanh(head) + std * noise, -1), 1)
    return action


def _certain(state: Tensor, action: Tensor, objective: Objective) -> Weighted:
    """Wrap one action `[K, B, A]` per state as a weighted set of size 1, with log density 0."""
    action = action[:, :, None]
    zero = torch.zeros_like(action[..., 0])
    return Weighted(action, zero, zero, objective.prior.log_density(state, action, None))
