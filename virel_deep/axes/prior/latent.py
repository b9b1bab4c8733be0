"""Prior of a hierarchy (HDP): a default of the high level, which sees less, and the low level of both."""

import torch
from torch import Tensor

from virel_deep.axes.categorical import kl, log_probabilities
from virel_deep.axes.posterior.levels import Form, mixture
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
        form: functions of the low level's outputs.
        first: outputs `[Z, n]` that the low level begins with, at every state.
    """

    def __init__(
        self,
        settings: LatentPrior,
        network: Network,
        target: Network,
        low: Network,
        sight: Sight,
        *,
        form: Form,
        first: Tensor,
    ) -> None:
        """Store the networks."""
        super().__init__(settings, network, target, sight)
        self.networks = {"default": network, "low": low}
        self.given, self._divergence, self._latents = form.given, form.divergence, network.sizes[-1]
        self._first, self._low_alpha, self._exponent = first, settings.low_alpha, settings.exponent

    def start(self) -> None:
        """Let the default begin uniform, and the low levels of the latents apart.

        Latents that begin alike stay so: each climbs the same mean of the tasks' values.
        """
        for block in self.networks["default"].layers[-1]:
            block.zero_()
        self.networks["low"].layers[-1].bias.add_(self._first.flatten())

    def low(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, Z, n]` of the low level, differentiable unless it is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            out = self.networks["low"].differentiable(self._sight(state)).squeeze(1)
        return out.view(*out.shape[:2], self._latents, -1)

    def strayed(self, low: Tensor, log_high: Tensor) -> Tensor | None:
        """Penalty `[K, R]` on what the low level `[K, R, Z, n]` has strayed from its first form; or None.

        Latents count by their probabilities `[K, R, Z]`, which it has no gradient in.
        """
        if self._low_alpha == 0 or not low.requires_grad:
            return None
        apart = seedwise(lambda one: self._divergence(one, self._first), low)
        found: Tensor = seedwise(lambda log_p, x: (log_p.exp() * x).sum(-1), log_high.detach(), apart)
        return self._low_alpha * found

    def log_default(self, state: Tensor) -> Tensor:
        r"""Log probabilities `[K, R, Z]` of the latents in the objective, without gradient: $p^\rho / Z$.

        p is the default's lagging copy.
        """
        power: Tensor = self._exponent * self._outputs(state)
        found: Tensor = seedwise(log_probabilities, power)
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
