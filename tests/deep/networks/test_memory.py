"""Memory that passes share: nothing of one pass is left in another's numbers, and what is kept is little."""

import pytest
import torch

from tests.deep.networks.test_network import drawn, normal
from tests.support.deep import default_dtype
from virel_deep.networks import masked
from virel_deep.networks.masked import LARGE, MaskedStorage
from virel_deep.networks.memory import SCRATCH, Passing, Scratch, TensorStorage
from virel_deep.networks.network import Network
from virel_deep.networks.stacks import cpu_products


def gradients(network, x, slope):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((network.differentiable(x) * slope).sum(), [x, network.parameters])


def test_passes_of_many_sizes_and_types_give_the_bits_of_passes_alone():
    """The memory grows in between, is used by other networks, and by another number type."""
    sizes = [(7, torch.float64), (300, torch.float64), (5, torch.float32), (40, torch.float64)]
    alone, mixed, networks = [], [], {}
    for rows, dtype in sizes:
        with default_dtype(dtype):
            network, slope = drawn(), normal(3, 2, rows, 2, seed=1)
            networks[rows] = network
            alone.append((*gradients(network, normal(3, rows, 5), slope), network(normal(3, rows, 5))))
    for _ in range(2):
        for rows, dtype in reversed(sizes):
            with default_dtype(dtype):
                network, x, slope = networks[rows], normal(3, rows, 5), normal(3, 2, rows, 2, seed=1)
                mixed.append((*gradients(network, x, slope), network(x)))
    for one, other in zip([*alone, *alone], [*reversed(mixed[:4]), *reversed(mixed[4:])], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_pass_between_another_and_its_gradient_leaves_it_alone():
    with default_dtype(torch.float64):
        network, other, x, slope = drawn(), drawn(2, 1, (4, 11, 8, 3)), normal(3, 7, 5), normal(3, 2, 7, 2)
        wanted = gradients(network, x, slope)
        leaf = x.clone().requires_grad_()
        out = network.differentiable(leaf)
        gradients(other, normal(2, 50, 4), normal(2, 1, 50, 3))
        network(normal(3, 60, 5))
        found = torch.autograd.grad((out * slope).sum(), [leaf, network.parameters])
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_pass_without_a_gradient_keeps_nothing_and_one_with_keeps_its_layers_inputs():
    network = drawn()
    network(normal(3, 50, 5))
    assert [storage.read for storage in network._kept.values()] == [[]]
    storage = network.traced(normal(3, 50, 5))._storage
    assert [one.all.shape[2] for one in storage.read] == [5, 9, 6]


def test_the_shared_memory_is_as_large_as_the_largest_stack():
    scratch, dtype = Scratch(), torch.float32
    for rows in (10, 1000, 100):
        stack = scratch.stack(0, (2, rows, 3), dtype)
        assert stack.all.shape == (2, rows, 3)
        assert all(one.data_ptr() % 64 == 0 for one in stack.each)
    assert [place.numel() for place in scratch.places(dtype)] == [2 * 3008, 0]


@pytest.mark.parametrize("engine", ["torch", "numpy"])
@pytest.mark.parametrize(("seeds", "heads"), [(1, 1), (2, 2), (2, 4)])
def test_a_large_pass_with_fixed_parameters_has_the_bits_of_one_that_keeps_its_layers(engine, seeds, heads):
    """A unit that is off, one that is NaN, and a slope of minus 0 included."""
    network = drawn(seeds, heads, (5, 24, 16, 2))
    network.layers[0].weight[0, 0, 0] = torch.nan
    x, slope = normal(seeds, 90, 5), normal(seeds, heads, 90, 2)
    slope[:, :, ::7] = -0.0
    plain, masked = TensorStorage(network._read, 90, 90), MaskedStorage(network._read, 90)
    found = []
    with cpu_products(engine):
        for storage in (plain, masked, masked):
            out = storage.forward(x)
            found.append((out, storage.backward(slope, parameters=False, inputs=slice(1, 5))))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert torch.equal(a.view(torch.int32), b.contiguous().view(torch.int32))


def chosen_rows(seeds, heads, rows):
    """Slopes of which each row has one head's alone, as the smaller of the heads' outputs gives them."""
    slope = normal(seeds, heads, rows, 1)
    head = torch.arange(rows) * torch.arange(1, seeds + 1)[:, None] // 2 % heads
    return slope * (torch.arange(heads)[:, None] == head[:, None])[..., None]


@pytest.mark.parametrize("engine", ["torch", "numpy"])
@pytest.mark.parametrize("heads", [2, 4])
def test_a_row_without_a_slope_is_left_out_and_nothing_else_changes(engine, heads, monkeypatch):
    """Rounding of sums of at most 24 terms near 1, three layers: some 1e-14 in float64, here 1e-12."""
    multiplied = []
    real = masked.product
    monkeypatch.setattr(
        masked, "product", lambda a, b, out: (multiplied.append(out.all), real(a, b, out=out))
    )
    with default_dtype(torch.float64), cpu_products(engine):
        network = drawn(2, heads, (5, 24, 16, 1))
        x, slope = normal(2, 90, 5), chosen_rows(2, heads, 90)
        slope[1, 0] = 0.0  # a head that no row chose
        plain, few = TensorStorage(network._read, 90, 90), MaskedStorage(network._read, 90)
        for storage in (plain, few):
            storage.forward(x)
        wanted = plain.backward(slope, parameters=False, inputs=slice(1, 5))
        for _ in range(2):
            found = few.backward(slope, parameters=False, inputs=slice(1, 5))
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
        assert not found[1][(slope[1] == 0).all(0).squeeze(-1)].any()
    assert sum(out.numel() for out in multiplied) == 2 * int((slope != 0).sum()) * (16 + 24 + 4)


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_seeds_with_other_rows_chosen_have_the_bits_of_a_seed_alone(engine):
    seeds, heads, rows = 3, 2, 90
    together, x, slope = (
        drawn(seeds, heads, (5, 24, 16, 1)),
        normal(seeds, rows, 5),
        chosen_rows(seeds, heads, rows),
    )
    with cpu_products(engine):
        storage = MaskedStorage(together._read, rows)
        storage.forward(x)
        found = storage.backward(slope, parameters=False, inputs=slice(1, 5)).clone()
        for k in range(seeds):
            alone = Network(1, heads, (5, 24, 16, 1), device=x.device)
            for name, block in alone.seed_blocks(alone.flat, 0).items():
                block.copy_(together.seed_blocks(together.flat, k)[name])
            storage = MaskedStorage(alone._read, rows)
            storage.forward(x[k : k + 1])
            mine = storage.backward(slope[k : k + 1], parameters=False, inputs=slice(1, 5))
            assert torch.equal(mine[0], found[k])


def test_large_passes_take_masks_and_small_ones_and_those_that_learn_do_not():
    network = drawn(1, 1, (5, 24, 16, 2))
    few, many = LARGE // 24, LARGE // 24 + 1
    kinds = {(rows, fixed): type(network.take(rows, fixed=fixed)) for rows in (few, many) for fixed in (0, 1)}
    assert kinds.pop((many, 1)) is MaskedStorage
    assert set(kinds.values()) == {TensorStorage}


def test_all_layers_lie_in_the_shared_memory_even_those_before_a_larger_one():
    passing = Passing([(1, 10, 3), (1, 10, 50), (1, 10, 40), (1, 10, 2)], torch.empty(0, dtype=torch.float16))
    stacks, places = passing(), SCRATCH.places(torch.float16)
    assert [stack.all.data_ptr() for stack in stacks] == [places[i % 2].data_ptr() for i in range(4)]
    assert passing() is stacks
