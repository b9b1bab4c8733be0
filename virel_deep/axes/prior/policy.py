"""Priors that are tanh-Gaussian policies: a network that lags behind, or one fitted to the posterior."""

import torch
from torch import Tensor

from virel_deep.axes.gaussian import (
    decoupled_likelihood,
    kl_parts,
    kl_parts_apart,
    likelihood,
    log_density,
    moments,
)
from virel_deep.axes.posterior.tanh_gaussian import log_squashed, split, squash
from virel_deep.axes.tensors import PriorLoss, Weighted, seed_mean, seedwise
from virel_deep.axes.trust import TrustRegion
from virel_deep.design import improvement
from virel_deep.networks.network import Network


class PolicyPrior:
    """Tanh-Gaussian prior given by a network that lags behind the policy; final classes wrap it.

    Args:
        network: from a state to `2 A` outputs.
    """

    def __init__(self, network: Network) -> None:
        """Store the network."""
        self.network = network

    def head(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, 2 A]` of the network at states `[K, R, O]`, without gradient."""
        with torch.no_grad():
            return self.network(state).squeeze(1)

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log densities `[K, R, N]` of the prior at actions given before the tanh, `pre [K, R, N, A]`."""
        assert pre is not None, "a policy as prior weighs actions before the tanh"
        found: Tensor = seedwise(
            lambda head, u: log_squashed(split(head[..., None, :]), u), self.head(state), pre
        )
        return found

    def kl(self, state: Tensor, head: Tensor) -> Tensor:
        """Divergence `[K, R, 2]` of the prior from a policy with outputs `head`, differentiable in these."""
        parts: Tensor = seedwise(lambda old, new: kl_parts(split(old), split(new)), self.head(state), head)
        return parts


class Learned:
    """Policy network fitted to the posterior inside a trust region around its own lagging copy; it acts.

    Args:
        settings: likelihood and trust region.
        policy: network from a state to `2 A` outputs.
        target: network of the same sizes, its lagging copy, which proposes the posterior's actions.
    """

    def __init__(self, settings: improvement.Learned, policy: Network, target: Network) -> None:
        """Store policy and lagging copy; start the multipliers of the trust region."""
        self.networks, self.targets = {"policy": policy}, {"policy": target}
        self._lagging = PolicyPrior(target)
        self.log_density = self._lagging.log_density
        self._decoupled = settings.likelihood == "decoupled"
        self.region = TrustRegion(settings, policy.seeds, device=policy.flat.device)
        self.reports, self.tune = self.region.reports, self.region.tune
        self.seed_state = self.region.seed_state
        self.load_seed_state = self.region.load_seed_state

    def propose(self, state: Tensor, noise: Tensor) -> Weighted:
        """Draw actions `[K, R, N, A]` of the lagging copy with standard normal `noise`, at equal weights."""
        action, pre, log_prior = seedwise(
            lambda head, xi: squash(split(head[..., None, :]), xi), self._lagging.head(state), noise
        )
        equal = torch.full_like(log_prior, 1 / noise.shape[2]).log()
        return Weighted(action, equal, log_prior, log_prior, pre=pre)

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` before the tanh of stored actions `[K, R, A]` under the lagging copy."""
        found: Tensor = seedwise(lambda head, u: log_density(split(head), u), self._lagging.head(state), pre)
        return found

    def divergence(self, state: Tensor, head: Tensor) -> None:
        """Return None: the posterior is weighted actions, which have no parameters of their own."""

    def kl(self, state: Tensor, head: Tensor) -> None:
        """Return None: the posterior is weighted actions, which have no parameters of their own."""

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss:
        """M-step: minus the weighted log likelihood of the posterior's actions, plus the trust region."""
        assert posterior.pre is not None
        head = self.networks["policy"].differentiable(state).squeeze(1)
        fit, kl = seedwise(self._fit, head, self._lagging.head(state), posterior.pre, posterior.log_weight)
        bounded = self.region.loss(kl)
        return bounded._replace(loss=bounded.loss - seed_mean(fit))

    def _fit(self, head: Tensor, old_head: Tensor, pre: Tensor, log_weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted log likelihood `[R]` and divergences `[R, 2]` of one seed's policy from the old one."""
        policy, old, of = split(head), split(old_head), moments(pre, log_weight.exp())
        if self._decoupled:
            return decoupled_likelihood(policy, old, of), kl_parts_apart(old, policy)
        return likelihood(policy, of), kl_parts(old, policy)
