"""The deterministic posterior of DDPG and TD3: one action per state, with a target copy of the policy."""

import numpy as np
import torch
from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise, Objective, Weighted, seedwise
from virel_deep.axes.posterior.pathwise import pathwise_loss
from virel_deep.design import parts
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


def deterministic(head: Tensor) -> Tensor:
    """Action `tanh(head)`, `[..., A]`, of a deterministic policy or of a tanh-Gaussian's mean."""
    return head.tanh()


def smoothed_target(action: Tensor, noise: Tensor, *, std: float, clip: float) -> Tensor:
    """Target action of TD3, `action + clip(std * noise)` kept in [-1, 1]; Fujimoto et al. 2018, Eq. (14)."""
    return (action + (std * noise).clamp(-clip, clip)).clamp(-1, 1)


class Deterministic:
    """One action per state, the tanh of a policy network; acting adds noise, and so does the target copy.

    Args:
        settings: standard deviations of the noises.
        policy: network from a state to A outputs.
        target: network of the same sizes, its target copy.
    """

    def __init__(self, settings: parts.Deterministic, policy: Network, target: Network) -> None:
        """Take the networks over."""
        self.settings = settings
        self.networks, self.targets = {"policy": policy}, {"policy": target}
        self.noise = {"action": Draw(policy.sizes[-1])}

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """The policy's action, differentiable in its parameters; it takes no noise."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        return _certain(state, seedwise(deterministic, head), objective)

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """The target copy's action with clipped noise, as TD3 has it."""
        calm = seedwise(deterministic, self.targets["policy"](state).squeeze(1))
        return _certain(state, self.smooth(calm, noise["action"]), objective)

    def smooth(self, action: Tensor, noise: Tensor) -> Tensor:
        """A target action `[K, B, A]` with TD3's clipped noise added, if its standard deviation is not 0."""
        return smoothed_target(
            action, noise, std=self.settings.target_noise, clip=self.settings.target_noise_clip
        )

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
        """Mean policy loss `[K]`: minus Q at the action, differentiable through it."""
        return pathwise_loss(posterior, q, alpha)

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """The action with exploration noise, kept in [-1, 1], in numpy."""
        noisy = np.tanh(head) + self.settings.exploration_noise * noise
        action: Floats = np.minimum(np.maximum(noisy, -1), 1)
        return action


def _certain(state: Tensor, action: Tensor, objective: Objective) -> Weighted:
    """One action `[K, B, A]` per state without a density: its log density counts as 0."""
    action = action[:, :, None]
    zero = torch.zeros_like(action[..., 0])
    return Weighted(action, zero, zero, objective.prior.log_density(state, action))
