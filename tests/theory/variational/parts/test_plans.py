"""Plans as inference: a lottery by hand, naive enumeration of paths, the limit alpha = 0, bad input."""

import itertools
import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import pseudo_log_likelihood, pseudo_posterior_policy
from virel_theory.variational.parts.plans import Plan, plan_log_evidence, plan_posterior, plan_values

# State 0: action 0 goes to state 1 (worth 1), action 1 to state 2 (worth 3, chance 1/4) or 3 (worth 0).
MOVES = np.repeat(np.eye(4)[:, None, :], 2, axis=1)
MOVES[0] = [[0, 1, 0, 0], [0, 0, 0.25, 0.75]]
ARMS = TabularMDP(MOVES, np.array([[0.0, 0], [1, 1], [3, 3], [0, 0]]), 0.0, initial=np.eye(4)[0])
HALF = np.full((4, 2), 0.5)
TILTED = (math.exp(3) + 3) / 4


def random_mdp(seed, *, masked=False, gamma=0.8):
    rng = np.random.default_rng(seed)
    mask = np.ones((3, 2), bool)
    mask[1, 0] = not masked
    p = rng.dirichlet(np.ones(3), size=(3, 2)) * mask[:, :, None]
    return TabularMDP(p, rng.normal(size=(3, 2)), gamma, mask=mask)


def random_policy(mdp, seed):
    weights = np.random.default_rng(seed).exponential(size=mdp.shape) * mdp.available
    return weights / weights.sum(axis=1, keepdims=True)


def paths(mdp, pi, s, horizon):
    """All `(chance, [(s, a, s')])` of `horizon` steps from s, written out."""
    dense = mdp.dense_transition
    for moves in itertools.product(
        itertools.product(range(mdp.n_actions), range(mdp.n_states)), repeat=horizon
    ):
        chance, here, out = 1.0, s, []
        for a, ahead in moves:
            chance *= pi[here, a] * dense[here, a, ahead]
            out.append((here, a, ahead))
            here = ahead
        yield chance, out


def bootstrapped(mdp, path, v, discount):
    gains = [discount**t * mdp.reward[s, a] for t, (s, a, _) in enumerate(path)]
    return sum(gains) + discount ** len(path) * v[path[-1][2]]


def test_a_plan_takes_the_lottery_of_lower_mean():
    plan = Plan(ARMS, np.zeros(4), HALF, alpha=1.0, horizon=2, discount=1.0)
    assert plan_posterior(plan)[0, 0, 1] == pytest.approx(TILTED / (TILTED + math.e), rel=1e-14)
    assert plan_log_evidence(plan)[0] == pytest.approx(math.log((TILTED + math.e) / 2), rel=1e-14)


