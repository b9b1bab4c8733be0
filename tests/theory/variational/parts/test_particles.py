"""Particle planner: its law by hand and against simulation, unbiasedness, terminal states, bad input."""

import itertools
import math

import numpy as np
import pytest

from tests.theory.variational.parts.test_plans import ARMS, HALF, random_mdp, random_policy
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.particle_law import particle_law
from virel_theory.variational.parts.particles import effective_size, log_increment, simulate_plans
from virel_theory.variational.parts.plans import Plan, plan_log_evidence, plan_posterior

ALWAYS = 2.0
BANDIT = TabularMDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5)


def random_plan(seed, *, horizon=2, discount=None, masked=True, own_proposal=True):
    mdp = random_mdp(seed, masked=masked)
    prior = random_policy(mdp, seed + 1)
    proposal = random_policy(mdp, seed + 2) if own_proposal else None
    v = np.random.default_rng(seed + 3).normal(size=3)
    return Plan(mdp, v, prior, alpha=0.7, horizon=horizon, proposal=proposal, discount=discount)


def test_two_particles_on_a_bandit_by_hand():
    law = particle_law(Plan(BANDIT, [0.0], [[0.5, 0.5]], alpha=1.0, horizon=1), state=0, particles=2)
    best, mixed, worst = 1.0, math.log((math.e + 1) / 2), 0.0
    assert law.probability.tolist() == [0.25, 0.5, 0.25]
    np.testing.assert_allclose(sorted(law.log_evidence), [worst, mixed, best], atol=1e-15)
    assert law.policy[0] == pytest.approx(0.25 + 0.5 * math.e / (math.e + 1), rel=1e-15)
    assert law.log_mean_evidence == pytest.approx(mixed, rel=1e-15)
    assert law.mean_log_evidence == pytest.approx(0.25 + mixed / 2, rel=1e-15)


def test_actions_that_are_never_proposed_leave_the_law_of_the_others():
    """In state 0 the second action alone is taken, in state 1 the first: one path, each state its own end."""
    transition = [[[1.0, 0.0], [0.25, 0.75]], [[0.0, 1.0], [1.0, 0.0]]]
    sure = [[0.0, 1.0], [1.0, 0.0]]
    plan = Plan(
        TabularMDP(transition, [[5.0, 1.0], [2.0, 7.0]], 0.5), [0.5, -1.0], sure, alpha=1.0, horizon=1
    )
    law = particle_law(plan, state=0, particles=1)
    assert law.policy.tolist() == [0.0, 1.0]
    np.testing.assert_allclose(sorted(law.probability), [0.25, 0.75], rtol=1e-15)
    assert law.log_mean_evidence == pytest.approx(plan_log_evidence(plan)[0], rel=1e-14)


def test_one_particle_acts_like_the_proposal():
    plan = random_plan(0)
    np.testing.assert_allclose(particle_law(plan, state=0, particles=1).policy, plan.proposal[0], rtol=1e-14)


@pytest.mark.parametrize("discount", [None, 1.0])
@pytest.mark.parametrize(
    ("particles", "threshold", "horizon"), [(2, ALWAYS, 2), (2, 0.9, 2), (3, ALWAYS, 1), (1, ALWAYS, 3)]
)
def test_the_evidence_is_unbiased_and_its_logarithm_is_biased_downwards(
    particles, threshold, horizon, discount
):
    plan = random_plan(1, horizon=horizon, discount=discount)
    law = particle_law(plan, state=0, particles=particles, threshold=threshold)
    assert law.probability.sum() == pytest.approx(1.0, rel=1e-13)
    exact = plan_log_evidence(plan)[0]
    assert law.log_mean_evidence == pytest.approx(exact, rel=0, abs=1e-12)
    assert law.mean_log_evidence < exact - 0.01


def naive_law(plan, state):
    """Expected `(Z, first-action estimate, log Z)` of 2 particles, 2 steps, always resampled, as loops."""
    mdp, dense, h = plan.mdp, plan.mdp.dense_transition, range(2)
    step = [(a, t) for a in range(mdp.n_actions) for t in range(mdp.n_states)]

    def weight(t, s, a, ahead):
        gain = mdp.reward[s, a] + plan.discount * plan.v[ahead] - plan.v[s]
        return math.exp(plan.discount**t * gain / plan.alpha) * plan.prior[s, a] / plan.proposal[s, a]

    def chance(s, a, ahead):
        return plan.proposal[s, a] * dense[s, a, ahead]

    mean, policy, log_mean = 0.0, np.zeros(mdp.n_actions), 0.0
    for one in itertools.product(step, repeat=2):
        p_one = math.prod(chance(state, a, t) for a, t in one)
        if p_one == 0:
            continue
        w = [weight(0, state, a, t) for a, t in one]
        for old in itertools.product(h, repeat=2):
            p_old = math.prod(w[n] / sum(w) for n in old)
            for two in itertools.product(step, repeat=2):
                at = [one[n][1] for n in old]
                p = p_one * p_old * math.prod(chance(s, a, t) for s, (a, t) in zip(at, two, strict=True))
                if p == 0:
                    continue
                u = [weight(1, s, a, t) for s, (a, t) in zip(at, two, strict=True)]
                z = math.exp(plan.v[state] / plan.alpha) * sum(w) / 2 * sum(u) / 2
                mean, log_mean = mean + p * z, log_mean + p * math.log(z)
                for n in h:
                    policy[one[old[n]][0]] += p * u[n] / sum(u)
    return mean, policy, log_mean


