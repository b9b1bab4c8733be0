"""Posterior of soft Q-learning: a network of state and noise, moved by Stein variational gradients."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.posterior.particles import kernel_width, squared_distances, stein_direction
from virel_deep.axes.posterior.tanh_gaussian import log_slope
from virel_deep.axes.tensors import Weighted, seed_mean, seedwise
from virel_deep.design import inference
from virel_deep.networks.network import Network


class Stein:
    """Sampler of exp(Q / alpha): actions are the tanh of a network of state and noise; they have no density.

    The targets do not use it. They have uniform actions, as proposals for the optimal soft value.

    Args:
        settings: number of particles.
        policy: network from a state and A noises to A outputs.
    """

    at_state, at_next = True, False
    reports: tuple[str, ...] = ()

    def __init__(self, settings: inference.Stein, policy: Network) -> None:
        """Store the network, declare the noise, and draw the noise of deterministic actions."""
        self.networks = {"policy": policy}
        self.targets: Mapping[str, Network] = {}
        self._shape = (settings.samples, policy.sizes[-1])
        self.acting = Draw(policy.sizes[-1])
        self.noise = {"action": Draw(math.prod(self._shape))}
        fixed = torch.Generator().manual_seed(0)
        self._settled = torch.randn(self._shape, generator=fixed).to(policy.flat)

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Draw the particles of each state, differentiable in the network's parameters."""
        pre = self._before_tanh(state, noise["action"].view(*state.shape[:2], *self._shape))
        return self._equal(state, seedwise(torch.tanh, pre), pre, 0.0, objective)

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Draw uniform actions at next states, as proposals, with their density."""
        xi = noise["action"].view(*state.shape[:2], *self._shape)
        action = seedwise(lambda x: torch.erf(x / math.sqrt(2)), xi)
        return self._equal(state, action, None, -self._shape[1] * math.log(2), objective)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:  # noqa: ARG002
        """Return the particles as they are: their network moves them."""
        return posterior

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
        """Minus the mean log density of the particles `[K]`, up to a constant; its gradient is Stein's.

        The first half of a state's particles stands for the distribution, the second half moves.
        """
        pre = posterior.pre
        assert pre is not None
        log_density = q / alpha[..., None] + seedwise(lambda u: log_slope(u).sum(-1), pre)
        (score,) = torch.autograd.grad(log_density.sum(), pre)
        direction = seedwise(self._direction, pre.detach(), score)
        moved = pre[:, :, self._shape[0] // 2 :]
        pushed: Tensor = seedwise(lambda g, u: (g * (u - u.detach())).sum(-1), direction, moved)
        return -(seed_mean(log_density.detach()) + seed_mean(pushed))

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics beyond those of every posterior."""
        return {}

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:  # noqa: ARG002
        """Draw one action at each state, to explore."""
        with torch.no_grad():
            action: Tensor = seedwise(torch.tanh, self._before_tanh(state, noise[:, :, None]))
        return action[:, :, 0]

    def settle(self, state: Tensor, objective: Objective) -> Tensor:
        """Act by the best of a state's particles, whose noise is always the same."""
        with torch.no_grad():
            xi = self._settled.expand(*state.shape[:2], *self._settled.shape)
            action: Tensor = seedwise(torch.tanh, self._before_tanh(state, xi))
            best = objective.q_of(state, action).argmax(-1)[..., None, None]
            return action.gather(2, best.expand(-1, -1, 1, action.shape[-1])).squeeze(2)

    def _before_tanh(self, state: Tensor, noise: Tensor) -> Tensor:
        """Outputs `[K, B, N, A]` of the network at each state, for noises `[K, B, N, A]`."""
        of_each = state[:, :, None].expand(-1, -1, noise.shape[2], -1)
        inputs = torch.cat((of_each, noise), dim=-1).flatten(1, 2)
        return self.networks["policy"].differentiable(inputs).view(noise.shape)

    def _direction(self, u: Tensor, score: Tensor) -> Tensor:
        """Directions of the moving particles of one seed, from all particles `[B, N, A]` and their scores."""
        fixed, moved = u.chunk(2, dim=-2)
        width = kernel_width(squared_distances(fixed, moved), self._shape[0])
        return stein_direction(fixed, moved, score.chunk(2, dim=-2)[0], width)

    def _equal(
        self, state: Tensor, action: Tensor, pre: Tensor | None, log_pi: float, objective: Objective
    ) -> Weighted:
        """Actions `[K, B, N, A]` at equal weights, all of one density."""
        equal = torch.full_like(action[..., 0], -math.log(self._shape[0]))
        log_prior = objective.prior.log_density(state, action, pre)
        return Weighted(action, equal, torch.full_like(equal, log_pi), log_prior, pre=pre)
