"""Weights of the E-step, the dual of its budget, and the temperature that it moves."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from tests.support.deep import CPU, default_dtype, differing
from virel_deep.axes import value
from virel_deep.axes.budget import BudgetTemperature
from virel_deep.axes.dual import LEAST
from virel_deep.axes.tensors import Evaluated, Weighted
from virel_deep.axes.weights import d_budget, effective_samples, rank_weights, tempered_weights
from virel_deep.design.improvement import Budget, kept
from virel_theory import TabularMDP
from virel_theory.variational.algorithms.mpo import mpo

_RNG = np.random.default_rng(0)
RANDOM_MDP = (_RNG.dirichlet(np.ones(3), (3, 3)), _RNG.standard_normal((3, 3)))
"""Transition probabilities and rewards of 3 states and 3 actions."""


def values(n=20, states=50, seed=0):
    return torch.randn(states, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tempered(q, alpha, keep=1.0):
    """Weights of actions that were drawn from the prior, so that they are equal before."""
    return tempered_weights(torch.full_like(q, -math.log(q.shape[-1])), q, alpha, keep=keep)


def kl(q, alpha, keep=1.0):
    weights = tempered(q, torch.as_tensor(alpha, dtype=q.dtype).view(1), keep=keep)
    return (weights.log_weight.exp() * weights.log_ratio).sum(-1)


def dual(q, eta, epsilon):
    """g(eta) of Eq. (9), its inner expectation over the N actions: log-sum-exp minus log N (acme#104)."""
    inner = torch.logsumexp(q / eta, dim=-1) - math.log(q.shape[-1])
    return eta * epsilon + eta * inner.mean()


@pytest.mark.parametrize("alpha", [0.0, 1e-45, 1e-30])
@pytest.mark.parametrize("keep", [1.0, 0.75])
def test_without_temperature_the_actions_of_largest_value_share_the_weight_as_the_prior_has_them(alpha, keep):
    prior, q = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([5.0, 1e3, 1e3, -7.0])
    found = tempered_weights(prior.log(), q, torch.tensor([alpha]), keep=keep)
    weight = found.log_weight.exp()
    np.testing.assert_allclose(weight, [0.0, 0.4, 0.6, 0.0], rtol=1e-6)  # 3 roundings of 6e-8
    before = (prior / prior[:3].sum() if keep < 1 else prior)[1:3]
    ratio = (weight[1:3] / before).log()
    np.testing.assert_allclose(found.log_ratio[1:3], ratio, rtol=2e-6)
    np.testing.assert_allclose((weight * found.log_ratio).sum(), (weight[1:3] * ratio).sum(), rtol=2e-6)


def test_weights_by_hand():
    q, alpha = torch.tensor([0.0, math.log(2.0), math.log(5.0)]), torch.tensor([1.0])
    found = tempered(q, alpha)
    np.testing.assert_allclose(
        found.log_weight.exp(), [1 / 8, 2 / 8, 5 / 8], rtol=1e-6
    )  # 3 roundings of 6e-8
    np.testing.assert_allclose(found.log_ratio.exp(), [3 / 8, 6 / 8, 15 / 8], rtol=1e-6)


def test_values_of_any_size_give_finite_weights():
    q = torch.tensor([-1e30, 0.0, 1e30])
    found = tempered(q, torch.tensor([1e-3]))
    assert found.log_weight[2] == 0
    assert torch.equal(found.log_weight.exp(), torch.tensor([0.0, 0.0, 1.0]))
    equal = tempered(torch.full((4,), 1e30), torch.tensor([1e-3]))
    np.testing.assert_allclose(equal.log_ratio, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "keep", "n"),
    [(20, 1.0, 20), (20, 0.5, 10), (5, 0.5, 3), (5, 1e-9, 1), (1, 0.2, 1), (10, 0.3, 3)],
)
def test_the_share_that_is_kept_is_rounded_up(samples, keep, n):
    assert kept(samples, keep) == n
    found = tempered(values(samples), torch.tensor([1.0], dtype=torch.float64), keep=keep)
    assert ((found.log_weight.exp() > 0).sum(-1) == n).all()


