"""Prior distributions over actions, from which the objective's KL term measures the posterior's distance."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.gaussian import Gaussian, kl_parts
from virel_deep.axes.posterior.tanh_gaussian import log_squashed, split
from virel_deep.axes.tensors import Weighted, seedwise
from virel_deep.design import inference
from virel_deep.networks.network import Network


class Constant:
    """Base class of priors that never change: they have no networks, no trust region and no state."""

    reports: tuple[str, ...] = ()

    def __init__(self) -> None:
        """Make a prior that has nothing to learn."""
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}

    def kl(self, state: Tensor, head: Tensor) -> None:
        """Return None: without a trust region no divergence is bounded."""

    def loss(self, state: Tensor, posterior: Weighted) -> None:
        """Return no loss (None): the prior is never trained."""

    def tune(self, kl: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics: there is no trust region."""
        return {}

    def seed_state(self, k: int) -> dict[str, Any]:  # noqa: ARG002
        """Return an empty dictionary: the prior remembers nothing."""
        return {}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore nothing: the prior remembers nothing."""


class Uniform(Constant):
    """Uniform action prior, as in SAC: its constant log density is left out and counts as 0.

    It is -A log 2 on [-1, 1]^A and -log A on a discrete space of A actions. With the constant every step
    would gain or cost alpha times that: where episodes differ in length, another policy is the best then.
    """

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log density of the uniform prior without its constant: zeros `[K, B, N]`."""
        return torch.zeros_like(action[..., 0])

    def divergence(self, state: Tensor, head: Tensor) -> None:
        """Return None: the entropy of a tanh-Gaussian has no closed form."""


class Fixed(Constant):
    """Constant tanh-Gaussian prior, with mean 0 before the tanh; divergences from it have a closed form.

    Args:
        settings: standard deviation.
    """

    def __init__(self, settings: inference.Fixed) -> None:
        """Store the logarithm of the standard deviation."""
        super().__init__()
        self._log_std = math.log(settings.std)

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log density of the prior over actions, `[K, B, N]`, from the actions before the tanh."""
        assert pre is not None, "a fixed prior weighs actions before the tanh"
        found: Tensor = seedwise(lambda u: log_squashed(self._like(u), u), pre)
        return found

    def divergence(self, state: Tensor, head: Tensor) -> Tensor:  # noqa: ARG002
        r"""KL divergence $KL(N(\mu, \sigma) \| N(0, \sigma_0))$ `[K, B]`; the tanh changes neither."""
        found: Tensor = seedwise(self._divergence, head)
        return found

    def _divergence(self, head: Tensor) -> Tensor:
        of = split(head)
        return kl_parts(of, self._like(of.mean)).sum(-1)

    def _like(self, u: Tensor) -> Gaussian:
        """Gaussian of the prior, of the shape of `u`."""
        return Gaussian(torch.zeros_like(u), torch.full_like(u, self._log_std))