def test_the_law_equals_loops_over_all_draws_and_ancestors():
    plan = random_plan(2, masked=False)
    mean, policy, log_mean = naive_law(plan, 1)
    law = particle_law(plan, state=1, particles=2, threshold=ALWAYS)
    assert law.log_mean_evidence == pytest.approx(math.log(mean), rel=0, abs=1e-12)
    assert law.mean_log_evidence == pytest.approx(log_mean, rel=0, abs=1e-12)
    np.testing.assert_allclose(law.policy, policy, rtol=1e-12)


def test_systematic_resampling_leaves_the_evidence_unbiased_and_wastes_less_than_independent_draws():
    plan = random_plan(2, masked=False)
    systematic, multinomial = (
        particle_law(plan, state=1, particles=2, threshold=ALWAYS, resampling=name)
        for name in ("systematic", "multinomial")
    )
    assert systematic.probability.sum() == pytest.approx(1.0, rel=1e-13)
    assert systematic.log_mean_evidence == pytest.approx(plan_log_evidence(plan)[1], rel=0, abs=1e-12)
    assert systematic.mean_log_evidence > multinomial.mean_log_evidence
    for name, particles in (("systematic", 3), ("stratified", 2)):
        with pytest.raises(InputError, match=r"`particles` must be 2|`resampling` must be one of"):
            particle_law(plan, state=0, particles=particles, resampling=name)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.9, ALWAYS])
def test_simulated_plans_follow_the_law(sparse, threshold):
    plan = random_plan(3)
    if sparse:
        plan = Plan(
            plan.mdp.to_sparse(), plan.v, plan.prior, plan.alpha, plan.horizon, proposal=plan.proposal
        )
    law = particle_law(plan, state=2, particles=2, threshold=threshold)
    n = 40_000
    found = simulate_plans(
        plan, states=np.full(n, 2), particles=2, rng=np.random.default_rng(0), threshold=threshold
    )
    policy_sd = np.sqrt(law.probability @ (law.estimates - law.policy) ** 2 / n)
    assert (np.abs(found.policy.mean(axis=0) - law.policy) < 5 * policy_sd).all()
    sd = math.sqrt(law.probability @ (law.log_evidence - law.mean_log_evidence) ** 2 / n)
    assert abs(found.log_evidence.mean() - law.mean_log_evidence) < 5 * sd


def test_many_particles_approach_the_posterior_of_the_plan():
    plan = random_plan(4, horizon=3)
    states = np.repeat(np.arange(3), 20)
    found = simulate_plans(plan, states=states, particles=4_000, rng=np.random.default_rng(0))
    means = found.policy.reshape(3, 20, 2).mean(axis=1)
    np.testing.assert_allclose(means, plan_posterior(plan)[0], atol=0.02)
    assert found.log_weight.shape == (60, 4_000)
    np.testing.assert_allclose(
        found.log_evidence.reshape(3, 20).mean(axis=1), plan_log_evidence(plan), atol=0.02
    )


def test_the_same_seed_draws_the_same_plans():
    plan = random_plan(5)
    one, two = (
        simulate_plans(plan, states=[0, 1], particles=5, rng=np.random.default_rng(7)) for _ in range(2)
    )
    np.testing.assert_array_equal(one.policy, two.policy)
    np.testing.assert_array_equal(one.log_evidence, two.log_evidence)


def test_the_weight_of_a_particle_is_frozen_in_a_terminal_state():
    plan = Plan(ARMS, np.array([5.0, 1.0, 3.0, 0.0]), HALF, alpha=0.5, horizon=4, discount=1.0)
    at = np.array([3])
    assert log_increment(plan, 2, at, np.array([1]), at).tolist() == [0.0]


