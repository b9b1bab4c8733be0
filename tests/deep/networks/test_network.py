"""Stacked perceptrons against `torch.nn` in float64, their layout, and what must not mix."""

from itertools import pairwise

import pytest
import torch

from tests.support.deep import CPU, default_dtype
from tests.support.naive_agents import module
from virel_deep.networks.network import SIMD, Network
from virel_deep.networks.stacks import CACHE_LINE
from virel_deep.streams import generator

K, C, B, SIZES = 3, 2, 7, (5, 9, 6, 2)

# Outputs and gradients are sums of at most 5 x 9 x 6 x 7 = 1,890 products of values below 10, which two codes
# sum in different orders: off by less than 2 x 1,890 roundings of 1.1e-16 x 10^3 at worst, 5e-10.
TOLERANCE = 5e-10


@pytest.fixture(autouse=True)
def double():
    with default_dtype(torch.float64):
        yield


def drawn(seeds=K, heads=C, sizes=SIZES):
    network = Network(seeds, heads, sizes, device=CPU)
    network.initialise([generator(seed, "weights") for seed in range(seeds)])
    return network


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def modules(network):
    """`[K][C]` modules of torch.nn with the same weights."""
    blocks = [network.seed_blocks(network.flat, k) for k in range(network.seeds)]
    return [[module(of_seed, c) for c in range(network.heads)] for of_seed in blocks]


def plain_outputs(nets, x):
    return torch.stack([torch.stack([net(x[k]) for net in of_seed]) for k, of_seed in enumerate(nets)])


def plain_gradients(nets, loss):
    loss.backward()
    return [
        {
            f"{i}.{name}": torch.stack([gradient(net[2 * i], name) for net in of_seed])
            for i in range(len(SIZES) - 1)
            for name in ("weight", "bias")
        }
        for of_seed in nets
    ]


def gradient(linear, name):
    return linear.weight.grad.T if name == "weight" else linear.bias.grad[None]


