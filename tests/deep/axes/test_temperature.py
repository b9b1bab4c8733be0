"""Temperatures: constant, none, residual with its smoothing, dual with its first steps; states."""

import math

import pytest
import torch

from tests.support.deep import CPU, algorithm_of, differing
from virel_deep.axes.build import build
from virel_deep.axes.temperature import DualTemperature
from virel_deep.networks.network import SIMD

LEARNING_RATE = 3e-4


def state_of(preset, seeds=2, n_action=3, **settings):
    algorithm = algorithm_of(preset, hidden=(4,), **settings)
    return build(algorithm, 2, n_action, seeds=seeds, device=CPU).temperature


@pytest.mark.parametrize(
    ("preset", "settings", "alpha"),
    [
        ("virel", {}, 1.0),
        ("virel", {"temperature.alpha": 0.25}, 0.25),
        ("td3", {}, 0.0),
        ("sac", {}, 1.0),
        ("sac", {"temperature.initial": 1.0}, 1.0),
    ],
)
def test_the_first_temperature_is_the_constant_none_or_where_tuning_starts(preset, settings, alpha):
    assert state_of(preset, **settings).alpha.tolist() == [[alpha], [alpha]]


def test_a_residual_temperature_is_lambda_times_the_error_of_each_seed():
    temperature = state_of("beta", **{"temperature.scale": 0.5})
    assert temperature.alpha.tolist() == [[0.0], [0.0]]
    temperature.observe_residual(torch.tensor([4.0, 10.0]), first=True)
    assert temperature.alpha.tolist() == [[2.0], [5.0]]
    temperature.observe_residual(torch.tensor([1.0, 0.0]), first=False)
    assert temperature.alpha.tolist() == [[0.5], [0.0]]


def test_lambda_follows_the_average_size_of_a_reward_with_weight_gamma_of_the_old_one():
    temperature = state_of("beta", gamma=0.5, **{"temperature.scale": "auto"})
    assert temperature.alpha.tolist() == [[0.0], [0.0]]
    temperature.observe_reward(torch.tensor([[2.0, -4.0], [0.0, 0.0]]), first=True)
    temperature.observe_residual(torch.tensor([6.0, 5.0]), first=True)
    assert temperature.alpha.tolist() == [[0.5 / 3 * 6], [0.0]]  # no reward yet: no temperature
    temperature.observe_reward(torch.ones(2, 2), first=False)
    assert temperature.average_reward.tolist() == [2.0, 0.5]
    assert temperature.alpha.tolist() == [[1.5], [5.0]]


def test_with_gamma_0_lambda_is_one_over_the_last_minibatch_average():
    temperature = state_of("beta", seeds=1, gamma=0.0, **{"temperature.scale": "auto"})
    for number, reward in enumerate([8.0, -2.0]):
        temperature.observe_reward(torch.full((1, 4), reward), first=number == 0)
    temperature.observe_residual(torch.tensor([3.0]), first=True)
    assert temperature.alpha.tolist() == [[1.5]]


def test_a_running_average_reward_goes_on_from_its_state_in_another_stack():
    first, other = (state_of("beta", seeds=n, **{"temperature.scale": "auto"}) for n in (2, 1))
    first.observe_reward(torch.tensor([[1.0, 2.0], [0.3, -7.0]]), first=True)
    first.observe_residual(torch.tensor([1.0, 0.7]), first=True)
    other.load_seed_state(0, first.seed_state(1))
    reward = torch.tensor([[0.1, 0.2]])
    first.observe_reward(reward.expand(2, 2), first=False)
    other.observe_reward(reward, first=False)
    assert differing(other.seed_state(0), first.seed_state(1)) == []
    assert torch.equal(other.alpha[0], first.alpha[1])


def test_smoothing_keeps_its_share_of_the_old_error_but_not_of_the_zero_it_starts_from():
    temperature = state_of("beta", seeds=1, **{"temperature.smoothing": 0.75})
    seen = []
    for number, value in enumerate([8.0, 0.0, 4.0]):
        temperature.observe_residual(torch.tensor([value]), first=number == 0)
        seen.append(temperature.eps_omega.item())
    assert seen == [8.0, 6.0, 5.5]


