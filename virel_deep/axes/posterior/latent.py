r"""Posteriors of two levels (HDP): a latent z from a network, then an action from the prior's low level.

A latent is drawn anew at every step, so that critics need not know it. All latents are enumerated; the
divergence that the objective pays for is that of the latents alone.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from virel_deep.axes import categorical
from virel_deep.axes.categorical import all_actions, log_probabilities
from virel_deep.axes.interfaces import ONE_NUMBER, Draw, Noise, Objective
from virel_deep.axes.posterior.levels import Given, mixture
from virel_deep.axes.posterior.pathwise import Pathwise
from virel_deep.axes.posterior.tanh_gaussian import split, squash
from virel_deep.axes.tensors import Weighted, seed_mean, seedwise
from virel_deep.networks.network import Network


class Levelled(Protocol):
    """Interface of a prior with a default of the latents and the low level that both share."""

    given: Given

    def low(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, Z, n]` of the low level, differentiable unless it is frozen."""

    def log_default(self, state: Tensor) -> Tensor:
        """Log probabilities `[K, R, Z]` of the latents in the default's lagging copy."""

    def strayed(self, low: Tensor, log_high: Tensor) -> Tensor | None:
        """Penalty `[K, R]` on outputs of the low level, latents weighed by their probabilities; or None."""


class Hierarchy(Pathwise):
    r"""What both kinds share: a high level $\pi^H(z|s)$, and losses with a gradient through both levels.

    Args:
        policy: network from a state to Z outputs, the high level.
        prior: default of the high level, with the low level.
    """

    reports = ("bound_gap",)
    noise: Mapping[str, Draw] = {}

    def __init__(self, policy: Network, prior: Levelled) -> None:
        """Store the high level, and the prior that has the low one."""
        self.networks, self._prior = {"policy": policy}, prior
        self.targets: Mapping[str, Network] = {}

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:
        """Mean of what the divergence of latents exceeds that of actions by, nats."""
        return {"bound_gap": seed_mean(posterior.divergence - posterior.mean(posterior.log_ratio))}

    def log_high(self, state: Tensor) -> Tensor:
        """Log probabilities `[K, R, Z]` of the latents, differentiable in the policy's parameters."""
        found: Tensor = seedwise(log_probabilities, self.networks["policy"].differentiable(state).squeeze(1))
        return found

    def levels(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of latents `[N, Z]` and the low level's outputs `[N, Z, n]`, of one seed each."""
        with torch.no_grad():
            return self.log_high(state), self._prior.low(state)


class LatentCategorical(Hierarchy):
    """All A actions with their probabilities, the latent summed out: every expectation is exact."""

    acting = ONE_NUMBER

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """All actions with their probabilities, differentiable in both levels; no noise."""
        log_high, low = self.log_high(state), self._prior.low(state)
        given = seedwise(log_probabilities, low)
        log_pi, log_default = seedwise(mixture, log_high, given), self._prior.log_default(state)
        return Weighted(
            all_actions(log_pi),
            log_pi,
            log_pi,
            seedwise(mixture, log_default, given.detach()),
            exact_divergence=seedwise(categorical.kl, log_high, log_default),
            log_latent=log_high,
            penalty=self._prior.strayed(low, log_high),
        )

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """All actions with the probabilities of the online levels, which have no target copies."""
        return self.infer(state, noise, objective)

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:  # noqa: ARG002
        """Draw one action at each state, to explore."""
        pairs = zip(self._log_pi(state), noise.cpu(), strict=True)
        chosen = [torch.from_numpy(categorical.explore(p.numpy(), u.numpy())) for p, u in pairs]
        return torch.stack(chosen).to(state)

    def settle(self, state: Tensor, objective: Objective) -> Tensor:  # noqa: ARG002
        """Act by the most probable action of each state, the latent summed out."""
        found = [torch.from_numpy(categorical.greedy(log_p.numpy())) for log_p in self._log_pi(state)]
        return torch.stack(found).to(state)

    def _log_pi(self, state: Tensor) -> Tensor:
        """Log probabilities `[K, N, A]` of actions, on the CPU."""
        log_high, low = self.levels(state)
        found: Tensor = seedwise(mixture, log_high, seedwise(log_probabilities, low))
        return found.cpu()


class LatentGaussian(Hierarchy):
    """One reparametrised action of each latent's tanh-Gaussian, with the latents' probabilities.

    Args:
        policy: as `Hierarchy` has it.
        prior: as `Hierarchy` has it.
        n_action: A.
    """

    def __init__(self, policy: Network, prior: Levelled, n_action: int) -> None:
        """Store both levels, and declare the random numbers."""
        super().__init__(policy, prior)
        self._shape = (policy.sizes[-1], n_action)
        self.noise = {"action": Draw(policy.sizes[-1] * n_action)}
        self.acting = Draw(1 + n_action)

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """Draw an action of every latent, differentiable in both levels."""
        log_high, low = self.log_high(state), self._prior.low(state)
        log_default, xi = self._prior.log_default(state), noise["action"].view(*state.shape[:2], *self._shape)
        action, pre, _ = seedwise(lambda head, x: squash(split(head), x), low, xi)
        with torch.no_grad():  # these are shown, not climbed
            given = seedwise(self._prior.given, low.detach(), action, pre)
            log_pi, log_prior = (seedwise(mixture, of, given) for of in (log_high, log_default))
        return Weighted(
            action,
            log_high,
            log_pi,
            log_prior,
            pre=pre,
            exact_divergence=seedwise(categorical.kl, log_high, log_default),
            log_latent=log_high,
            penalty=self._prior.strayed(low, log_high),
        )

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Draw an action of every latent from the online levels, which have no target copies."""
        return self.infer(state, noise, objective)

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:  # noqa: ARG002
        """Draw a latent, by the first number's rank among standard normal ones, then an action of it."""
        log_high, low = self.levels(state)
        rank = seedwise(torch.special.ndtr, noise[..., :1]).cpu()
        pairs = zip(log_high.cpu(), rank, strict=True)
        chosen = torch.stack([torch.from_numpy(categorical.explore(p.numpy(), u.numpy())) for p, u in pairs])
        found: Tensor = seedwise(_action_of, low, chosen.to(state), noise[..., 1:])
        return found

    def settle(self, state: Tensor, objective: Objective) -> Tensor:  # noqa: ARG002
        """Act by the mean before the tanh of the most probable latent."""
        log_high, low = self.levels(state)
        chosen = torch.stack([torch.from_numpy(categorical.greedy(p.numpy())) for p in log_high.cpu()])
        found: Tensor = seedwise(
            _action_of, low, chosen.to(state), torch.zeros_like(low[..., 0, : self._shape[1]])
        )
        return found


def _action_of(low: Tensor, chosen: Tensor, noise: Tensor) -> Tensor:
    """Action `[..., A]` of the latent that a one-hot vector `[..., Z]` says, with the noise `[..., A]`."""
    of = split((chosen[..., None] * low).sum(-2))
    return (of.mean + of.log_std.exp() * noise).tanh()