def test_undiscounted_plans_without_final_values_are_those_of_pseudo_likelihood():
    mdp = random_mdp(0, masked=True)
    prior = random_policy(mdp, 1)
    plan = Plan(mdp, np.zeros(3), prior, alpha=0.5, horizon=3, discount=1.0)
    expected = pseudo_posterior_policy(mdp, prior=prior, c=0.5, horizon=3)
    np.testing.assert_allclose(plan_posterior(plan), expected, rtol=1e-12)
    total = math.log(mdp.initial @ np.exp(plan_log_evidence(plan)))
    assert total == pytest.approx(pseudo_log_likelihood(mdp, pi=prior, c=0.5, horizon=3), rel=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("discount", [None, 1.0, 0.0])
def test_values_and_posterior_equal_sums_over_all_paths(sparse, discount):
    mdp = random_mdp(2, masked=True)
    prior, v = random_policy(mdp, 3), np.array([0.5, -1.0, 2.0])
    plan = Plan(mdp.to_sparse() if sparse else mdp, v, prior, alpha=0.7, horizon=2, discount=discount)
    gamma = mdp.gamma if discount is None else discount
    for s in range(3):
        weight = np.zeros(2)
        for chance, path in paths(mdp, prior, s, 2):
            weight[path[0][1]] += chance * math.exp(bootstrapped(mdp, path, v, gamma) / 0.7)
        assert plan_log_evidence(plan)[s] == pytest.approx(math.log(weight.sum()), rel=1e-12)
        np.testing.assert_allclose(plan_posterior(plan)[0, s], weight / weight.sum(), rtol=1e-12)


def test_the_rounding_of_rows_times_the_temperature_is_within_the_claimed_error():
    # Ten successors of float 0.1, whose exact sum is 1 + 2^-54: with r = v = 0, V_0 = alpha log(1 + 2^-54).
    mdp = TabularMDP(np.full((10, 1, 10), 0.1), np.zeros((10, 1)), 0.5)
    alpha = 1e6
    _, values = plan_values(Plan(mdp, np.zeros(10), np.ones((10, 1)), alpha=alpha, horizon=1))
    claimed = (10 + 1 + 16) * 2.0**-52 * alpha  # h (S + A + 16) ulps of alpha, as max|log p| = 0
    assert np.abs(values[0] - alpha * 2.0**-54).max() <= claimed


def test_the_second_step_of_a_discounted_plan_is_hotter():
    mdp = random_mdp(4)
    prior, v = random_policy(mdp, 5), np.array([0.5, -1.0, 2.0])
    second = plan_posterior(Plan(mdp, v, prior, alpha=0.7, horizon=2))[1]
    alone = plan_posterior(Plan(mdp, v, prior, alpha=0.7 / mdp.gamma, horizon=1))[0]
    np.testing.assert_allclose(second, alone, rtol=1e-12)


def test_the_limit_of_temperature_zero_takes_the_best_possible_path():
    mdp = random_mdp(6, masked=True)
    prior, v = random_policy(mdp, 7), np.array([0.5, -1.0, 2.0])
    prior[2] = [0.0, 1.0]
    cold = Plan(mdp, v, prior, alpha=0.0, horizon=3)
    best = [
        max(bootstrapped(mdp, path, v, mdp.gamma) for chance, path in paths(mdp, prior, s, 3) if chance > 0)
        for s in range(3)
    ]
    np.testing.assert_allclose(plan_values(cold)[1][0], best, rtol=1e-13)
    near = plan_posterior(Plan(mdp, v, prior, alpha=1e-4, horizon=3))
    np.testing.assert_allclose(plan_posterior(cold), near, atol=1e-12)


def test_ties_at_temperature_zero_keep_the_proportions_of_the_prior():
    tied = TabularMDP(np.ones((1, 3, 1)), [[1.0, 1.0, 0.0]], 0.5)
    plan = Plan(tied, [0.0], [[0.125, 0.375, 0.5]], alpha=0.0, horizon=1)
    assert plan_posterior(plan)[0].tolist() == [[0.25, 0.75, 0.0]]


def test_large_values_and_low_temperatures_do_not_overflow():
    plan = Plan(ARMS, np.full(4, 1e6), HALF, alpha=1e-3, horizon=3, discount=1.0)
    assert np.isfinite(plan_values(plan)[1]).all()
    np.testing.assert_allclose(plan_posterior(plan).sum(axis=2), 1.0, rtol=1e-15)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"v": [0.0]}, "`v` must have shape"),
        ({"prior": [[0.5, 0.5]]}, "`prior` must have shape"),
        ({"alpha": -1.0}, "`alpha` must be non-negative"),
        ({"alpha": np.inf}, "`alpha` must be non-negative and finite"),
        ({"horizon": 0}, "`horizon` must be a positive integer; found 0"),
        ({"horizon": 1.5}, "`horizon` must be a positive integer"),
        ({"horizon": 10**23}, "`horizon` must be at most 1,000,000,000"),
        ({"discount": 1.5}, r"`discount` must lie in \[0, 1\]; found 1.5"),
        ({"proposal": np.tile([1.0, 0.0], (4, 1))}, "`proposal` must be positive exactly where the prior is"),
    ],
)
def test_bad_input_is_named(change, match):
    settings = {"mdp": ARMS, "v": np.zeros(4), "prior": HALF, "alpha": 1.0, "horizon": 2} | change
    with pytest.raises(InputError, match=match):
        Plan(**settings)


