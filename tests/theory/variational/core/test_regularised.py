"""Values under a prior: hand-worked numbers, sums over time, reduction to known values, bad input."""

import math

import numpy as np
import pytest

from tests.support.exact_mdp import random_mdp
from virel_common.errors import InputError
from virel_theory import TabularMDP, merl_objective, soft_value_iteration
from virel_theory.variational.core.regularised import (
    bellman_regularised,
    bellman_regularised_policy,
    regularised_action_value,
    regularised_objective,
    regularised_value,
)


def _world(seed, **options):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, gammas=(0.5, 0.9), masked=bool(seed % 2), **options)
    rows = [rng.dirichlet(np.ones(mdp.n_actions), size=mdp.n_states) * mdp.available for _ in range(2)]
    return mdp, *(row / row.sum(axis=1, keepdims=True) for row in rows)


def _by_summing(mdp, pi, prior, alpha, exponent, n_steps=2000):
    """Values by adding up discounted gains under the state distribution at each time, in plain loops."""
    p = mdp.dense_transition
    gain = [
        sum(
            pi[s, a] * (mdp.reward[s, a] - alpha * (math.log(pi[s, a]) - exponent * math.log(prior[s, a])))
            for a in range(mdp.n_actions)
            if pi[s, a] > 0
        )
        for s in range(mdp.n_states)
    ]
    step = np.array([sum(pi[s, a] * p[s, a] for a in range(mdp.n_actions)) for s in range(mdp.n_states)])
    out, ahead, weight = np.zeros(mdp.n_states), np.eye(mdp.n_states), 1.0
    for _ in range(n_steps):
        out, ahead, weight = out + weight * ahead @ gain, ahead @ step, weight * mdp.gamma
    return out


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_values_are_sums_over_time(seed, exponent):
    mdp, pi, prior = _world(seed)
    found = regularised_value(mdp, pi=pi, prior=prior, alpha=0.3, exponent=exponent)
    np.testing.assert_allclose(found, _by_summing(mdp, pi, prior, 0.3, exponent), rtol=0, atol=1e-10)
    sparse = regularised_value(mdp.to_sparse(), pi=pi, prior=prior, alpha=0.3, exponent=exponent)
    np.testing.assert_allclose(sparse, found, rtol=0, atol=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_values_are_the_fixed_points_of_their_operators(seed):
    mdp, pi, prior = _world(seed)
    q = regularised_action_value(mdp, pi=pi, prior=prior, alpha=0.3)
    again = bellman_regularised_policy(mdp, q, pi=pi, prior=prior, alpha=0.3)
    np.testing.assert_allclose(again[mdp.available], q[mdp.available], rtol=0, atol=1e-11)


def test_exponent_zero_is_maximum_entropy():
    mdp, pi, prior = _world(0)
    found = regularised_objective(mdp, pi=pi, prior=prior, alpha=0.3, exponent=0.0)
    assert found == pytest.approx(merl_objective(mdp, pi=pi, c=0.3), abs=1e-11)
    q = soft_value_iteration(mdp, c=0.3, atol=1e-11).q
    np.testing.assert_allclose(
        bellman_regularised(mdp, q, prior=prior, alpha=0.3, exponent=0.0)[mdp.available],
        q[mdp.available],
        atol=1e-10,
    )


def test_a_uniform_prior_costs_log_a_per_step():
    # one state, two actions, reward 1: deterministic policy pays log 2 per step, discounted
    mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 1.0]], 0.5)
    found = regularised_value(mdp, pi=[[1.0, 0.0]], prior=[[0.5, 0.5]], alpha=1.0)
    assert found[0] == pytest.approx(2 * (1 - math.log(2)), rel=1e-14)


def test_a_policy_outside_the_priors_support_is_refused_unless_the_temperature_is_zero():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    pi, prior = [[0.5, 0.5]], [[1.0, 0.0]]
    with pytest.raises(InputError, match="`prior` must be positive where `pi` has mass"):
        regularised_value(mdp, pi=pi, prior=prior, alpha=1.0)
    with pytest.raises(InputError, match="`prior` must be positive where `pi` has mass"):
        bellman_regularised_policy(mdp, [[0.0, 0.0]], pi=pi, prior=prior, alpha=1.0)
    assert regularised_value(mdp, pi=pi, prior=prior, alpha=0.0).tolist() == [1.0]


def test_the_operator_is_a_contraction_by_gamma():
    mdp, _, prior = _world(3)
    rng = np.random.default_rng(0)
    q, other = rng.normal(size=(2, *mdp.shape))
    d = bellman_regularised(mdp, q, prior=prior, alpha=0.3) - bellman_regularised(
        mdp, other, prior=prior, alpha=0.3
    )
    far = np.abs(q - other)[mdp.available].max()
    assert np.abs(d[mdp.available]).max() <= mdp.gamma * far + 1e-14