def test_the_kept_actions_are_the_best_and_weigh_as_they_would_alone():
    q, alpha = values(6), torch.tensor([0.7], dtype=torch.float64)
    found, best = tempered(q, alpha, keep=0.5), q.sort(dim=-1).values[:, 3:]
    alone = tempered(best, alpha)
    for b in range(len(q)):
        chosen = found.log_weight[b].isfinite()
        assert set(q[b][chosen].tolist()) == set(best[b].tolist())
        assert (found.log_ratio[b][~chosen] == 0).all()  # so that a weight of 0 adds 0 to a divergence
    torch.testing.assert_close(kl(q, 0.7, keep=0.5), (alone.log_weight.exp() * alone.log_ratio).sum(-1))


@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_of_equal_values_exactly_the_share_is_kept(keep):
    found = tempered(torch.zeros(3, 10), torch.tensor([1.0]), keep=keep)
    assert ((found.log_weight.exp() > 0).sum(-1) == kept(10, keep)).all()


def test_the_slope_is_that_of_the_dual_that_is_printed():
    q, eta = values(), torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    for epsilon in (0.01, 0.1, 1.0):
        [slope] = torch.autograd.grad(dual(q, eta, epsilon), eta)
        found = d_budget(kl(q, eta.item()).mean(), epsilon=epsilon)
        assert found.item() == pytest.approx(slope.item(), rel=0, abs=1e-14)  # 50 x 20 terms of order 1


def test_the_dual_is_not_doubled_nor_is_the_policy_multiplied_again():
    # g has log mean exp(Q / eta) over actions of pi. Multiplied by pi again, as acme#104 proposes, or with
    # weights that sum to 2, the slope at a large eta would not be the budget.
    q = values()
    assert (
        tempered(q, torch.tensor([0.5], dtype=torch.float64))
        .log_weight.exp()
        .sum(-1)
        .allclose(torch.ones(50, dtype=torch.float64))
    )
    assert kl(q, 1e9).abs().max() < 1e-9
    assert d_budget(kl(q, 1e9).mean(), epsilon=0.1).item() == pytest.approx(0.1, rel=1e-6)


def test_enumerated_actions_have_the_weights_and_the_divergence_of_exact_mpo():
    # Exact iterates of virel_theory, of which these are the deep E-step on enumerated actions: six steps, the
    # temperature given or the root of the budget, found here by the deep dual's slope.
    mdp = TabularMDP(*RANDOM_MDP, 0.9)
    for settings in ({"eta": 0.7}, {"epsilon": 0.05}):
        prior, epsilon = np.full((3, 3), 1 / 3), settings.get("epsilon")
        for step, _ in zip(mpo(mdp, **settings), range(6), strict=False):
            log_prior, q = torch.tensor(prior).log(), torch.tensor(step.q)

            def slope(eta, log_prior=log_prior, q=q, epsilon=epsilon):
                found = tempered_weights(log_prior, q, torch.tensor([eta], dtype=torch.float64))
                spent = (found.log_weight.exp() * found.log_ratio).sum(-1).mean()
                return d_budget(spent, epsilon=epsilon).item()

            eta = settings.get("eta") or brentq(slope, 1e-3, 1e3, xtol=1e-14, rtol=1e-14)
            # brentq stops within 2e-14 of a root that is well conditioned here; exact MPO within rounding.
            assert eta == pytest.approx(step.temperature, rel=1e-10)
            found = tempered_weights(log_prior, q, torch.tensor([eta], dtype=torch.float64))
            np.testing.assert_allclose(found.log_weight.exp(), step.posterior, rtol=0, atol=1e-9)
            spent = (found.log_weight.exp() * found.log_ratio).sum(-1).mean()
            assert spent.item() == pytest.approx(step.kl, abs=1e-9)
            prior = step.policy


