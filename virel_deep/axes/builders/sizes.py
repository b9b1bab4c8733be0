"""What every builder of a part is given."""

from dataclasses import dataclass

import torch

from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.network import Network


@dataclass(frozen=True)
class Sizes:
    """Input of every builder of a part: the algorithm's settings, the tensor sizes and the device."""

    algorithm: Algorithm
    seeds: int
    """Number of seeds, K."""
    n_observation: int
    """Number of entries of an observation, O."""
    n_action: int
    """Number of entries of an action, A."""
    device: torch.device

    def network(self, heads: int, n_in: int, n_out: int) -> Network:
        """Make a network with the algorithm's hidden sizes, all weights zero."""
        return Network(self.seeds, heads, (n_in, *self.algorithm.hidden, n_out), device=self.device)
