"""Compiled passes and the compiled tanh-Gaussian sample: by hand, at extremes, with NaN, beside torch."""

import math

import pytest
import torch

from virel_deep.agent import fused_kernels
from virel_deep.axes.posterior import tanh_gaussian
from virel_deep.networks.network import Network
from virel_deep.networks.stacks import cpu_products

CPU = torch.device("cpu")


def one_unit():
    """Network `3 relu(2 x + 1) - 1` of one seed."""
    network = Network(1, 1, (1, 1, 1), device=CPU)
    for layer, (w, b) in zip(network.layers, [(2.0, 1.0), (3.0, -1.0)], strict=True):
        layer.weight.fill_(w)
        layer.bias.fill_(b)
    return network


def test_a_pass_of_one_unit_by_hand():
    network, x = one_unit(), torch.tensor([[[1.0], [-1.0]]])
    with cpu_products("compiled"):
        forward = network.traced(x)
        assert forward.output.flatten().tolist() == [8.0, -1.0]  # the second is cut off by the ReLU
        forward.by_parameters(torch.tensor([1.0, 10.0]).reshape(1, 1, 2, 1))
        by_name = network.seed_blocks(network.gradient, 0)
        by_inputs = network.traced(x).by_inputs(torch.ones(1, 1, 2, 1), slice(0, 1))
    found = {name: block.item() for name, block in by_name.items()}
    assert found == {"0.weight": 3.0, "0.bias": 3.0, "1.weight": 3.0, "1.bias": 11.0}
    assert by_inputs.flatten().tolist() == [6.0, 0.0]


def test_nan_passes_through_a_relu():
    network = one_unit()
    network.layers[0].bias.fill_(math.nan)
    with cpu_products("compiled"):
        assert network(torch.ones(1, 2, 1)).isnan().all()


def test_passes_of_two_engines_may_be_alive_together():
    network, x = one_unit(), torch.ones(1, 3, 1)
    slope = torch.ones(1, 1, 3, 1)
    plain = network.traced(x)
    with cpu_products("compiled"):
        compiled = network.traced(2 * x)
    assert plain.by_inputs(slope, slice(0, 1)).tolist() == compiled.by_inputs(slope, slice(0, 1)).tolist()
    assert (plain.output == 8.0).all()
    assert (compiled.output == 14.0).all()


@pytest.mark.parametrize("mean", [0.0, 1e-9, -0.3, 4.0, -60.0])
@pytest.mark.parametrize("log_std", [-30.0, -20.0, -1.0, 2.0, 5.0])
@pytest.mark.parametrize("xi", [0.0, 0.7, -3.0])
def test_the_compiled_sample_is_that_of_torch_in_double_precision(mean, log_std, xi):
    # Sums of fewer than ten terms, each off by a few roundings of its size; the largest is 2 |u|, below 164.
    # `(1 - e) / (1 + e)` is off by two roundings of 1.
    head = torch.tensor([[[mean, -mean, log_std, -1.0]]], dtype=torch.float64)
    noise = torch.tensor([[[xi, 0.4]]], dtype=torch.float64)
    mine, theirs = fused_kernels.sample(head, noise), tanh_gaussian.sample(head, noise)
    torch.testing.assert_close(mine.action, theirs.action, rtol=0, atol=4 * 2.0**-53)
    torch.testing.assert_close(mine.log_pi, theirs.log_pi, rtol=0, atol=1e-12)
    torch.testing.assert_close(mine.pushed, theirs.pushed, rtol=4 * 2.0**-53, atol=0)
    assert torch.equal(mine.inside.bool(), theirs.inside)


def test_nan_in_a_head_is_nan_in_the_sample():
    head, noise = torch.zeros(1, 2, 2), torch.zeros(1, 2, 1)
    head[0, 0, 0] = head[0, 1, 1] = math.nan
    found = fused_kernels.sample(head, noise)
    assert found.log_pi.isnan().all()
    assert found.action.isnan().all()