def test_the_effective_size_of_equal_weights_is_their_number_and_of_one_weight_is_one():
    assert effective_size(np.full(5, -700.0)) == pytest.approx(5.0)
    assert effective_size(np.array([0.0, -np.inf, -np.inf])) == pytest.approx(1.0)
    assert effective_size(np.log([3.0, 1.0])) == pytest.approx(1.6)


@pytest.mark.parametrize("shift", [-1e15, 1e12, 1e15, 1e200])
def test_the_effective_size_does_not_depend_on_the_size_of_the_weights(shift):
    assert effective_size(np.array([shift, shift])) == pytest.approx(2.0, rel=1e-14)


def test_a_single_action_and_a_single_state_leave_nothing_to_chance():
    mdp = TabularMDP([[[1.0]]], [[2.0]], 0.5)
    plan = Plan(mdp, [1.0], [[1.0]], alpha=1.0, horizon=2)
    law = particle_law(plan, state=0, particles=3, threshold=ALWAYS)
    assert law.log_evidence.tolist() == pytest.approx([2 + 1 + 0.25])
    found = simulate_plans(plan, states=[0], particles=3, rng=np.random.default_rng(0))
    assert found.log_evidence.tolist() == pytest.approx([3.25])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"particles": 0}, "`particles` must be a positive integer; found 0"),
        ({"particles": 2.0}, "`particles` must be a positive integer"),
        ({"particles": 10**23}, "`particles` must be at most 1,000,000,000"),
        ({"threshold": -1.0}, "`threshold` must be non-negative"),
        ({"threshold": np.nan}, "`threshold` must be non-negative and finite"),
        ({"states": [4]}, "`states` must be states of the MDP; found 4"),
        ({"states": [-1]}, "`states` must be states of the MDP"),
        ({"states": [0.5]}, "`states` must be states of the MDP"),
        ({"states": 0}, r"`states` must have shape \[n\]"),
    ],
)
def test_bad_settings_of_a_simulation_are_named(change, match):
    plan = Plan(ARMS, np.zeros(4), HALF, alpha=1.0, horizon=1)
    settings = {"states": [0], "particles": 2, "rng": np.random.default_rng(0)} | change
    with pytest.raises(InputError, match=match):
        simulate_plans(plan, **settings)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"particles": 0}, "`particles` must be a positive integer"),
        ({"state": 9}, "`state` must be a state of the MDP; found 9"),
        ({"particles": 12}, "`particles` must leave at most"),
    ],
)
def test_bad_settings_of_the_law_are_named(change, match):
    mdp = random_mdp(8)
    plan = Plan(mdp, np.zeros(3), random_policy(mdp, 9), alpha=1.0, horizon=2)
    with pytest.raises(InputError, match=match):
        particle_law(plan, **{"state": 0, "particles": 2} | change)


def test_a_temperature_of_zero_has_no_particles():
    with pytest.raises(InputError, match="`alpha` must be positive"):
        particle_law(Plan(ARMS, np.zeros(4), HALF, alpha=0.0, horizon=1), state=0, particles=1)


@pytest.mark.parametrize("threshold", [0.0, 0.5, ALWAYS])
def test_particles_at_temperatures_far_below_the_rewards_are_those_of_the_best_plan(threshold):
    mdp = TabularMDP(np.ones((1, 2, 1)), [[1e10, 0.0]], 0.5)
    plan = Plan(mdp, [1e10], [[0.5, 0.5]], alpha=1e-300, horizon=3)
    settings = {"states": [0, 0], "particles": 32, "threshold": threshold}
    found = simulate_plans(plan, rng=np.random.default_rng(0), **settings)
    np.testing.assert_allclose(found.policy, [[1.0, 0.0], [1.0, 0.0]], rtol=1e-14)
    assert (found.log_evidence == np.inf).all()


def test_ratios_of_tied_gains_count_at_any_temperature():
    mdp = TabularMDP(np.ones((1, 2, 1)), [[1e10, 1e10]], 0.5)
    prior, proposal = [[0.5, 0.5]], [[0.25, 0.75]]
    cold, warm = (Plan(mdp, [0.0], prior, alpha=a, horizon=1, proposal=proposal) for a in (1e-300, 1.0))
    found, expected = (
        simulate_plans(plan, states=[0], particles=8, rng=np.random.default_rng(1)).policy
        for plan in (cold, warm)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_law_whose_weights_are_out_of_range_is_refused():
    mdp = TabularMDP(np.ones((1, 2, 1)), [[1e10, 0.0]], 0.5)
    with pytest.raises(InputError, match="`alpha` must be so large that gains over it are in the range"):
        particle_law(Plan(mdp, [0.0], [[0.5, 0.5]], alpha=1e-300, horizon=1), state=0, particles=2)
