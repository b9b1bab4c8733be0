"""Prior that is the policy's own target copy: a trust region bounds the policy's distance from it."""

from collections.abc import Mapping

from torch import Tensor

from virel_deep.axes.prior.categorical import Lagging
from virel_deep.axes.prior.policy import PolicyPrior
from virel_deep.axes.tensors import PriorLoss, Weighted
from virel_deep.axes.trust import TrustRegion
from virel_deep.design import discrete, improvement
from virel_deep.networks.network import Network


class Previous:
    """Lagging copy of the policy as the prior; a trust region bounds the policy's distance from it.

    Args:
        settings: trust region.
        lagging: policy of the lagging copy of the network.
    """

    def __init__(
        self, settings: improvement.Previous | discrete.PreviousCategorical, lagging: PolicyPrior | Lagging
    ) -> None:
        """Store the lagging copy; start the multipliers of the trust region."""
        target = lagging.network
        self.networks: Mapping[str, Network] = {}
        self.targets = {"policy": target}
        self.log_density, self.kl = lagging.log_density, lagging.kl
        self.region = TrustRegion(settings, target.seeds, device=target.flat.device)
        self.reports, self.tune = self.region.reports, self.region.tune
        self.seed_state = self.region.seed_state
        self.load_seed_state = self.region.load_seed_state

    def divergence(self, state: Tensor, head: Tensor) -> None:
        """Return None: the divergence from the lagging copy depends on the state."""

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss:  # noqa: ARG002
        """Trust region of the policy around its lagging copy, differentiable in the policy's parameters."""
        assert posterior.kl is not None
        return self.region.loss(posterior.kl)