def assert_near(mine, theirs):
    torch.testing.assert_close(mine, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("seeds", "heads"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_outputs_and_both_gradients_are_those_of_torch_modules(seeds, heads):
    network = drawn(seeds, heads)
    x, weights = normal(seeds, B, SIZES[0]), normal(seeds, heads, B, SIZES[-1], seed=1)
    nets, same_x = modules(network), x.clone().requires_grad_()
    traced = network.traced(x)
    plain = plain_outputs(nets, same_x)
    assert_near(traced.output, plain)
    assert torch.equal(network(x), traced.output)
    by_inputs = traced.by_inputs(weights, slice(1, 4))
    by_parameters = traced.by_parameters(weights)
    theirs = plain_gradients(nets, (plain * weights).sum())
    assert_near(by_inputs, same_x.grad[..., 1:4])
    for k in range(seeds):
        blocks = network.seed_blocks(by_parameters, k)
        assert blocks.keys() == theirs[k].keys()
        for name, block in blocks.items():
            assert_near(block, theirs[k][name])
            assert block.abs().max() > 1e-3, name


def test_a_gradient_of_the_first_rows_is_as_if_the_others_were_not_there():
    network, rows = drawn(), 3
    x, weights = normal(K, B, SIZES[0]), normal(K, C, rows, SIZES[-1], seed=1)
    traced, alone = network.traced(x, rows=rows), network.traced(x[:, :rows])
    assert_near(traced.by_inputs(weights, slice(SIZES[0])), alone.by_inputs(weights, slice(SIZES[0])))
    mine = traced.by_parameters(weights).clone()
    assert_near(mine, alone.by_parameters(weights))
    assert torch.equal(traced.output, network(x))  # all outputs are computed


def test_a_gradient_after_a_later_pass_of_the_same_sizes_is_refused():
    network, x = drawn(), normal(K, B, SIZES[0])
    first = network.traced(x)
    network(x)  # no trace, other storage
    network.traced(x[:, 1:])
    first.by_parameters(first.output)
    network.traced(x)
    with pytest.raises(AssertionError, match="a later pass"):
        first.by_parameters(first.output)


@pytest.mark.parametrize("hidden", [(9,), (9, 6), (9, 6, 8)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_gradient_of_the_chosen_heads_is_that_of_their_outputs(hidden, share):
    network, x = drawn(sizes=(5, *hidden, 1)), normal(K, B, 5)
    first = torch.rand(K, B, generator=torch.Generator().manual_seed(0)) < share
    chosen = torch.stack((first, ~first), dim=1)
    traced = network.traced(x)
    mine = traced.by_inputs_of_chosen(chosen, slice(2, 5))
    assert_near(mine, traced.by_inputs(chosen[..., None].double(), slice(2, 5)))
    assert mine.abs().max() > 1e-3


def test_outputs_are_not_overwritten_by_later_passes():
    network, x = drawn(), normal(K, B, SIZES[0])
    first = network(x)
    kept = first.clone()
    network(x + 1)
    assert torch.equal(first, kept)


@pytest.mark.parametrize("k", range(K))
@pytest.mark.parametrize("c", range(C))
def test_a_network_reads_its_own_block_and_no_other(k, c):
    network, x = drawn(), normal(K, B, SIZES[0])
    before = network(x)
    for block in network.seed_blocks(network.flat, k).values():
        block[c] += 1
    changed = (network(x) != before).flatten(start_dim=2).any(dim=2)
    assert changed.nonzero().tolist() == [[k, c]]


def test_the_blocks_of_all_seeds_are_all_parameters_once_and_the_rest_is_padding():
    network = drawn()
    count = torch.zeros_like(network.flat)
    for k in range(K):
        for block in network.seed_blocks(count, k).values():
            block.add_(1)
    parameters = K * C * sum((n_in + 1) * n_out for n_in, n_out in pairwise(SIZES))
    assert count.sum() == parameters
    assert count.max() == 1
    assert len(network.flat) % SIMD == 0
    assert torch.equal(network.flat[count == 0], torch.zeros(len(network.flat) - parameters))


def test_every_matrix_starts_on_a_cache_line():
    with default_dtype(torch.float32):
        network = drawn()
        for layer in (*network.layers, *network.views(network.gradient)):
            for block in layer:
                assert [one.data_ptr() % (4 * CACHE_LINE) for one in block] == [0] * (K * C)


def test_padding_has_no_gradient():
    network = drawn()
    network.gradient.fill_(0)
    traced = network.traced(normal(K, B, SIZES[0]))
    mine = traced.by_parameters(torch.ones_like(traced.output))
    used = torch.zeros_like(mine)
    for k in range(K):
        for block in network.seed_blocks(used, k).values():
            block.add_(1)
    assert mine[used == 0].abs().max() == 0


def test_initial_parameters_are_uniform_within_one_over_the_root_of_the_inputs():
    network = drawn(seeds=2, heads=2, sizes=(400, 300, 1))
    for layer, n_in in zip(network.layers, (400, 300), strict=True):
        bound = n_in**-0.5
        for block in layer:
            assert block.abs().max() <= bound
        weights = layer.weight.flatten()
        n = len(
            weights
        )  # at least 1,200; the mean's deviation is bound / sqrt(3 n), the square's about as small
        assert abs(weights.mean()) < 6 * bound / (3 * n) ** 0.5
        assert abs(weights.square().mean() / (bound**2 / 3) - 1) < 6 * (4 / 5 / n) ** 0.5
        assert weights.max() > 0.98 * bound
        assert weights.min() < -0.98 * bound


def test_initial_parameters_of_a_seed_do_not_depend_on_the_stack_and_its_heads_differ():
    stacked, alone = drawn(seeds=3), Network(1, C, SIZES, device=CPU)
    alone.initialise([generator(2, "weights")])
    mine, theirs = stacked.seed_blocks(stacked.flat, 2), alone.seed_blocks(alone.flat, 0)
    for name in theirs:
        assert torch.equal(mine[name], theirs[name])
        assert not torch.equal(mine[name][0], mine[name][1])
        assert not torch.equal(mine[name], stacked.seed_blocks(stacked.flat, 1)[name])
