"""A network's pass as autograd sees it: against torch modules, several alive at once, wrong use refused."""

import pytest
import torch

from tests.deep.networks.test_network import (
    assert_near,
    drawn,
    modules,
    normal,
    plain_gradients,
    plain_outputs,
)
from tests.support.deep import default_dtype

K, C, B, N_IN, N_OUT = 3, 2, 7, 5, 2


@pytest.fixture(autouse=True)
def double():
    with default_dtype(torch.float64):
        yield


def inputs(seed=0):
    return normal(K, B, N_IN, seed=seed).requires_grad_()


@pytest.mark.parametrize(("seeds", "heads"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_both_gradients_are_those_of_torch_modules(seeds, heads):
    network, x = drawn(seeds, heads), normal(seeds, B, N_IN).requires_grad_()
    nets, same_x = modules(network), x.detach().clone().requires_grad_()
    loss = (network.differentiable(x).square() * normal(seeds, heads, B, N_OUT, seed=1)).sum()
    plain = (plain_outputs(nets, same_x).square() * normal(seeds, heads, B, N_OUT, seed=1)).sum()
    assert_near(loss, plain)
    by_x, by_parameters = torch.autograd.grad(loss, [x, network.parameters])
    theirs = plain_gradients(nets, plain)
    assert_near(by_x, same_x.grad)
    for k in range(seeds):
        for name, block in network.seed_blocks(by_parameters, k).items():
            assert_near(block, theirs[k][name])
            assert block.abs().max() > 1e-3, name


def test_the_gradient_by_inputs_is_the_difference_quotient():
    # Central differences with h = 1e-6 of functions that are linear between kinks: off by rounding, 1e-16 / h
    # times values below 10, where no kink lies within h (none does for these inputs).
    network, x, slope, h = drawn(), inputs(), normal(K, C, B, N_OUT, seed=1), 1e-6
    [by_x] = torch.autograd.grad((network.differentiable(x, fixed=True) * slope).sum(), [x])
    for column in range(N_IN):
        step = torch.zeros(N_IN)
        step[column] = h
        above, below = (network(x.detach() + sign * step) for sign in (1, -1))
        quotient = ((above - below) * slope).sum((1, 3)) / (2 * h)
        torch.testing.assert_close(by_x[..., column], quotient, rtol=0, atol=1e-7)
    assert by_x.abs().max() > 1e-2


def test_several_passes_are_alive_at_once_and_their_gradients_add_up():
    network = drawn()
    first, second = inputs(0), inputs(1)
    one, two = network.differentiable(first), network.differentiable(second)
    chained = network.differentiable(torch.cat((one.mean(1), second[..., :3]), dim=-1))  # a pass of a pass
    together = torch.autograd.grad((one * two).sum() + chained.sum(), [first, second, network.parameters])
    nets = modules(network)
    x, y = (z.detach().clone().requires_grad_() for z in (first, second))
    one, two = plain_outputs(nets, x), plain_outputs(nets, y)
    chained = plain_outputs(nets, torch.cat((one.mean(1), y[..., :3]), dim=-1))
    theirs = plain_gradients(nets, (one * two).sum() + chained.sum())
    assert_near(together[0], x.grad)
    assert_near(together[1], y.grad)
    for k in range(K):
        for name, block in network.seed_blocks(together[2], k).items():
            assert_near(block, theirs[k][name])


def test_a_pass_may_be_dropped_and_storage_is_used_again():
    network = drawn()
    network.differentiable(inputs())
    for seed in range(3):
        torch.autograd.grad(network.differentiable(inputs(seed)).sum(), [network.parameters])
    assert [len(free) for free in network._free.values()] == [1]


def test_fixed_parameters_have_no_gradient_and_nothing_needs_one_without_grad():
    network, x = drawn(), inputs()
    fixed = network.differentiable(x, fixed=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(fixed.sum(), [network.parameters])
    assert not network.differentiable(x.detach(), fixed=True).requires_grad
    with torch.no_grad():
        assert not network.differentiable(x).requires_grad
        assert torch.equal(network.differentiable(x), network(x.detach()))


def test_a_second_gradient_of_a_pass_is_refused():
    network = drawn()
    loss = network.differentiable(inputs()).sum()
    torch.autograd.grad(loss, [network.parameters], retain_graph=True)
    with pytest.raises(RuntimeError, match="a pass of a network has one gradient"):
        torch.autograd.grad(loss, [network.parameters])


def test_a_gradient_of_a_gradient_is_refused():
    network, x = drawn(), inputs()
    slope = normal(K, C, B, N_OUT, seed=1).requires_grad_()
    [by_x] = torch.autograd.grad((network.differentiable(x) * slope).sum(), [x], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        by_x.sum().backward()


@pytest.mark.parametrize("how", ["optimiser", "target average", "loaded blocks"])
def test_a_gradient_after_the_parameters_changed_is_refused(how):
    with default_dtype(torch.float32):
        network = drawn()
        x = normal(K, B, N_IN).float()
        loss = network.differentiable(x).sum()
        if how == "optimiser":
            from virel_deep.networks.optimiser import Adam  # noqa: PLC0415

            Adam(network.flat, 1e-3).descend(torch.ones_like(network.flat))
        elif how == "target average":
            network.flat.lerp_(torch.ones_like(network.flat), 0.1)
        else:
            network.seed_blocks(network.flat, 1)["0.bias"].copy_(torch.ones(()))
        with pytest.raises(RuntimeError, match="parameters changed after this pass"):
            torch.autograd.grad(loss, [network.parameters])