def test_the_evidence_of_temperature_zero_is_refused():
    with pytest.raises(InputError, match="`alpha` must be positive"):
        plan_log_evidence(Plan(ARMS, np.zeros(4), HALF, alpha=0.0, horizon=1))


@pytest.mark.parametrize("sparse", [False, True])
def test_tied_actions_are_weighed_by_the_chance_of_the_best_paths_behind_them(sparse):
    # Both actions may reach state 1, worth 1, with chance 0.9 or 0.1: weights exp(1 / alpha) times that.
    moves = np.zeros((3, 2, 3))
    moves[0] = [[0, 0.9, 0.1], [0, 0.1, 0.9]]
    moves[1, :, 1] = moves[2, :, 2] = 1
    lottery = TabularMDP(moves, np.zeros((3, 2)), 0.9)
    lottery = lottery.to_sparse() if sparse else lottery
    half = np.full((3, 2), 0.5)
    cold, cool = (
        plan_posterior(Plan(lottery, [0.0, 1.0, 0.0], half, alpha=alpha, horizon=1)) for alpha in (0.0, 0.01)
    )
    np.testing.assert_allclose(cold[0, 0], [0.9, 0.1], rtol=1e-14)
    np.testing.assert_allclose(cold, cool, rtol=0, atol=1e-12)  # exp(-0.9 / 0.01) is below 1e-39


def test_so_are_tied_actions_whose_best_continuations_are_rare_under_the_prior():
    moves = np.zeros((3, 2, 3))
    moves[0, 0, 1] = moves[0, 1, 2] = 1
    moves[1, :, 1] = moves[2, :, 2] = 1
    sure = TabularMDP(moves, [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]], 0.9)
    prior = [[0.5, 0.5], [0.9, 0.1], [0.1, 0.9]]
    cold, cool = (plan_posterior(Plan(sure, np.zeros(3), prior, alpha=a, horizon=2)) for a in (0.0, 0.01))
    np.testing.assert_allclose(cold[0, 0], [0.9, 0.1], rtol=1e-14)
    np.testing.assert_allclose(cold, cool, rtol=0, atol=1e-12)


def test_a_plan_keeps_read_only_copies_of_what_it_is_given():
    v, prior, proposal = np.ones(4), HALF.copy(), HALF.copy()
    plan = Plan(ARMS, v, prior, alpha=1.0, horizon=1, proposal=proposal)
    for given in (v, prior, proposal):
        given[...] = np.nan
    assert (plan.v == 1).all()
    assert (plan.prior == HALF).all()
    assert (plan.proposal == HALF).all()
    assert not any(x.flags.writeable for x in (plan.v, plan.prior, plan.proposal))


@pytest.mark.parametrize("sparse", [False, True])
def test_temperatures_far_below_the_rewards_give_the_greedy_plan(sparse):
    # What is not best has the weight e^-1e309, which is 0; alpha log p is 1e-299 at most.
    task = TabularMDP(MOVES, np.array([[0.0, 0], [1, 1], [3, 3], [0, 0]]) * 1e10, 0.9)
    task = task.to_sparse() if sparse else task
    cold, limit = (Plan(task, np.arange(4.0), HALF, alpha=a, horizon=2) for a in (1e-300, 0.0))
    for found, expected in zip(plan_values(cold), plan_values(limit), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-15)
    np.testing.assert_allclose(plan_posterior(cold), plan_posterior(limit), rtol=1e-15)
    assert plan_log_evidence(cold)[0] == np.inf
