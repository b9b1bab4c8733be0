"""Shortened gradients: the direction stays, a short one keeps its bits, and seeds do not meet."""

import torch

from tests.support.deep import CPU
from virel_deep.networks.clipping import shorten
from virel_deep.networks.network import Network

SIZES, HEADS, LONGEST = (5, 17, 3), 2, 0.5


def shortened(gradients):
    """Blocks of each seed's gradient, shortened in a stack of all."""
    network = Network(len(gradients), HEADS, SIZES, device=CPU)
    flat = torch.zeros_like(network.flat)
    for k, of_seed in enumerate(gradients):
        for name, block in network.seed_blocks(flat, k).items():
            block.copy_(of_seed[name])
    shorten(network, flat, LONGEST)
    return [network.seed_blocks(flat, k) for k in range(len(gradients))]


def drawn(scale, seed):
    network = Network(1, HEADS, SIZES, device=CPU)
    normal = torch.randn(network.flat.shape, generator=torch.Generator().manual_seed(seed)) * scale
    return {name: block.clone() for name, block in network.seed_blocks(normal, 0).items()}


def test_a_long_gradient_has_the_largest_norm_and_its_direction():
    before = drawn(10.0, 0)
    [after] = shortened([before])
    length = torch.cat([block.flatten() for block in before.values()]).double().norm()
    for name, block in after.items():
        # Squares, sums of at most 312, a root, a quotient, a product: 330 roundings of 2^-24.
        torch.testing.assert_close(
            block.double(), before[name].double() * LONGEST / length, rtol=330 * 2.0**-24, atol=0
        )


def test_a_short_gradient_keeps_its_bits():
    before = drawn(1e-3, 0)
    [after] = shortened([before])
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_seed_is_shortened_in_a_stack_as_it_is_alone():
    gradients = [drawn(10.0**seed, seed) for seed in range(3)]
    for together, alone in zip(shortened(gradients), gradients, strict=True):
        [found] = shortened([alone])
        assert all(torch.equal(together[name], found[name]) for name in found)


def test_a_gradient_that_is_not_finite_is_not_made_finite():
    before = drawn(1.0, 0)
    before["0.bias"][0, 0, 0] = float("nan")
    [after] = shortened([before])
    assert all(block.isnan().all() for block in after.values())
