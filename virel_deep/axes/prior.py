"""Prior distributions over actions, from which the objective's KL term measures the posterior's distance."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes.tensors import Weighted
from virel_deep.networks.network import Network


class Uniform:
    """Uniform action prior, as in SAC: its constant log density is left out and counts as 0.

    It is -A log 2 on [-1, 1]^A and -log A on a discrete space of A actions. With the constant a soft value
    would change by that times alpha per step, and no policy gradient would.
    """

    reports: tuple[str, ...] = ()

    def __init__(self) -> None:
        """Make a prior without networks: a uniform distribution has nothing to learn."""
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}

    def log_density(self, state: Tensor, action: Tensor, pre: Tensor | None) -> Tensor:  # noqa: ARG002
        """Log density of the uniform prior without its constant: zeros `[K, B, N]`."""
        return torch.zeros_like(action[..., 0])

    def kl(self, state: Tensor, head: Tensor) -> None:
        """Return None: the divergence from a uniform prior has no parts by mean and spread."""

    def loss(self, state: Tensor, posterior: Weighted) -> None:
        """Return no loss (None): a uniform prior is never trained."""

    def tune(self, kl: Tensor) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics: a uniform prior has no trust region."""
        return {}

    def seed_state(self, k: int) -> dict[str, Any]:  # noqa: ARG002
        """Return an empty dictionary: a uniform prior remembers nothing."""
        return {}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore nothing: a uniform prior remembers nothing."""
