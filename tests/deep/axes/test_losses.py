"""Losses by hand numbers: values, gradients, what carries none."""

import pytest
import torch

from tests.support.deep import default_dtype
from virel_common.errors import InputError
from virel_deep.axes.losses import (
    dual_temperature_loss,
    penalty,
    policy_loss,
    q_loss,
    residual_error,
    state_value,
    td_target,
    v_loss,
)


@pytest.fixture(autouse=True)
def double():
    with default_dtype(torch.float64):
        yield


def tensor(*values, grad=False):
    return torch.tensor(values, requires_grad=grad)


def test_the_target_bootstraps_unless_the_episode_terminated():
    target = td_target(tensor(1.0, 1.0, -3.0), tensor(0.0, 1.0, 0.0), tensor(8.0, 8.0, 0.5), gamma=0.25)
    assert target.tolist() == [3.0, 1.0, -2.875]


def test_the_target_carries_no_gradient():
    v_next, reward = tensor(2.0, grad=True), tensor(1.0, grad=True)
    assert not td_target(reward, tensor(0.0), v_next, gamma=0.5).requires_grad


def test_the_residual_error_is_the_mean_square_over_batch_and_critics_for_each_seed():
    td_error = torch.tensor([[[1.0, 3.0], [0.0, 0.0]], [[2.0, 2.0], [2.0, -2.0]]], requires_grad=True)
    eps_omega = residual_error(td_error)  # no factor 1/2: (1 + 9 + 0 + 0) / 4 and 16 / 4
    assert eps_omega.tolist() == [2.5, 4.0]
    assert not eps_omega.requires_grad


def test_a_hard_state_value_is_q_and_a_soft_one_has_the_entropy():
    q, log_pi, alpha = tensor(1.0, 2.0, grad=True), tensor(-2.0, 4.0, grad=True), tensor(0.5)
    hard, soft = (state_value(q, log_pi, alpha, soft=soft) for soft in (False, True))
    assert hard.tolist() == [1.0, 2.0]
    assert soft.tolist() == [2.0, 0.0]
    assert not hard.requires_grad
    assert not soft.requires_grad


@pytest.mark.parametrize("loss", [q_loss, v_loss])
def test_value_losses_are_half_squares_whose_gradient_is_the_error(loss):
    value = tensor(1.0, -2.0, grad=True)
    of_each = loss(value, tensor(3.0, -3.0))
    assert of_each.tolist() == [2.0, 0.5]
    assert torch.autograd.grad(of_each.sum(), value)[0].tolist() == [-2.0, 1.0]


@pytest.mark.parametrize("loss", [q_loss, v_loss])
def test_a_target_with_a_gradient_is_refused(loss):
    with pytest.raises(InputError, match="`target` must not require grad"):
        loss(tensor(1.0, grad=True), tensor(1.0, grad=True))


def test_the_policy_loss_weighs_the_log_density_against_q():
    q, log_pi = tensor(5.0, 1.0, grad=True), tensor(-1.0, 2.0, grad=True)
    of_each = policy_loss(q, log_pi, tensor(0.5))
    assert of_each.tolist() == [-5.5, 0.0]
    by_q, by_log_pi = torch.autograd.grad(of_each.sum(), [q, log_pi])
    assert by_q.tolist() == [-1.0, -1.0]
    assert by_log_pi.tolist() == [0.5, 0.5]


def test_the_policy_loss_of_a_gaussian_has_its_minimum_where_the_entropy_balances_the_curvature():
    # Q(a) = -c a^2 / 2 and a = m + s xi, not squashed: E[alpha log pi - Q] = -alpha log s + c (m^2 + s^2) / 2
    # and a constant: stationary at m = 0, s = sqrt(alpha / c). xi = +-1 has the right moments: exact.
    alpha, curvature, xi = 0.3, 2.0, tensor(1.0, -1.0)
    m, s = torch.tensor(0.0, requires_grad=True), torch.tensor((alpha / curvature) ** 0.5, requires_grad=True)
    action = m + s * xi
    log_pi = -xi.square() / 2 - s.log()
    loss = policy_loss(-curvature * action.square() / 2, log_pi, torch.tensor(alpha)).mean()
    by_m, by_s = torch.autograd.grad(loss, [m, s])
    assert abs(by_m) < 1e-15  # values of order 1, a handful of roundings of 1.1e-16
    assert abs(by_s) < 2e-15


def test_the_penalty_is_a_mean_over_action_dimensions():
    mean, log_std = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, -4.0]])
    assert penalty(mean, log_std, mean_weight=0.5, log_std_weight=0.25).tolist() == [2.5 + 2.5]


def test_the_dual_loss_raises_the_temperature_where_entropy_lacks():
    # Entropies of 1 and 3 nats against a target of 4: log alpha must grow, at 3 and 1.
    log_alpha, log_pi = tensor(0.5, grad=True), tensor(-1.0, -3.0, grad=True)
    loss = dual_temperature_loss(log_alpha, log_pi, target_entropy=4.0)
    assert loss.tolist() == [-1.5, -0.5]
    [gradient] = torch.autograd.grad(loss.sum(), log_alpha)
    assert gradient.tolist() == [-4.0]
    assert log_pi.grad is None
