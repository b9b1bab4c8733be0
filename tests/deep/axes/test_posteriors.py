"""Posteriors: log densities against torch.distributions and mpmath, gradients, clips."""

import math

import mpmath
import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from tests.support.deep import default_dtype
from virel_deep.axes.posterior.deterministic import deterministic, smoothed_target
from virel_deep.axes.posterior.tanh_gaussian import LOG_STD_RANGE, explore, split, tanh_gaussian

mpmath.mp.dps = 60

EXTREMES = [  # mean, log_std, noise: u = mean + exp(log_std) noise from -36 to 88, Gaussians narrow and wide
    (0.0, 0.0, 0.0),
    (30.0, -20.0, 1.5),
    (-30.0, -20.0, -3.0),
    (22.0, 2.0, 1.0),
    (-22.0, 2.0, -1.0),
    (9.5, -3.0, 0.25),
    (-10.5, -3.0, 0.25),
    (-11.0, 0.0, -0.5),
    (-17.0, 1.0, 4.0),
    (0.5, -20.0, 5.0),
    (1e-4, -5.0, 1e-3),
    (0.0, 2.0, 4.0),
    (88.0, 0.0, 1.0),
]


def head_of(mean, log_std):
    return torch.tensor([mean, log_std])


def exact(mean, log_std, noise):
    """Log density and its gradient in mean and log std, to 60 digits, from the change of variables."""
    m, s, xi = mpmath.mpf(mean), mpmath.exp(mpmath.mpf(log_std)), mpmath.mpf(noise)
    u = m + s * xi
    slope = 4 / (mpmath.exp(u) + mpmath.exp(-u)) ** 2  # d tanh(u) / du, without a difference
    density = mpmath.exp(-((u - m) ** 2) / (2 * s**2)) / (s * mpmath.sqrt(2 * mpmath.pi))
    by_mean = 2 * mpmath.tanh(u)
    return mpmath.log(density / slope), by_mean, by_mean * s * xi - 1


@pytest.mark.parametrize("values", EXTREMES, ids=str)
@pytest.mark.parametrize(("dtype", "unit"), [(torch.float32, 2.0**-24), (torch.float64, 2.0**-53)])
def test_the_log_density_is_exact_to_rounding_for_extreme_arguments(values, dtype, unit):
    with default_dtype(dtype):
        head, noise = head_of(*values[:2]), torch.tensor([values[2]])
        action, log_pi = tanh_gaussian(head, noise)
    seen = (head[0].item(), head[1].item(), noise.item())  # the inputs as rounded to the type
    wanted, _, _ = exact(*seen)
    # Terms: noise^2 / 2, log_std, log sqrt(2 pi), 2 log 2, 2 u, 2 softplus(-2 u), each with few roundings,
    # and u itself, whose rounding counts twice (slope at most 2). 12 roundings of all their sizes together.
    u = seen[0] + math.exp(seen[1]) * seen[2]
    sizes = seen[2] ** 2 / 2 + abs(seen[1]) + 1 + 1.5 + 2 * abs(u) + max(-4 * u, 0) + 1.5
    spread = math.exp(seen[1]) * abs(seen[2]) * (1 + abs(seen[1]))  # exp(log_std) noise, in u
    assert abs(mpmath.mpf(log_pi.item()) - wanted) <= 12 * unit * (sizes + spread + 2 * abs(seen[0]))
    assert abs(action.item()) <= 1


@pytest.mark.parametrize("values", EXTREMES, ids=str)
def test_gradients_are_finite_and_exact_to_rounding_for_extreme_arguments(values):
    head = head_of(*values[:2]).requires_grad_()
    _, log_pi = tanh_gaussian(head, torch.tensor([values[2]]))
    [gradient] = torch.autograd.grad(log_pi.sum(), [head])
    _, by_mean, by_log_std = exact(*[torch.tensor(value).item() for value in values])
    pushed = math.exp(values[1]) * abs(values[2])
    # 4 roundings in u move tanh(u) by 4 x |u| (1 - tanh(u)^2) < 4 of them, and tanh rounds itself; all twice.
    assert abs(gradient[0].item() - by_mean) <= 16 * 2.0**-24
    assert abs(gradient[1].item() - by_log_std) <= 16 * 2.0**-24 * (1 + 2 * pushed)


