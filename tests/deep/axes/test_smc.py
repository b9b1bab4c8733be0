"""The particle planner by hand: weights, resampling, ends of episodes; and compiled, beside that."""

import math

import numpy as np
import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, feed, update_data
from virel_deep.axes.posterior import smc_weights
from virel_deep.axes.posterior.smc import uniform
from virel_deep.axes.posterior.smc_weights import Numbers, drawn, effective_number, plan, systematic
from virel_deep.axes.tensors import Stepped
from virel_deep.run.actors import make_actor

N = 8
SIZES = {"hidden": (12, 8), "data.batch": 20, "value.members": 3}
PLAN = {"posterior.particles": N, "posterior.steps": 3}


@pytest.fixture(scope="module")
def agent():
    agent = agent_of(algorithm_of("smcp", **SIZES, **PLAN), 3, 2, (0, 1))
    feed(agent, *[update_data(agent.algorithm, 3, 2, updates=10, seed=seed) for seed in (0, 1)])
    return agent


def numbers_of(agent, states=4):
    rng = torch.Generator().manual_seed(0)
    state = torch.randn(2, states, 3, generator=rng)
    noise = torch.randn(2, states, agent.acting.width, generator=rng)
    return state, agent.parts.posterior.numbers(noise)


def test_systematic_resampling_gives_each_particle_its_share_rounded_up_or_down():
    rng = torch.Generator().manual_seed(0)
    log_weight = 3 * torch.randn(200, N, generator=rng)
    ancestors = systematic(log_weight, torch.rand(200, generator=rng))
    counts = torch.stack([(ancestors == i).sum(-1) for i in range(N)], dim=-1)
    share = N * log_weight.softmax(-1)
    assert (counts >= share.floor() - 1e-4).all()
    assert (counts <= share.ceil() + 1e-4).all()
    assert (ancestors[:, 1:] >= ancestors[:, :-1]).all()


def test_a_particle_is_drawn_in_proportion_to_its_weight():
    log_weight = torch.tensor([0.2, 0.5, 0.3]).log()
    at = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 0.9999999])
    assert drawn(log_weight.expand(6, 3), at).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_effective_number_counts_equal_weights_and_ignores_their_size():
    log_weight = torch.tensor([[0.0, 0.0, -math.inf, -math.inf], [500.0, 500.0, 500.0, 500.0]])
    torch.testing.assert_close(effective_number(log_weight), torch.tensor([2.0, 4.0]))


def test_uniform_numbers_have_their_law_and_stay_below_one():
    x = uniform(torch.randn(100_000, generator=torch.Generator().manual_seed(0)))
    # The largest distance of n draws from their law is below 1.95 / sqrt(n) with probability 0.999.
    distance = np.abs(np.sort(x.numpy()) - np.arange(100_000) / 100_000).max()
    assert distance <= 1.95 / 100_000**0.5 + 1e-5
    assert uniform(torch.tensor([50.0])).item() < 1


class Line:
    """A model whose state counts steps; episodes end after the first step for particles below a number."""

    width = 1

    def __init__(self, ends_before=0):
        self.ends_before = ends_before

    def member(self, number):
        return number.long()

    def step(self, state, action, member, noise):  # noqa: ARG002
        ends = (torch.arange(state.shape[1]) < self.ends_before).float() * (state[..., 0] == 0)
        return Stepped(state + 1, action[..., 0], ends)


class Flat:
    """A guide whose actions are the noise, whose values are constant, and whose proposal is the prior."""

    def __init__(self, value=0.0):
        self.of_state = value

    def look(self, state):
        return state

    def propose(self, state, seen, noise):  # noqa: ARG002
        return noise, torch.zeros(state.shape[:2])

    def value(self, state, seen):  # noqa: ARG002
        return torch.full(state.shape[:2], self.of_state)


def planned(world, guide, steps=3, **settings):
    rng = torch.Generator().manual_seed(3)
    action = torch.randn(1, 1, steps, N, 1, generator=rng)
    none = torch.zeros(1, 1, steps, N)
    ends = none + 0.5
    numbers = Numbers(none[:, :, 0], action, none[..., None], ends, none[:, :, 1:, 0] + 0.5, none[:, :, 0, 0])
    settings = {"alpha": torch.tensor([[2.0]]), "gamma": 0.9, "threshold": 0.0} | settings
    return action[0, 0, :, :, 0], plan(world, guide, torch.zeros(1, 1, 1), numbers, **settings)


