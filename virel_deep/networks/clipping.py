"""Gradients of limited length, so that a rare large one can't undo what many small ones have learnt."""

import torch
from torch import Tensor

from virel_deep.networks.network import Network


def shorten(network: Network, gradient: Tensor, longest: float) -> None:
    """Shorten each seed's gradient to the Euclidean norm `longest`, in place; a shorter one keeps its bits.

    The norm is over all parameters of a seed's networks. It is a sum of one number per weight or bias block,
    so that its bits do not depend on the other seeds.

    Args:
        network: whose gradient it is.
        gradient: flat, laid out as its parameters.
        longest: largest norm, positive.

    Example:
        >>> network = Network(1, 1, (1, 1), device=torch.device("cpu"))
        >>> gradient = torch.zeros_like(network.flat)
        >>> blocks = network.seed_blocks(gradient, 0)
        >>> _ = blocks["0.weight"].fill_(3.0), blocks["0.bias"].fill_(4.0)
        >>> shorten(network, gradient, 1.0)
        >>> [round(block.item(), 6) for block in blocks.values()]
        [0.6, 0.8]
    """
    for k in range(network.seeds):
        blocks = list(network.seed_blocks(gradient, k).values())
        norm = torch.stack([block.square().sum() for block in blocks]).sum().sqrt()
        for block in blocks:
            block.mul_(longest / norm.clamp(min=longest))
