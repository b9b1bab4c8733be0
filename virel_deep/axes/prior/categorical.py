"""Priors that are categorical policies: a network that lags behind, or one fitted to the posterior."""

import torch
from torch import Tensor

from virel_deep.axes.categorical import all_actions, kl, likelihood, log_probabilities, log_probability
from virel_deep.axes.tensors import PriorLoss, Weighted, seed_mean, seedwise
from virel_deep.axes.trust import TrustRegion
from virel_deep.design import discrete
from virel_deep.networks.network import Network


class Lagging:
    """Categorical policy given by a network that lags behind the one that learns; final classes wrap it.

    Args:
        network: from a state to A outputs.
    """

    def __init__(self, network: Network) -> None:
        """Store the network."""
        self.network = network

    def log_probabilities(self, state: Tensor) -> Tensor:
        """Log probabilities `[K, R, A]` of all actions at states `[K, R, O]`, without gradient."""
        with torch.no_grad():
            found: Tensor = seedwise(log_probabilities, self.network(state).squeeze(1))
            return found

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log probabilities `[K, R, N]` of one-hot actions `[K, R, N, A]`."""
        found: Tensor = seedwise(log_probability, self.log_probabilities(state)[:, :, None], action)
        return found

    def kl(self, state: Tensor, head: Tensor) -> Tensor:
        """Divergence `[K, R, 1]` from the policy with outputs `head [K, R, A]`, differentiable in these."""
        found: Tensor = seedwise(
            lambda old, new: kl(old, log_probabilities(new)), self.log_probabilities(state), head
        )
        return found[..., None]


class Learned:
    """Categorical policy fitted to the posterior in a trust region around its own lagging copy; it acts.

    Args:
        settings: trust region.
        policy: network from a state to A outputs.
        target: network of the same sizes, its lagging copy, whose probabilities the posterior reweighs.
    """

    def __init__(self, settings: discrete.LearnedCategorical, policy: Network, target: Network) -> None:
        """Store policy and lagging copy; start the multiplier of the trust region."""
        self.networks, self.targets = {"policy": policy}, {"policy": target}
        self._lagging = Lagging(target)
        self.log_density = self._lagging.log_density
        self.region = TrustRegion(settings, policy.seeds, device=policy.flat.device)
        self.reports, self.tune = self.region.reports, self.region.tune
        self.seed_state = self.region.seed_state
        self.load_seed_state = self.region.load_seed_state

    def propose(self, state: Tensor) -> Weighted:
        """All actions at states `[K, R, O]` with their probabilities in the lagging copy."""
        log_p = self._lagging.log_probabilities(state)
        return Weighted(all_actions(log_p), log_p, log_p, log_p)

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log probabilities `[K, R]` of stored one-hot actions `[K, R, A]` under the lagging copy."""
        found: Tensor = seedwise(log_probability, self._lagging.log_probabilities(state), pre)
        return found

    def divergence(self, state: Tensor, head: Tensor) -> None:
        """Return None: the weighted actions themselves give the divergence."""

    def kl(self, state: Tensor, head: Tensor) -> None:
        """Return None: the posterior is weighted actions, which have no parameters of their own."""

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss:
        """M-step: minus the weighted log likelihood of the actions, plus the trust region."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        fit = seedwise(
            lambda one, a, w: likelihood(log_probabilities(one), a, w),
            head, posterior.action, posterior.log_weight,
        )  # fmt: skip
        bounded = self.region.loss(self._lagging.kl(state, head))
        return bounded._replace(loss=bounded.loss - seed_mean(fit))