@pytest.mark.parametrize(("target", "default"), [(None, -3.0), (-1.5, -1.5), (0.0, 0.0)])
def test_the_target_entropy_is_minus_the_action_dimensions_unless_given(target, default):
    assert state_of("sac", **{"temperature.target_entropy": target}).target_entropy == default


def test_the_first_tuning_step_is_one_learning_rate_towards_the_target_entropy_in_each_seed():
    # Entropies 5 and 1 against a target of 3. Adam's first step is lr g / (|g| + eps), g = -+2.
    temperature = state_of("sac", **{"temperature.target_entropy": 3.0})
    temperature.tune(torch.tensor([[-5.0, -5.0], [-1.0, -1.0]]))
    step = LEARNING_RATE * 2 / (2 + 1e-8)
    assert temperature.dual.raw[:2].tolist() == pytest.approx([-step, step], rel=1e-6)
    assert temperature.dual.raw[2:].abs().max() == 0
    assert temperature.alpha[:, 0].tolist() == pytest.approx([math.exp(-step), math.exp(step)], rel=1e-6)


def test_a_stack_of_more_seeds_than_a_whole_vector_has_a_temperature_for_each():
    # Parameters are padded to whole vectors, of which one seed more needs two.
    temperature = state_of("sac", seeds=SIMD + 1, **{"temperature.target_entropy": 3.0})
    above = torch.arange(SIMD + 1) % 2 == 0
    temperature.tune(torch.where(above, -5.0, -1.0)[:, None])
    step = LEARNING_RATE * 2 / (2 + 1e-8)
    assert temperature.alpha.log()[:, 0].tolist() == pytest.approx(
        [-step if up else step for up in above.tolist()], rel=1e-3
    )


@pytest.mark.parametrize("preset", ["virel", "beta", "td3"])
def test_tuning_leaves_other_temperatures_alone(preset):
    temperature = state_of(preset)
    before = temperature.alpha.clone()
    temperature.tune(torch.full((2, 4), 7.0))
    assert torch.equal(temperature.alpha, before)


@pytest.mark.parametrize("preset", ["virel", "beta", "sac", "td3"])
def test_a_seed_goes_on_from_its_state_at_another_place_of_another_stack(preset):
    def moved(temperature, times):
        for i in range(times):
            temperature.tune(torch.tensor([[0.5 * i, 1.0], [2.0, -7.0]])[: temperature.seeds])
            temperature.observe_residual(torch.tensor([3.0 + i, 0.1])[: temperature.seeds], first=i == 0)
        return temperature

    first = moved(state_of(preset), 3)
    other = moved(state_of(preset, seeds=1), 1)
    other.load_seed_state(0, first.seed_state(1))
    assert differing(other.seed_state(0), first.seed_state(1)) == []
    log_pi, eps_omega = torch.tensor([[0.3, 0.2]]), torch.tensor([0.7])
    first.tune(log_pi.expand(2, 2))
    first.observe_residual(eps_omega.expand(2), first=False)
    other.tune(log_pi)
    other.observe_residual(eps_omega, first=False)
    assert differing(other.seed_state(0), first.seed_state(1)) == []
    assert torch.equal(other.alpha[0], first.alpha[1])


def test_a_tuned_temperature_reports_how_far_the_divergence_is_above_its_budget():
    kl = torch.tensor([0.5, 2.0])
    told = {
        budget: DualTemperature(
            1.0, seeds=2, target_entropy=-0.75, learning_rate=1e-3, budget=budget, device=CPU
        ).report(kl)
        for budget in (True, False)
    }
    assert told[False] == {}
    assert told[True]["kl"].tolist() == [0.5, 2.0]
    assert told[True]["dual_residual"].tolist() == [-0.25, 1.25]
