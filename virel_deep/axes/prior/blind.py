"""Learned priors that do not see all of a state: Distral's distilled policy and IADP's default policy."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.categorical import likelihood, log_probabilities, log_probability
from virel_deep.axes.gaussian import kl_parts, moments
from virel_deep.axes.gaussian import likelihood as gaussian_likelihood
from virel_deep.axes.interfaces import Objective
from virel_deep.axes.posterior.tanh_gaussian import log_squashed, split, squash
from virel_deep.axes.tensors import PriorLoss, Weighted, seed_mean, seedwise
from virel_deep.design import priors
from virel_deep.networks.network import Network


class Sight:
    """Part of a state that a prior sees: all entries but those that it is blind to.

    Args:
        settings: which entries these are.
        n_observation: number of entries of a state O.
    """

    def __init__(self, settings: priors.Blind, n_observation: int, *, device: torch.device) -> None:
        """Find the entries that are left."""
        unseen = {entry % n_observation for entry in settings.blind_to}
        self.entries = [entry for entry in range(n_observation) if entry not in unseen]
        self._index = torch.tensor(self.entries, device=device)

    def __call__(self, state: Tensor) -> Tensor:
        """Entries `[K, B, n]` that are seen of states `[K, B, O]`."""
        return state.index_select(-1, self._index)


class FittedPrior:
    """Base class of priors that are a network named `default`, fitted to the posterior without bounds.

    Args:
        settings: whether it learns.
        network: from what the prior sees of a state to the parameters of its distribution.
        target: its lagging copy, which the objective has for the prior; None: the network itself.
        sight: what it sees of a state.
    """

    reports = ("prior_kl",)

    def __init__(
        self, settings: priors.Blind, network: Network, target: Network | None, sight: Sight
    ) -> None:
        """Store the network and its lagging copy."""
        self.networks = {"default": network}
        self.targets: Mapping[str, Network] = {} if target is None else {"default": target}
        self._asked = network if target is None else target
        self._frozen, self._sight = settings.frozen, sight

    def kl(self, state: Tensor, head: Tensor) -> None:
        """Return None: there is no trust region, so that no divergence is bounded."""

    def tune(self, kl: Tensor) -> Mapping[str, Tensor]:
        """Return the mean divergence of the posterior from the network, given in `loss`."""
        return {"prior_kl": kl[:, 0]}

    def seed_state(self, k: int) -> dict[str, Any]:  # noqa: ARG002
        """Return an empty dictionary: the prior remembers nothing beside its network."""
        return {}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore nothing: the prior remembers nothing beside its network."""

    def _outputs(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, n]` of the network that the objective has, differentiable in the states alone."""
        return self._asked.differentiable(self._sight(state), fixed=True).squeeze(1)

    def _learnt(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, n]` of the network that learns, differentiable unless it is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            return self.networks["default"].differentiable(self._sight(state)).squeeze(1)


class Categorical(FittedPrior):
    r"""Categorical prior $p^\rho$, fitted to the posterior's probabilities by maximum likelihood.

    Args:
        settings: as `FittedPrior` has them.
        network: to A outputs.
        target: as `FittedPrior` has it.
        sight: what it sees of a state.
        exponent: power rho of the prior in the objective.
    """

    def __init__(
        self,
        settings: priors.Blind,
        network: Network,
        target: Network | None,
        sight: Sight,
        *,
        exponent: float = 1.0,
    ) -> None:
        """Store the network and the power."""
        super().__init__(settings, network, target, sight)
        self._exponent = exponent

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        r"""Logarithms `[K, R, N]` of $p^\rho$ at one-hot actions `[K, R, N, A]`."""
        log_p = seedwise(log_probabilities, self._outputs(state))
        found: Tensor = seedwise(log_probability, log_p[:, :, None], action)
        return self._exponent * found

    def divergence(self, state: Tensor, head: Tensor) -> None:
        """Return None: the weighted actions themselves give the divergence."""

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss:
        """Minus the mean log likelihood of the posterior's probabilities, Distral's and IADP's M-step."""
        log_p = seedwise(log_probabilities, self._learnt(state))
        weighted = posterior.detach()
        fit = seed_mean(seedwise(likelihood, log_p, weighted.action, weighted.log_weight))
        apart = seed_mean(weighted.mean(weighted.log_pi - log_p.detach()))
        return PriorLoss(-fit, apart[:, None])


class TanhGaussian(FittedPrior):
    """Tanh-Gaussian prior, fitted to the posterior's actions before the tanh by maximum likelihood."""

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log densities `[K, R, N]` at actions given before the tanh, `pre [K, R, N, A]`."""
        assert pre is not None, "a tanh-Gaussian weighs actions before the tanh"
        found: Tensor = seedwise(self._log_density, self._outputs(state), pre)
        return found

    def divergence(self, state: Tensor, head: Tensor) -> Tensor:
        """KL divergence `[K, R]` of tanh-Gaussians `head [K, R, 2 A]` from the prior at these states."""
        found: Tensor = seedwise(
            lambda mine, other: kl_parts(split(mine), split(other)).sum(-1), head, self._outputs(state)
        )
        return found

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:  # noqa: ARG002
        """Draw one action at each state, differentiable in the states; its divergence from itself is 0."""
        head = self._outputs(state)[:, :, None]
        action, pre, log_p = seedwise(lambda one, xi: squash(split(one), xi), head, noise[:, :, None])
        return Weighted(action, torch.zeros_like(log_p), log_p, log_p, pre=pre)

    def loss(self, state: Tensor, posterior: Weighted) -> PriorLoss:
        """Minus the mean log likelihood of the posterior's actions, IADP's M-step."""
        head, weighted = self._learnt(state), posterior.detach()
        assert weighted.pre is not None
        found = seedwise(self._likelihood, head, weighted.pre, weighted.log_weight)
        log_p = seedwise(self._log_density, head.detach(), weighted.pre)
        apart = seed_mean(weighted.mean(weighted.log_pi - log_p))
        return PriorLoss(-seed_mean(found), apart[:, None])

    @staticmethod
    def _log_density(head: Tensor, pre: Tensor) -> Tensor:
        return log_squashed(split(head[..., None, :]), pre)

    @staticmethod
    def _likelihood(head: Tensor, pre: Tensor, log_weight: Tensor) -> Tensor:
        return gaussian_likelihood(split(head), moments(pre, log_weight.detach().exp()))
