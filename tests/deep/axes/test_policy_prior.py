"""Priors that are policies: proposals, densities of stored actions, the trust region and its prices."""

import math

import numpy as np
import pytest
import torch

from tests.support.deep import CPU, agent_of, algorithm_of, differing, feed, update_data
from virel_deep.axes.dual import LEAST
from virel_deep.axes.posterior.tanh_gaussian import behave, behave_uniformly, explore, split, tanh_gaussian
from virel_deep.axes.trust import TrustRegion
from virel_deep.design.improvement import Learned, Previous

SIZES = {"hidden": (24, 16), "data.batch": 12, "posterior.samples": 6, "value.steps": 3}


def learned(seeds=(0, 1), preset="mpo", **settings):
    return agent_of(algorithm_of(preset, **(SIZES | settings)), 5, 2, seeds)


def states(rows=7, seeds=2):
    return torch.randn(seeds, rows, 5, generator=torch.Generator().manual_seed(3))


def test_proposals_are_the_lagging_policy_s_own_actions_at_equal_weights():
    agent = learned()
    prior = agent.parts.prior
    agent.networks["policy"].flat.mul_(3.0)  # the online policy moves away from its lagging copy
    noise = torch.randn(2, 7, 6, 2, generator=torch.Generator().manual_seed(4))
    found = prior.propose(states(), noise)
    head = agent.targets["policy"](states()).squeeze(1)[:, :, None].expand(-1, -1, 6, -1)
    action, log_pi = tanh_gaussian(head, noise)
    torch.testing.assert_close(found.action, action)
    torch.testing.assert_close(found.log_prior, log_pi)
    torch.testing.assert_close(found.pre.tanh(), action)
    torch.testing.assert_close(found.log_weight.exp(), torch.full((2, 7, 6), 1 / 6))
    assert (found.log_ratio == 0).all()
    assert not found.action.requires_grad
    torch.testing.assert_close(prior.log_density(states(), found.action, found.pre), found.log_prior)


@pytest.mark.parametrize("preset", ["mpo", "mpo-parametric"])
def test_stored_densities_of_saturated_actions_are_exact(preset):
    # The action in float32 is +1 or -1; its value before the tanh tells which of many it was.
    settings = {"posterior.samples": 6} if preset == "mpo" else {}
    agent = agent_of(algorithm_of(preset, **{"hidden": (24, 16), **settings}), 5, 2, (0,))
    observation, noise = states(seeds=1), torch.randn(1, 7, 2, generator=torch.Generator().manual_seed(5))
    agent.policy.layers[-1].bias[..., :2] += torch.tensor([20.0, -15.0])
    agent.copy_targets()
    kept = agent.behave(observation.numpy(), noise.numpy())
    assert set(np.abs(kept.action).ravel()) == {1.0}
    found = agent.parts.posterior.log_likelihood(observation, torch.from_numpy(kept.pre))
    # Both are the density that the noise was drawn with; u near 20 holds the noise to 2^-24 x 20 x a few.
    np.testing.assert_allclose(found.numpy(), kept.log_density, rtol=0, atol=1e-4)


def test_behaviour_in_numpy_is_the_action_that_is_explored_with_its_density():
    rng = np.random.default_rng(0)
    head, noise = rng.standard_normal((50, 6)), rng.standard_normal((50, 3))
    kept = behave(head, noise)
    assert np.array_equal(kept.action, explore(head, noise))
    np.testing.assert_allclose(np.tanh(kept.pre), kept.action, rtol=0, atol=1e-15)
    mean, log_std = split(torch.from_numpy(head))
    density = torch.distributions.Normal(mean, log_std.exp()).log_prob(torch.from_numpy(kept.pre)).sum(-1)
    np.testing.assert_allclose(kept.log_density, density, rtol=0, atol=1e-13)


def test_uniform_actions_have_the_density_of_a_uniform_distribution_before_the_tanh():
    kept = behave_uniformly(np.array([[0.0, 0.5], [-1.0, 1.0]], np.float32))
    assert np.isfinite(kept.pre).all()
    assert kept.action.tolist() == [[0.0, 0.5], [-1.0, 1.0]]
    assert kept.log_density[0] == pytest.approx(math.log(0.75) - 2 * math.log(2))
    u = np.linspace(-12, 12, 100_001)
    of_all = behave_uniformly(np.tanh(u)[:, None])
    assert np.trapezoid(np.exp(of_all.log_density), u) == pytest.approx(1, abs=1e-8)


# --- trust region


def region(settings=Learned(trust_mean=0.1, trust_spread=1e-3), seeds=2):  # noqa: B008  (frozen)
    return TrustRegion(settings, seeds, device=CPU)


def test_a_price_times_a_divergence_is_added_for_each_bound():
    found = region().loss(torch.tensor([[[0.2, 0.001], [0.4, 0.003]], [[0.0, 0.0], [0.0, 0.0]]]))
    np.testing.assert_allclose(found.loss, [10 * 0.3 + 1000 * 0.002, 0], rtol=1e-5)
    np.testing.assert_allclose(found.kl, [[0.3, 0.002], [0, 0]], rtol=1e-6)


