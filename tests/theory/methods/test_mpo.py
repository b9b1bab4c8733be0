"""MPO from App. G: hand-worked numbers, finite differences, reduction to VIREL, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.methods.mpo import mpo_e_step_gradient, mpo_m_step_prior, mpo_objective, mpo_posterior
from virel_theory.objective.elbo import elbo
from virel_theory.operators.policies import boltzmann_policy

Q = np.array([[math.log(3), 0.0]])
PRIOR = np.array([[0.25, 0.75]])


def _instance(seed=0):
    rng = np.random.default_rng(seed)
    q, theta = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    return q, theta, rng.dirichlet(np.ones(4), size=3), rng.dirichlet(np.ones(3))


def test_the_hand_worked_posterior():
    # 3 * 1/4 against 1 * 3/4
    np.testing.assert_allclose(mpo_posterior(Q, pi_phi=PRIOR, eps=1.0), [[0.5, 0.5]], rtol=1e-14)


def test_the_hand_worked_objective():
    # (log 3)/2 - KL(half || prior), and the KL is (log(0.5/0.25) + log(0.5/0.75)) / 2
    kl = (math.log(2) + math.log(2 / 3)) / 2
    value = mpo_objective(Q, pi_theta=[[0.5, 0.5]], pi_phi=PRIOR, d=[1.0], eps=1.0)
    assert value == pytest.approx(math.log(3) / 2 - kl, rel=1e-14)


def test_the_posterior_maximises_the_objective_and_the_gradient_vanishes_there():
    q, theta, prior, d = _instance()
    best = mpo_posterior(q, pi_phi=prior, eps=0.5)
    top = mpo_objective(q, pi_theta=best, pi_phi=prior, d=d, eps=0.5)
    log_evidence = np.log((np.exp(q / 0.5) * prior).sum(axis=1))
    assert top == pytest.approx(float(d @ log_evidence), rel=1e-13)
    gradient = mpo_e_step_gradient(q, theta=np.log(best), pi_phi=prior, d=d, eps=0.5)
    np.testing.assert_allclose(gradient, 0, atol=1e-14)
    weights = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    assert mpo_objective(q, pi_theta=weights, pi_phi=prior, d=d, eps=0.5) < top


def test_the_gradient_equals_central_differences():
    q, theta, prior, d = _instance(1)

    def value(logits):
        pi = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return 0.5 * mpo_objective(q, pi_theta=pi, pi_phi=prior, d=d, eps=0.5)

    h = 6e-6  # cube root of machine epsilon: both errors near 1e-10
    numeric = np.zeros((3, 4))
    for index in np.ndindex(3, 4):
        bump = np.zeros((3, 4))
        bump[index] = h
        numeric[index] = (value(theta + bump) - value(theta - bump)) / (2 * h)
    gradient = mpo_e_step_gradient(q, theta=theta, pi_phi=prior, d=d, eps=0.5)
    np.testing.assert_allclose(gradient, numeric, atol=1e-9)


def test_a_uniform_prior_gives_virel_up_to_log_a():
    q, _, pi, d = _instance(2)
    uniform = np.full((3, 4), 0.25)
    value = mpo_objective(q, pi_theta=pi, pi_phi=uniform, d=d, eps=0.7)
    assert value == pytest.approx(elbo(q, pi_theta=pi, d=d, eps=0.7) - math.log(4), rel=1e-13)
    posterior = mpo_posterior(q, pi_phi=uniform, eps=0.7)
    np.testing.assert_allclose(posterior, boltzmann_policy(q, eps=0.7), rtol=1e-13)


def test_the_m_step_copies_the_policy_and_no_other_prior_is_better():
    q, _, pi, d = _instance(3)
    best = mpo_m_step_prior(pi)
    assert not np.shares_memory(best, pi)
    np.testing.assert_array_equal(best, pi)
    value = mpo_objective(q, pi_theta=pi, pi_phi=best, d=d, eps=0.7)
    rng = np.random.default_rng(4)
    for _ in range(20):
        other = rng.dirichlet(np.ones(4), size=3)
        assert mpo_objective(q, pi_theta=pi, pi_phi=other, d=d, eps=0.7) < value


def test_missing_actions_stay_missing_and_extreme_values_stay_finite():
    q, prior = np.array([[1e5, 0.0, -np.inf]]), np.array([[0.5, 0.5, 0.0]])
    assert mpo_posterior(q, pi_phi=prior, eps=1.0).tolist() == [[1.0, 0.0, 0.0]]
    gradient = mpo_e_step_gradient(q, theta=np.zeros((1, 3)), pi_phi=prior, d=[1.0], eps=1.0)
    assert gradient.tolist() == [[25000.0, -25000.0, 0.0]]


def test_mass_where_the_prior_has_none_costs_infinitely_much():
    assert mpo_objective(Q, pi_theta=[[0.5, 0.5]], pi_phi=[[1.0, 0.0]], d=[1.0], eps=1.0) == -np.inf


def test_bad_input_is_named():
    with pytest.raises(InputError, match="`pi_phi` must sum to 1"):
        mpo_posterior(Q, pi_phi=[[0.5, 0.6]], eps=1.0)
    with pytest.raises(InputError, match="`eps` must be positive and finite"):
        mpo_posterior(Q, pi_phi=PRIOR, eps=0.0)
    with pytest.raises(InputError, match="`pi_phi` must be positive on every existing action"):
        mpo_e_step_gradient(Q, theta=[[0.0, 0.0]], pi_phi=[[1.0, 0.0]], d=[1.0], eps=1.0)
    with pytest.raises(InputError, match="`pi_theta` must be non-negative"):
        mpo_m_step_prior([[1.5, -0.5]])


def test_objectives_of_values_that_cancel_are_those_of_their_mean():
    # Values over eps are out of the range of float64, their mean is 0.
    half, q = [[0.5, 0.5]], [[1e300, -1e300]]
    assert elbo(q, pi_theta=half, d=[1.0], eps=1e-10) == pytest.approx(math.log(2), rel=1e-15)
    assert mpo_objective(q, pi_theta=half, pi_phi=half, d=[1.0], eps=1e-10) == 0.0
    two = {"pi_theta": half * 2, "d": [0.5, 0.5], "eps": 1e-10}
    states = [[1e300, 1e300], [-1e300, -1e300]]
    assert elbo(states, **two) == pytest.approx(math.log(2), rel=1e-15)
    assert mpo_objective(states, pi_phi=half * 2, **two) == 0.0