def test_weights_are_the_discounted_return_over_the_temperature_and_values_on_the_way_cancel():
    action, found = planned(Line(), Flat(5.0))
    total = (action[0] + 0.9 * action[1] + 0.81 * action[2]) / 2.0
    torch.testing.assert_close(found.log_weight[0, 0], total.log_softmax(0))
    assert torch.equal(found.first[0, 0, :, 0], action[0])


def test_with_one_step_the_weights_are_those_of_the_values():
    # Coincidence of rows: smcp with h = 1 has MPO's weights exp(Q / alpha), here of Q = r.
    action, found = planned(Line(), Flat(), steps=1)
    torch.testing.assert_close(found.log_weight[0, 0], (action[0] / 2.0).log_softmax(0))


def test_a_particle_whose_episode_ended_keeps_its_weight_and_its_value_is_zero():
    action, found = planned(Line(ends_before=3), Flat(5.0))
    later = 0.9 * action[1] + 0.81 * action[2] + 0.9**3 * 5.0
    total = (action[0] + torch.where(torch.arange(N) < 3, 0.0, later)) / 2.0
    torch.testing.assert_close(found.log_weight[0, 0], total.log_softmax(0))


@pytest.mark.parametrize(("good", "resampled"), [(3, 1), (5, 0)])
def test_eight_particles_are_resampled_with_three_good_ones_and_not_with_five(good, resampled):
    action = torch.full((1, 1, 2, N, 1), -1000.0)  # the reward, which outweighs every particle but the good
    action[:, :, :, :good] = 0.0
    none = torch.zeros(1, 1, 2, N)
    numbers = Numbers(
        none[:, :, 0], action, none[..., None], none + 0.5, none[:, :, 1:, 0] + 0.5, none[:, :, 0, 0]
    )
    found = plan(Line(), Flat(), torch.zeros(1, 1, 1), numbers, alpha=torch.ones(1, 1), gamma=0.9)
    assert found.resampled.item() == resampled


def test_particles_are_resampled_below_half_their_effective_number_alone():
    _, never = planned(Line(), Flat(), threshold=0.0)
    _, cold = planned(Line(), Flat(), threshold=0.5, alpha=torch.tensor([[0.05]]))
    _, hot = planned(Line(), Flat(), threshold=0.5, alpha=torch.tensor([[50.0]]))
    assert (never.resampled.item(), cold.resampled.item(), hot.resampled.item()) == (0, 2, 0)
    assert len(set(cold.first[0, 0, :, 0].tolist())) < N


def test_compiled_plans_are_those_of_the_specification(agent):
    # Both make some thousand float32 roundings of 6e-8 in another order; weights are logarithms of order 10.
    state, numbers = numbers_of(agent)
    with torch.no_grad():
        exact, fast = (
            getattr(agent.parts.posterior, name)(state, numbers, agent.objective)
            for name in ("planned", "planned_by_compiled")
        )
    assert torch.equal(exact.resampled, fast.resampled)
    for one, other in zip(exact, fast, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_an_error_planted_in_the_specification_is_seen(agent, monkeypatch):
    right = smc_weights.log_increment
    monkeypatch.setattr(smc_weights, "log_increment", lambda *x, **how: 1.01 * right(*x, **how))
    with pytest.raises(AssertionError):
        test_compiled_plans_are_those_of_the_specification(agent)


def test_the_planner_acts_by_the_first_action_of_a_particle(agent):
    state, numbers = numbers_of(agent)
    noise = torch.randn(2, 4, agent.acting.width)
    action = torch.from_numpy(agent.act(state.numpy(), noise.numpy()))
    with torch.no_grad():
        found = agent.parts.posterior.planned(state, agent.parts.posterior.numbers(noise), agent.objective)
    assert ((found.first - action[:, :, None]).abs().amax(-1).amin(-1) < 1e-5).all()
    assert numbers.member.shape == (2, 4, N)


def test_an_actor_plans_from_a_stream_of_its_own_that_begins_anew(agent):
    observation = np.random.default_rng(0).standard_normal((4, 3), np.float32)
    state, source = agent.seed_networks(1), np.random.SeedSequence(5)
    one, two, other = (
        make_actor(agent.algorithm, state, of) for of in (source, source, np.random.SeedSequence(6))
    )
    first = one.act(observation)
    assert np.array_equal(first, two.act(observation))
    assert not np.array_equal(first, one.act(observation))
    assert not np.array_equal(first, other.act(observation))
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1