def test_a_price_rises_while_its_bound_is_broken_and_falls_while_it_is_not():
    trust = region()
    first = trust.prices
    report = trust.tune(torch.tensor([[0.2, 0.0], [0.05, 0.002]]))
    moved = trust.prices / first
    # Adam's first step is its step size, 1e-2 of the first value: the multipliers' own (tonic passed the
    # policy's optimiser there), whose step size is 5e-4. Adam's epsilon takes 1e-5 of a slope of 1e-3.
    np.testing.assert_allclose(moved - 1, [[0.01, -0.01], [-0.01, 0.01]], rtol=1e-3)
    assert list(report) == ["kl_mean", "kl_spread", "price_mean", "price_spread"] == list(trust.reports)
    np.testing.assert_allclose(report["price_spread"], [1000, 1000], rtol=1e-5)
    np.testing.assert_allclose(report["kl_mean"], [0.2, 0.05])


def test_a_price_cannot_run_away_and_comes_back_as_fast_as_it_rose():
    # A network whose own steps break the bound for 500 updates: on a logarithm the price would have risen by
    # e^5, and have needed thousands of updates to fall; then the spread of `rerpi` was frozen.
    trust = region(Learned(trust_spread=1e-6, price_spread=1000.0))
    for _ in range(500):
        trust.tune(torch.full((2, 2), 4e-6))
    high = trust.prices[0, 1].item()
    for _ in range(500):
        trust.tune(torch.full((2, 2), 0.0))
    assert high == pytest.approx(1000 * (1 + 500 * 0.01), rel=1e-2)
    assert trust.prices[0, 1].item() < 0.75 * high


def test_a_bound_of_none_costs_nothing_and_learns_nothing():
    trust = region(Previous(trust_spread=1e-3))
    assert trust.loss(torch.ones(2, 3, 2)).loss.tolist() == pytest.approx([1000.0, 1000.0], rel=1e-5)
    assert trust.tune(torch.ones(2, 2))["price_mean"].tolist() == [0.0, 0.0]
    assert set(trust.seed_state(0)) == {"spread"}
    assert region(Previous()).seed_state(0) == {}


def test_prices_never_reach_zero():
    trust = region(Learned(trust_mean=0.1, trust_spread=0.1, price_rate=1.0))
    for _ in range(60):
        trust.tune(torch.zeros(2, 2))
    np.testing.assert_allclose(trust.prices, LEAST, rtol=1e-4)


def test_a_seed_of_a_trust_region_is_restored_with_its_moments():
    one, other = region(), region()
    for _ in range(3):
        one.tune(torch.rand(2, 2, generator=torch.Generator().manual_seed(0)))
    for k in (0, 1):
        other.load_seed_state(k, one.seed_state(1 - k))
    for trust, order in ((one, [0, 1]), (other, [1, 0])):
        trust.tune(torch.tensor([[0.3, 0.1], [0.0, 0.2]])[order])
    assert [differing(one.seed_state(k), other.seed_state(1 - k)) for k in (0, 1)] == [[], []]


@pytest.mark.parametrize("preset", ["mpo", "rerpi", "mpo-parametric"])
def test_the_trust_region_needs_a_lagging_copy(preset):
    # A user's question (rlax#118): with a copy at every update the policy is never away from it, and nothing
    # is paid.
    settings = {"hidden": (24, 16), "data.batch": 12}
    for period, away in ((1, False), (4, True)):
        algorithm = algorithm_of(preset, **settings, target_period=period)
        agent = agent_of(algorithm, 5, 2)
        seen = []
        for one in update_data(algorithm, 5, 2, updates=4, seed=0):
            feed(agent, [one])
            seen.append(agent.report()[0])
        assert [row["kl_mean"] > 0 for row in seen] == [False, away, away, away]
        assert [row["kl_spread"] > 0 for row in seen] == [False, away, away, away]


def test_a_policy_with_a_kl_budget_moves_the_temperature_by_its_divergence():
    # The parametric form of the dual: the same slope, at the divergence from the policy's lagging copy.
    settings = {
        "hidden": (24, 16), "data.batch": 200, "value.steps": 2, "target_period": 5,
        "temperature": "budget", "temperature.epsilon": 1e-3,
        "prior.trust_mean": None, "prior.trust_spread": None,
    }  # fmt: skip
    algorithm = algorithm_of("mpo-parametric", **settings)
    agent = agent_of(algorithm, 5, 2)
    for i, one in enumerate(update_data(algorithm, 5, 2, updates=4, seed=0)):
        before = agent.temperature.alpha.item()
        feed(agent, [one])
        report, after = agent.report()[0], agent.temperature.alpha.item()
        assert report["temperature"] == before
        assert report["dual_residual"] == pytest.approx(report["kl"] - 1e-3, abs=1e-7)
        # One reparametrised action per state: the log densities, below 10, cancel within a few roundings of
        # 6e-8 at first; later the mean over 200 actions is unbiased, and may be negative.
        assert (abs(report["kl"]) < 3e-6) == (i == 0)
        if i == 0:
            assert after == pytest.approx(
                before * math.exp(-0.01), rel=1e-5
            )  # nothing of the budget is spent
