"""Priors over actions, which the KL term of the objective measures the posterior against."""

from collections.abc import Mapping

import torch
from torch import Tensor

from virel_deep.axes.interfaces import Weighted
from virel_deep.networks.network import Network


class Uniform:
    """The uniform prior, as SAC has it: its constant log density -A log 2 is left out and counts as 0.

    With the constant a soft value would change by alpha A log 2 per step, and no policy gradient would.
    """

    def __init__(self) -> None:
        """Learn nothing."""
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}

    def log_density(self, state: Tensor, action: Tensor) -> Tensor:  # noqa: ARG002
        """Zeros `[K, B, N]`: a constant that is left out."""
        return torch.zeros_like(action[..., 0])

    def loss(self, state: Tensor, posterior: Weighted) -> None:
        """None: a uniform prior stays as it is."""
