"""Derivatives of losses written by hand, against autograd of the losses."""

import pytest
import torch

from tests.support.deep import default_dtype
from virel_deep.axes import losses
from virel_deep.axes.posterior import tanh_gaussian

K, B, A = 3, 7, 2

# Few products and sums of values below 100 in float64: off by far less than 1,000 roundings of 100.
TOLERANCE = 1e-11


@pytest.fixture(autouse=True)
def double():
    with default_dtype(torch.float64):
        yield


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_autograd(loss_of, *inputs):
    """Gradients of the sum over seeds of the means over a minibatch."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    return torch.autograd.grad(loss_of(*leaves).mean(-1).sum(), leaves)


def assert_near(mine, theirs):
    assert theirs.abs().max() > 1e-3
    torch.testing.assert_close(mine, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("loss", [losses.q_loss, losses.v_loss])
def test_that_of_the_squared_losses(loss):
    q, target = normal(K, 2, B, seed=0), normal(K, 1, B, seed=1)
    [theirs] = by_autograd(lambda x: loss(x, target), q)
    assert_near(losses.d_squared_loss(q, target), theirs)


@pytest.mark.parametrize("critics", [1, 2])
def test_that_of_the_smaller_critic_in_the_policy_loss(critics):
    q, log_pi, alpha = normal(K, critics, B, seed=0), normal(K, B, seed=1), normal(K, 1, seed=2)
    theirs = by_autograd(lambda x, y: losses.policy_loss(x.min(1).values, y, alpha), q, log_pi)
    assert_near(losses.d_smaller(q) * (-1 / B), theirs[0])
    assert_near((alpha / B).expand(K, B), theirs[1])


def test_that_of_the_penalty_which_a_clamped_log_std_does_not_have():
    head, noise = 20 * normal(K, B, 2 * A, seed=0), normal(K, B, A, seed=1)
    inside = tanh_gaussian.sample(head, noise).inside
    assert 0 < inside.sum() < inside.numel()

    def loss_of(x):
        return losses.penalty(*tanh_gaussian.split(x), mean_weight=0.3, log_std_weight=0.7)

    [theirs] = by_autograd(loss_of, head)
    assert_near(losses.d_penalty(head, inside, mean_weight=0.3, log_std_weight=0.7), theirs)


def test_that_of_the_dual_temperature():
    log_alpha, log_pi = normal(K, 1, seed=0), normal(K, B, seed=1)
    [theirs] = by_autograd(lambda x: losses.dual_temperature_loss(x, log_pi, target_entropy=-1.5), log_alpha)
    assert_near(losses.d_dual_temperature_loss(log_pi, target_entropy=-1.5), theirs[:, 0])
