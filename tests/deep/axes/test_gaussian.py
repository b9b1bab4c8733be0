"""Gaussians before the tanh: densities and divergences against torch.distributions, and tiny steps."""

import mpmath
import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from tests.support.deep import default_dtype
from virel_deep.axes.gaussian import (
    Gaussian,
    decoupled_likelihood,
    kl_by_mean,
    kl_by_spread,
    kl_parts,
    kl_parts_apart,
    likelihood,
    log_density,
    moments,
)


def pair(seed=0, states=30, n_action=3):
    rng = torch.Generator().manual_seed(seed)
    one, other, three, four = torch.randn(4, states, n_action, generator=rng, dtype=torch.float64)
    return Gaussian(one, 0.3 * three), Gaussian(other, 0.3 * four)


def independent(of):
    return Independent(Normal(of.mean, of.log_std.exp()), 1)


def test_densities_and_both_parts_of_the_divergence_are_those_of_torch():
    # Sums of 3 terms below 20: some roundings of 1.1e-16 x 20.
    p, q = pair()
    u = torch.randn(30, 3, dtype=torch.float64)
    torch.testing.assert_close(log_density(p, u), independent(p).log_prob(u), rtol=0, atol=1e-13)
    whole = kl_divergence(independent(p), independent(q))
    torch.testing.assert_close(kl_parts(p, q).sum(-1), whole, rtol=0, atol=1e-13)
    for i, changed in enumerate((Gaussian(q.mean, p.log_std), Gaussian(p.mean, q.log_std))):
        alone = kl_divergence(independent(p), independent(changed))
        torch.testing.assert_close(kl_parts_apart(p, q)[..., i], alone, rtol=0, atol=1e-13)


def test_the_divergence_of_squashed_gaussians_is_that_of_the_gaussians():
    # Statement 17: E_p[log p(a) - log q(a)] over actions, by trapezoids in u, whose error is far below.
    with default_dtype(torch.float64):
        p, q = (
            Gaussian(torch.tensor([0.4]), torch.tensor([-0.2])),
            Gaussian(torch.tensor([-0.3]), torch.tensor([0.1])),
        )
        u = torch.linspace(-12, 12, 400_001)[:, None]
        slope = 1 - u.tanh().square()
        of_p, of_q = ((log_density(one, u).exp() / slope[:, 0]).log() for one in (p, q))
        inside = slope[:, 0] > 1e-9
        integrand = torch.where(inside, log_density(p, u).exp() * (of_p - of_q), 0.0)
        found = torch.trapezoid(integrand, u[:, 0])
    assert found.item() == pytest.approx(kl_parts(p, q).sum().item(), abs=1e-9)


@pytest.mark.parametrize("step", [1e-4, -1e-4, 1e-3, -3e-2, 1.0])
def test_a_tiny_change_of_spread_keeps_its_digits_in_single_precision(step):
    # The printed form loses everything below 1e-7; RERPI's bound is 1e-6.
    found = kl_by_spread(torch.tensor([step]), torch.tensor([0.0])).item()
    d = mpmath.mpf(float(torch.tensor(step)))
    exact = (mpmath.exp(2 * d) - 1 - 2 * d) / 2
    # expm1 and the difference are exact to a rounding each, of 2 |d| and of the divergence.
    assert abs(found - float(exact)) <= 2**-23 * (2 * abs(step) + float(exact))
    if abs(step) == 1e-4:
        printed = 0.5 * (torch.tensor(2 * step).exp() - 1 - 2 * torch.tensor(step)).item()
        assert abs(printed - float(exact)) > 0.1 * float(exact) > 10 * abs(found - float(exact))


def test_which_gradients_reach_mean_and_spread():
    p, q = pair()
    for parts, reaches in ((kl_parts, True), (kl_parts_apart, False)):
        new = Gaussian(*(x.clone().requires_grad_() for x in q))
        parts(p, new)[..., 0].sum().backward()
        assert (new.mean.grad != 0).all()
        assert (new.log_std.grad != 0).any() == reaches
    new = Gaussian(*(x.clone().requires_grad_() for x in q))
    kl_parts_apart(p, new)[..., 1].sum().backward()
    assert (new.mean.grad == 0).all()
    assert (new.log_std.grad != 0).all()


def test_at_the_old_policy_no_divergence_has_a_gradient():
    # A user's question (rlax#118): a trust region around the present policy itself holds nothing back.
    p, _ = pair()
    for parts in (kl_parts, kl_parts_apart):
        new = Gaussian(*(x.clone().requires_grad_() for x in p))
        parts(p, new).sum().backward()
        assert (new.mean.grad == 0).all()
        assert (new.log_std.grad == 0).all()


def test_likelihoods_by_hand_and_where_the_decoupled_one_differs():
    q = Gaussian(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    old = Gaussian(torch.tensor([[0.0]]), torch.tensor([[0.0]]))
    u, weight = torch.tensor([[[2.0], [0.0]]]), torch.tensor([[0.25, 0.75]])
    constant = -0.9189385
    assert likelihood(q, moments(u, weight)).item() == pytest.approx(constant - 0.5 * (0.25 + 0.75))
    by_mean, by_spread = constant - 0.5, constant - 0.5 * 0.25 * 4
    assert decoupled_likelihood(q, old, moments(u, weight)).item() == pytest.approx(by_mean + by_spread)


def test_a_likelihood_by_moments_is_the_weighted_sum_of_log_densities():
    q, _ = pair()
    rng = torch.Generator().manual_seed(1)
    u = 100 + torch.randn(30, 20, 3, generator=rng, dtype=torch.float64)  # far from 0, where squares cancel
    weight = torch.rand(30, 20, generator=rng, dtype=torch.float64)
    weight[3] = 0  # a state without weight, as V-MPO has them
    of_each = independent(Gaussian(*(x[:, None] for x in q))).log_prob(u)
    torch.testing.assert_close(
        likelihood(q, moments(u, weight)), (weight * of_each).sum(-1), rtol=1e-13, atol=0
    )
    assert likelihood(q, moments(u, weight))[3] == 0


def test_the_joint_fit_has_a_smaller_variance_than_the_decoupled_one():
    # RERPI: weighted samples m + s xi around the old mean mu: joint s^2, decoupled s^2 + (m - mu)^2.
    rng = torch.Generator().manual_seed(0)
    u = (2 + 0.5 * torch.randn(1, 4000, 1, generator=rng, dtype=torch.float64)).requires_grad_(False)
    weight = torch.full((1, 4000), 1 / 4000, dtype=torch.float64)
    zero = torch.zeros(1, 1, dtype=torch.float64)
    m, s2 = u.mean(), u.var(unbiased=False)
    for log_variance, fit in (
        (s2.log(), lambda q: likelihood(q, moments(u, weight))),
        (
            (s2 + m.square()).log(),
            lambda q: decoupled_likelihood(q, Gaussian(zero, zero), moments(u, weight)),
        ),
    ):
        log_std = (log_variance / 2).view(1, 1).requires_grad_()
        mean = m.view(1, 1).clone().requires_grad_()
        gradients = torch.autograd.grad(fit(Gaussian(mean, log_std)).sum(), [mean, log_std])
        assert all(abs(x.item()) < 1e-12 for x in gradients)  # both are at their optimum


def test_divergence_by_mean_counts_in_standard_deviations():
    one, two = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 2.0])
    assert kl_by_mean(one, two, torch.tensor([0.0, 2.0]).log1p()).item() == pytest.approx(0.5 * (1 + 4 / 9))