def test_density_and_action_are_those_of_a_transformed_distribution():
    with default_dtype(torch.float64):
        rng = torch.Generator().manual_seed(0)
        head, noise = torch.randn(50, 6, generator=rng), torch.randn(50, 3, generator=rng)
        mean, std = head[:, :3], head[:, 3:].clamp_(max=0.5).exp()
        assert (mean + std * noise).abs().max() < 10  # beyond, torch's own softplus drops terms of 2e-9
        squashed = TransformedDistribution(Independent(Normal(mean, std), 1), [TanhTransform(cache_size=1)])
        theirs = squashed.transforms[0](mean + std * noise)
        action, log_pi = tanh_gaussian(head, noise)
        # Both are exact to rounding of terms below 100; a normal's density from u again loses a digit or two.
        torch.testing.assert_close(action, theirs, rtol=0, atol=1e-15)
        torch.testing.assert_close(log_pi, squashed.log_prob(theirs), rtol=0, atol=1e-12)


def test_the_density_over_actions_integrates_to_one():
    # Trapezoids in u of a density that is smooth, and below 1e-16 at both ends: error far below 1e-12.
    with default_dtype(torch.float64):
        noise = torch.linspace(-9, 9, 20_001)[:, None]
        head = torch.tensor([0.7, -0.3]).expand(len(noise), 2)
        _, log_pi = tanh_gaussian(head, noise)
        u = 0.7 + math.exp(-0.3) * noise[:, 0]
        integrand = log_pi.exp() * 4 / (u.exp() + (-u).exp()) ** 2  # pi(a) da = pi(a) (1 - tanh(u)^2) du
        total = torch.trapezoid(integrand, u).item()
    assert total == pytest.approx(1, abs=1e-12)


def test_the_closed_gradient_is_that_of_both_outputs():
    with default_dtype(torch.float64):
        rng = torch.Generator().manual_seed(1)
        head, noise = torch.randn(4, 3, 4, generator=rng), torch.randn(4, 3, 2, generator=rng)
        assert torch.autograd.gradcheck(lambda x: tanh_gaussian(x, noise), (head.requires_grad_(),))


@pytest.mark.parametrize(("log_std", "passes"), [(-25.0, 0), (-20.0, 1), (0.5, 1), (2.0, 1), (3.0, 0)])
def test_a_clamped_log_std_has_no_gradient(log_std, passes):
    head = head_of(0.3, log_std).requires_grad_()
    action, log_pi = tanh_gaussian(head, torch.tensor([0.7]))
    [gradient] = torch.autograd.grad(log_pi + action.sum(), [head])
    assert (gradient[1] != 0).item() == bool(passes)
    clamped = head_of(0.3, min(max(log_std, LOG_STD_RANGE[0]), LOG_STD_RANGE[1]))
    assert torch.equal(tanh_gaussian(clamped, torch.tensor([0.7]))[1], log_pi)


def test_a_sum_over_action_dimensions_is_the_joint_density():
    head, noise = torch.randn(2, 6), torch.randn(2, 3)
    mean, log_std = head.chunk(2, dim=-1)
    each = [
        tanh_gaussian(torch.stack((mean[:, i], log_std[:, i]), -1), noise[:, i : i + 1])[1] for i in range(3)
    ]
    torch.testing.assert_close(tanh_gaussian(head, noise)[1], sum(each), rtol=1e-5, atol=1e-5)


def test_split_gives_mean_and_clamped_log_std():
    mean, log_std = split(torch.tensor([1.0, -2.0, -30.0, 5.0]))
    assert mean.tolist() == [1.0, -2.0]
    assert log_std.tolist() == [-20.0, 2.0]


def test_acting_draws_the_action_of_an_update():
    # Log standard deviations on both sides of the clamp. In float64, |u| < 1.1 and tanh does not amplify:
    # exp, a product, a sum and tanh, each off by a rounding or two of 1.1e-16 x 1.1 in two libraries.
    rng = np.random.default_rng(0)
    mean, log_std = rng.uniform(-1, 1, (500, 2)), rng.uniform(-45, 23, (500, 2))
    head, noise = np.concatenate((mean, log_std), axis=-1), rng.uniform(-1e-2, 1e-2, (500, 2))
    acted, _ = tanh_gaussian(torch.from_numpy(head), torch.from_numpy(noise))
    np.testing.assert_allclose(explore(head, noise), acted, rtol=0, atol=2e-15)


def test_a_deterministic_action_is_the_squashed_output():
    assert deterministic(torch.tensor([0.0, 100.0, -100.0])).tolist() == [0.0, 1.0, -1.0]


def test_target_noise_is_clipped_before_and_the_action_after():
    action, noise = torch.tensor([0.0, 0.0, 0.9, -0.9]), torch.tensor([1.0, 4.0, 4.0, -1.0])
    smoothed = smoothed_target(action, noise, std=0.25, clip=0.5)
    assert smoothed.tolist() == [0.25, 0.5, 1.0, -1.0]
