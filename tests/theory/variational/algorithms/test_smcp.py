"""SMCP: soft policy iteration underneath, one step by hand, terminal states, particles, bad input."""

import math
from itertools import islice

import numpy as np
import pytest
from scipy.special import xlogy

from tests.theory.variational.parts.test_plans import ARMS, random_mdp, random_policy
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import boltzmann_policy
from virel_theory.solvers.soft import soft_value_iteration
from virel_theory.variational.algorithms.smcp import smcp
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.parts.plans import Plan, plan_posterior


def deterministic(mdp, seed):
    successors = np.random.default_rng(seed).integers(mdp.n_states, size=mdp.shape)
    moves = np.eye(mdp.n_states)[successors] * mdp.available[:, :, None]
    return TabularMDP(moves, mdp.reward, mdp.gamma, mask=mdp.mask)


def last(iterates, n):
    return list(islice(iterates, n))[-1]


def test_the_lottery_of_lower_mean_is_taken_where_soft_policy_iteration_takes_the_safe_arm():
    found = last(smcp(ARMS, alpha=1.0, horizon=2, discount=1.0), 3)
    soft = posterior_policy(ARMS.reward, prior=found.prior, alpha=1.0)  # gamma = 0: both arms pay nothing yet
    assert soft[0, 1] == 0.5 < found.policy[0, 1]
    lucky, sure = (math.exp(3 + 3) + 3) / 4, math.exp(1 + 1)  # rewards 3, 0 and 1, and as much in final value
    assert found.policy[0, 1] == pytest.approx(lucky / (lucky + sure), rel=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
def test_one_step_plans_on_deterministic_dynamics_are_soft_policy_iteration(sparse):
    mdp = deterministic(random_mdp(0, masked=True), 1)
    uniform = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    given = mdp.to_sparse() if sparse else mdp
    found = last(smcp(given, alpha=0.5, horizon=1), 80)
    # the uniform prior costs alpha log A per step, state by state, against the entropy bonus
    reward = mdp.reward - 0.5 * np.log(mdp.available.sum(axis=1))[:, None]
    q = soft_value_iteration(
        TabularMDP(mdp.transition, reward, mdp.gamma, mask=mdp.mask), c=0.5, atol=1e-10
    ).q
    np.testing.assert_allclose(found.policy, boltzmann_policy(q, eps=0.5), atol=1e-6)
    np.testing.assert_allclose(found.prior, uniform)


def test_iterates_are_plans_with_the_values_and_the_policy_of_soft_policy_iteration():
    mdp = random_mdp(2, masked=True)
    prior, d = random_policy(mdp, 3), np.array([0.5, 0.25, 0.25])
    first, second = islice(smcp(mdp, alpha=0.7, horizon=2, prior=prior, d=d), 2)
    v = np.linalg.solve(
        np.eye(3) - mdp.gamma * np.einsum("sa,sat->st", prior, mdp.dense_transition),
        (prior * mdp.reward).sum(axis=1),
    )
    np.testing.assert_allclose(first.policy, plan_posterior(Plan(mdp, v, prior, 0.7, 2))[0], rtol=1e-12)
    kl = xlogy(first.policy, first.policy) - xlogy(first.policy, prior)
    assert first.kl == pytest.approx(d @ kl.sum(axis=1), rel=1e-10)
    assert (first.step, second.step, first.temperature) == (1, 2, 0.7)
    np.testing.assert_array_equal(first.prior, prior)
    np.testing.assert_allclose(posterior_policy(first.q, prior=prior, alpha=0.7), first.posterior, rtol=1e-12)


def test_value_error_and_bound_are_those_of_the_acting_policy():
    mdp = random_mdp(4)
    found = last(smcp(mdp, alpha=0.7), 3)
    p = np.einsum("sa,sat->st", found.policy, mdp.dense_transition)
    v = np.linalg.solve(np.eye(3) - mdp.gamma * p, (found.policy * mdp.reward).sum(axis=1))
    assert abs(found.value - mdp.initial @ v) <= found.error < 1e-11
    assert found.bound > 0


def test_sweeps_converge_to_the_exact_algorithm():
    mdp = random_mdp(5, masked=True)
    exact, swept = (last(smcp(mdp.to_sparse(), alpha=0.7, sweeps=n), 60) for n in (None, 3))
    np.testing.assert_allclose(swept.policy, exact.policy, atol=1e-9)
    assert abs(swept.value - exact.value) <= swept.error + exact.error


@pytest.mark.parametrize("particles", [1, 8])
def test_particles_act_like_the_mean_of_many_plans(particles):
    mdp = random_mdp(6, masked=True)
    one, two = (last(smcp(mdp, alpha=0.7, particles=particles, plans=4000, seed=1), 2) for _ in range(2))
    np.testing.assert_array_equal(one.policy, two.policy)
    if particles == 1:  # one particle's first action is the proposal: soft policy iteration
        plain = last(smcp(mdp, alpha=0.7, horizon=1), 2)
        assert np.abs(one.policy - plain.policy).max() < 0.3
    else:
        limit = last(smcp(mdp, alpha=0.7), 2)
        np.testing.assert_allclose(one.policy, limit.policy, atol=0.05)
    assert (one.policy[~mdp.available] == 0).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"alpha": 0.0}, "`alpha` must be positive"),
        ({"horizon": 0}, "`horizon` must be a positive integer"),
        ({"particles": 0}, "`particles` must be a positive integer; found 0"),
        ({"particles": 4, "threshold": -1.0}, "`threshold` must be non-negative"),
        ({"plans": 0}, "`plans` must be a positive integer"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"discount": 2.0}, "`discount` must lie in"),
        ({"prior": [[1.0]]}, "`prior` must have shape"),
        ({"d": [1.0, 1.0, 1.0]}, "`d` must sum to 1"),
        ({"sweeps": 0}, "`sweeps` must be a positive integer or None"),
    ],
)
def test_bad_settings_are_named_when_the_function_is_called(change, match):
    with pytest.raises(InputError, match=match):
        smcp(random_mdp(7), **change)
