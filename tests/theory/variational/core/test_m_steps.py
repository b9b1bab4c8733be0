"""M-steps: the constraint binds, no other prior is better, blind and distilled means by hand."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.core.e_step import expected_kl
from virel_theory.variational.core.m_steps import prior_blind, prior_distilled, prior_trust_region


def _instance(seed):
    rng = np.random.default_rng(seed)
    return rng, *(rng.dirichlet(np.ones(3), size=2) for _ in range(2)), rng.dirichlet(np.ones(2))


def _fit(d, pi, prior):
    return float(np.sum(d[:, None] * pi * np.log(prior)))


@pytest.mark.parametrize("seed", range(10))
def test_the_trust_region_binds_and_no_feasible_prior_fits_better(seed):
    rng, pi, old, d = _instance(seed)
    epsilon = 0.5 * expected_kl(old, pi, d=d)
    best = prior_trust_region(pi, prior=old, d=d, epsilon=epsilon)
    assert expected_kl(old, best, d=d) == pytest.approx(epsilon, rel=1e-12)
    for _ in range(300):
        other = best * np.exp(0.1 * rng.normal(size=best.shape))
        other /= other.sum(axis=1, keepdims=True)
        if expected_kl(old, other, d=d) <= epsilon:
            assert _fit(d, pi, other) < _fit(d, pi, best)


def test_a_wide_trust_region_copies_and_a_tiny_one_hardly_moves():
    _, pi, old, d = _instance(0)
    np.testing.assert_array_equal(prior_trust_region(pi, prior=old, d=d, epsilon=100.0), pi)
    near = prior_trust_region(pi, prior=old, d=d, epsilon=1e-18)
    assert 0 < np.abs(near - old).max() < 1e-8


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 30.0, 353.0])
def test_a_deterministic_posterior_never_empties_the_prior(epsilon):
    # With w left of the second action KL = (-log(1 + (1 - w)) - log w)/2: for 353 nats w is 2e-307
    new = prior_trust_region([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=epsilon)
    assert new.min() > 0
    assert expected_kl([[0.5, 0.5]], new, d=[1.0]) == pytest.approx(epsilon, rel=1e-13, abs=0)


@pytest.mark.parametrize("n_states", [50, 150, 170, 200, 1000, 3000])
def test_a_prior_that_almost_reaches_the_posterior_in_one_state_spends_its_bound(n_states):
    """One state takes nearly all of the bound: up to 374 nats, and 1e-162 of its old prior is left."""
    rng = np.random.default_rng(n_states)
    old = rng.dirichlet(np.ones(3), size=n_states)
    pi = old.copy()
    pi[0] = [0.0, 1.0, 0.0]
    d = np.full(n_states, 1 / n_states)
    new = prior_trust_region(pi, prior=old, d=d, epsilon=0.1)
    kl = math.fsum((old[0] * np.log(old[0] / new[0])).tolist()) / n_states
    # Logarithms up to 700 have ulps of 1e-13, relative to their sum 2e-16; rows sum to 1 within 4 ulps.
    assert kl == pytest.approx(0.1, rel=1e-13, abs=0)
    np.testing.assert_allclose(new[1:], old[1:], rtol=4 * 2.0**-52)


def test_a_bound_that_no_positive_probability_spends_is_met():
    old = np.array([[0.5, 0.5], [0.5, 0.5]])
    new = prior_trust_region([[1.0, 0.0], [0.5, 0.5]], prior=old, d=[0.5, 0.5], epsilon=1000.0)
    assert new.min() > 0
    assert 170 < expected_kl(old, new, d=[0.5, 0.5]) < 1000


def test_an_action_that_has_all_but_vanished_does_not_hold_up_the_others():
    # In state 0 the action is as rare as numbers get, and costs nothing; state 1 has the whole bound.
    old = np.array([[1.0, 5e-324], [0.5, 0.5]])
    new = prior_trust_region([[1.0, 0.0], [1.0, 0.0]], prior=old, d=[0.5, 0.5], epsilon=10.0)
    assert new[0].tolist() == old[0].tolist()
    assert expected_kl(old, new, d=[0.5, 0.5]) == pytest.approx(10.0, rel=1e-13, abs=0)


def test_a_prior_may_get_back_an_action_that_it_had_lost():
    new = prior_trust_region([[0.5, 0.5]], prior=[[1.0, 0.0]], d=[1.0], epsilon=0.1)
    assert new[0, 0] == pytest.approx(np.exp(-0.1), rel=1e-12)


@pytest.mark.parametrize("scale", [1e308, 1e-320])
def test_distilled_priors_do_not_depend_on_the_scale_of_the_weights(scale):
    policies = [[[1.0, 0.0]], [[0.0, 1.0]]]
    assert prior_distilled(policies, weights=[[scale], [scale]]).tolist() == [[0.5, 0.5]]


def test_distilled_priors_weigh_tasks_by_their_visits_and_fall_back_to_the_mean():
    policies = [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    found = prior_distilled(policies, weights=[[3.0, 0.0], [1.0, 0.0]])
    assert found.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_blind_priors_are_equal_where_they_see_the_same_and_the_best_such():
    rng, pi, _, d = _instance(1)
    pi, d = np.vstack([pi, pi[::-1]]), np.append(d, d) / 2
    seen = [7, 7, -1, -1]
    best = prior_blind(pi, d=d, observation=seen)
    np.testing.assert_array_equal(best[0], best[1])
    np.testing.assert_array_equal(best[2], best[3])
    for _ in range(100):
        other = prior_blind(rng.dirichlet(np.ones(3), size=4), d=d, observation=seen)
        assert _fit(d, pi, other) < _fit(d, pi, best)


def test_an_observation_that_is_never_visited_takes_the_plain_mean():
    found = prior_blind([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], d=[0.0, 0.0, 1.0], observation=[0, 0, 1])
    assert found.tolist() == [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("observation", [[0.0, 1.0], [0], [[0, 1]]])
def test_observations_must_be_one_integer_per_state(observation):
    with pytest.raises(InputError, match=r"`observation` must be integers of shape \[2\]"):
        prior_blind([[1.0, 0.0], [0.0, 1.0]], d=[0.5, 0.5], observation=observation)


def test_tasks_of_different_shapes_are_refused():
    with pytest.raises(InputError, match="`policies` must be"):
        prior_distilled([[[1.0, 0.0]], [[1.0]]], weights=[[1.0], [1.0]])


def test_rows_sum_to_one_after_many_small_steps():
    _, pi, prior, d = _instance(0)
    for _ in range(3000):
        prior = prior_trust_region(pi, prior=prior, d=d, epsilon=1e-12)
        # Sums of three, and a quotient.
        assert np.abs(prior.sum(axis=1) - 1).max() <= 4 * np.finfo(float).eps


def test_the_smallest_bounds_have_a_prior_too():
    prior = prior_trust_region([[1.0, 0.0]], prior=[[0.5, 0.5]], d=[1.0], epsilon=1e-22)
    assert np.abs(prior - 0.5).max() <= 1e-10  # KL = 2 x^2: x = 7e-12