@pytest.mark.parametrize("steps", [1, 4])
def test_dual_steps_lead_to_the_root_of_the_budget(steps):
    q, epsilon = values()[None], 0.1
    root = brentq(lambda eta: float(kl(q[0], eta).mean()) - epsilon, 1e-2, 1e2)
    with default_dtype(torch.float64):
        temperature = BudgetTemperature(Budget(epsilon=epsilon, steps=steps), 1, device=CPU)
        for _ in range(700):  # from 10 to the root are 300 steps of 1 %
            temperature.tune(kl(q[0], temperature.alpha.item())[None])
        report = temperature.report(kl(q[0], temperature.alpha.item()).mean()[None])
    # Adam with steps of 1 % hovers within 2 steps of the root, where the slope of the divergence is about 2.
    assert abs(math.log(temperature.alpha.item() / root)) < 0.02
    assert abs(report["dual_residual"].item()) < 0.01
    assert report["kl"].item() == pytest.approx(epsilon, abs=0.01)
    assert temperature.steps == steps


def test_a_budget_that_no_weights_can_spend_ends_at_the_least_temperature():
    # N samples cannot be further than log N from equal weights (statement 9): eta falls, and is projected.
    temperature = BudgetTemperature(Budget(epsilon=5.0, rate=0.5), 2, device=CPU)
    for _ in range(300):
        temperature.tune(torch.full((2, 3), math.log(4)))
    np.testing.assert_allclose(temperature.alpha, LEAST, rtol=1e-5)
    assert (temperature.dual.raw[2:] == 0).all()


def test_a_seed_of_a_budget_is_restored_with_its_moments():
    one, other = (BudgetTemperature(Budget(), 2, device=CPU) for _ in range(2))
    for _ in range(3):
        one.tune(torch.rand(2, 5, generator=torch.Generator().manual_seed(0)))
    for k in (0, 1):
        other.load_seed_state(k, one.seed_state(k))
    for temperature in (one, other):
        temperature.tune(torch.full((2, 5), 0.3))
    assert [differing(one.seed_state(k), other.seed_state(k)) for k in (0, 1)] == [[], []]


def test_the_effective_number_of_samples_is_between_one_and_all():
    log_weight = torch.tensor([[0.25] * 4, [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]).log()
    assert effective_samples(log_weight).tolist() == [4.0, 1.0, 2.0]


def test_ranks_change_the_density_as_they_change_the_weight():
    generator = torch.Generator().manual_seed(4)
    log_prior = torch.randn(7, 5, generator=generator, dtype=torch.float64).log_softmax(-1)
    found = rank_weights(log_prior, torch.randn(7, 5, generator=generator, dtype=torch.float64))
    assert found.log_ratio.abs().max() > 0.1
    torch.testing.assert_close(found.log_ratio, found.log_weight - log_prior, rtol=0, atol=0)


def test_the_effective_number_of_an_optimal_value_is_that_of_its_terms():
    """Terms w_n = exp(Q_n / alpha) prior(a_n) / pi(a_n), actions from pi: (sum w)^2 / sum w^2, by numpy."""
    rng = np.random.default_rng(8)
    q, log_pi, log_prior = (rng.normal(size=(2, 3, 4)) for _ in range(3))
    alpha = np.array([0.5, 2.0])
    w = np.exp(q / alpha[:, None, None] + log_prior - log_pi)
    expected = (w.sum(-1) ** 2 / (w**2).sum(-1)).mean(-1)
    even = torch.full((2, 3, 4), 0.25, dtype=torch.float64).log()
    actions = Weighted(torch.zeros(2, 3, 4, 1), even, torch.tensor(log_pi), torch.tensor(log_prior))
    of = Evaluated(torch.zeros(2, 3, 1), actions, torch.tensor(q))
    found = value._effective(of, torch.tensor(alpha)[:, None])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
