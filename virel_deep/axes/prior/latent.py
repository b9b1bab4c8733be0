"""Prior of a hierarchy (HDP): a default of the high level, which sees less, and the low level of both."""

import torch
from torch import Tensor

from virel_deep.axes.categorical import kl, log_probabilities
from virel_deep.axes.posterior.levels import Given, mixture
from virel_deep.axes.prior.blind import FittedPrior, Sight
from virel_deep.axes.tensors import PriorLoss, Weighted, seed_mean, seedwise
from virel_deep.design.hierarchy import LatentPrior
from virel_deep.networks.network import Network


class Latent(FittedPrior):
    r"""Default $p^H(z|s)$ of latents, fitted to the high level, and the shared low level $\pi^L(a|z, s)$.

    What the objective pays for is $KL(\pi^H \| p^H)$, against the lagging copy of the default. As the low
    level is shared, that is an upper bound of the divergence of actions (claim `hdp-bound`).

    Args:
        settings: what it sees, and whether it learns.
        network: default, from what it sees of a state to Z outputs.
        target: its lagging copy.
        low: low level, from what it sees of a state to Z n outputs.
        sight: what both see of a state.
        given: densities of actions given each latent.
    """

    def __init__(
        self,
        settings: LatentPrior,
        network: Network,
        target: Network,
        low: Network,
        sight: Sight,
        *,
        given: Given,
    ) -> None:
        """Store the networks."""
        super().__init__(settings, network, target, sight)
        self.networks = {"default": network, "low": low}
        self.given, self._latents = given, network.sizes[-1]

    def low(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, Z, n]` of the low level, differentiable unless it is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            out = self.networks["low"].differentiable(self._sight(state)).squeeze(1)
        return out.view(*out.shape[:2], self._latents, -1)

    def log_default(self, state: Tensor) -> Tensor:
        """Log probabilities `[K, R, Z]` of the latents in the default's lagging copy, without gradient."""
        found: Tensor = seedwise(log_probabilities, self._outputs(state))
        return found

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:
        """Log densities `[K, R, N]` of actions, the latent summed out, without gradient in the parameters."""
        with torch.no_grad():
            low = self.low(state)
        given = seedwise(self.given, low, action, action if pre is None else pre)
        found: Tensor = seedwise(mixture, self.log_default(state), given)
        return found

    def divergence(self, state: Tensor, head: Tensor) -> Tensor:
        """KL divergence `[K, R]` of a high level, `head [K, R, Z]`, from the default's lagging copy."""
        found: Tensor = seedwise(kl, seedwise(log_probabilities, head), self.log_default(state))
        return found

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss:
        """Minus the mean log likelihood of the high level's probabilities: HDP's M-step."""
        assert posterior.log_latent is not None, "the posterior has a latent"
        log_p, log_high = seedwise(log_probabilities, self._learnt(state)), posterior.log_latent.detach()
        fit = seedwise(lambda mine, of: (of.exp() * mine).sum(-1), log_p, log_high)
        apart = seed_mean(seedwise(kl, log_high, log_p.detach()))
        return PriorLoss(-seed_mean(fit), apart[:, None])
