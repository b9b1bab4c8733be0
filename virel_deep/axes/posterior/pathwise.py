"""Policies whose loss has a gradient through their actions (reparametrised) or their probabilities."""

from collections.abc import Mapping

from torch import Tensor

from virel_deep.axes.losses import policy_loss
from virel_deep.axes.tensors import Weighted, seed_mean


class Pathwise:
    """Base class of posteriors whose parameters are learnt through their weighted actions, at s itself."""

    at_state, at_next = True, False
    reports: tuple[str, ...] = ()

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:  # noqa: ARG002
        """Return the posterior as it is: gradient steps improve it, not weights."""
        return posterior

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
        r"""Mean policy loss `[K]`, $E[\alpha \log(\pi/p) - Q]$, differentiable in actions and weights.

        Args:
            posterior: weighted actions, differentiable in the parameters.
            q: Q at the actions, `[K, B, N]`, differentiable in them.
            alpha: temperature `[K, 1]`.
        """
        if posterior.exact_divergence is not None:
            return seed_mean(policy_loss(posterior.mean(q), posterior.exact_divergence, alpha))
        return seed_mean(posterior.mean(policy_loss(q, posterior.log_ratio, alpha[..., None])))

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics beyond those of every posterior."""
        return {}
