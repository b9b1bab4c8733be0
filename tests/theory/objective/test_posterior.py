"""The model of App. B: hand-worked numbers, naive re-implementation, extreme temperatures, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory import boltzmann_policy, merl_policy, mpo_posterior
from virel_theory.objective.posterior import (
    log_marginal,
    log_state_normaliser,
    optimality_likelihood,
    posterior_action,
    posterior_elbo,
    posterior_joint,
)

# Two states; likelihoods 1, 1/3 in the first and 1, 1 in the second: l = log(10/3).
Q = np.array([[math.log(3), 0.0], [5.0, 5.0]])


def test_the_hand_worked_likelihood_and_normaliser():
    np.testing.assert_allclose(optimality_likelihood(Q, eps=1.0), [[1, 1 / 3], [1, 1]], rtol=1e-15)
    np.testing.assert_allclose(log_state_normaliser(Q, eps=0.5), [-2 * math.log(3), -10.0], rtol=1e-15)


def test_the_hand_worked_posterior_evidence_and_conditional():
    np.testing.assert_allclose(posterior_joint(Q, eps=1.0), [[0.3, 0.1], [0.3, 0.3]], rtol=1e-14)
    assert log_marginal(Q, eps=1.0) == pytest.approx(math.log(10 / 3), rel=1e-15)
    np.testing.assert_allclose(posterior_action(Q, eps=1.0), [[0.75, 0.25], [0.5, 0.5]], rtol=1e-14)


def test_the_bound_is_tight_when_d_and_the_policy_are_the_posterior():
    # p(s|O) = (0.4, 0.6)
    tight = posterior_elbo(Q, pi_theta=[[0.75, 0.25], [0.5, 0.5]], d=[0.4, 0.6], eps=1.0)
    assert tight == pytest.approx(math.log(10 / 3), rel=1e-14)
    assert posterior_elbo(Q, pi_theta=[[0.5, 0.5], [0.5, 0.5]], d=[0.4, 0.6], eps=1.0) < tight


def test_the_bound_equals_a_naive_double_loop():
    rng = np.random.default_rng(0)
    q, pi, d = rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), size=3), rng.dirichlet(np.ones(3))
    naive = sum(
        d[s] * pi[s, a] * math.log(math.exp((q[s, a] - max(q[s])) / 0.7) / (d[s] * pi[s, a]))
        for s in range(3)
        for a in range(4)
    )
    assert posterior_elbo(q, pi_theta=pi, d=d, eps=0.7) == pytest.approx(naive, rel=1e-13)


@pytest.mark.parametrize("scale", [1e4, 1e6, 1e200])
def test_values_ten_thousand_times_the_temperature_and_more_stay_finite(scale):
    q = np.array([[scale, 0.0], [-scale, -scale]])
    assert log_marginal(q, eps=1.0) == pytest.approx(math.log(3), rel=1e-13)
    np.testing.assert_allclose(posterior_joint(q, eps=1.0), [[1 / 3, 0], [1 / 3, 1 / 3]], atol=1e-13)
    np.testing.assert_allclose(posterior_action(q, eps=1.0), [[1, 0], [0.5, 0.5]], atol=1e-13)


def test_missing_actions_have_no_likelihood_and_no_posterior():
    q = np.array([[0.0, -np.inf], [1.0, 1.0]])
    assert optimality_likelihood(q, eps=1.0)[0, 1] == 0
    assert log_marginal(q, eps=1.0) == pytest.approx(math.log(3))
    np.testing.assert_allclose(posterior_joint(q, eps=1.0), [[1 / 3, 0], [1 / 3, 1 / 3]])
    assert posterior_elbo(q, pi_theta=[[1, 0], [1, 0]], d=[1, 0], eps=1.0) == 0


def test_bad_input_is_named():
    with pytest.raises(InputError, match="`eps` must be positive and finite"):
        posterior_joint(Q, eps=0.0)
    with pytest.raises(InputError, match=r"`d` must sum to 1"):
        posterior_elbo(Q, pi_theta=np.full((2, 2), 0.5), d=[1.0, 1.0], eps=1.0)
    with pytest.raises(
        InputError, match=r"`pi_theta` must be 0 where the action does not exist; found 0.5 at \[0, 1\]"
    ):
        posterior_elbo([[0.0, -np.inf]], pi_theta=[[0.5, 0.5]], d=[1.0], eps=1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("q", "eps"), [([[1e300, 0.0]], 1e-10), ([[1.0, 0.0]], 1e-310), ([[0.0, -1e300]], 1e-10)]
)
def test_beyond_the_range_of_float64_posteriors_are_those_of_the_limit(q, eps):
    assert posterior_joint(q, eps=eps).tolist() == [[1.0, 0.0]]
    assert posterior_action(q, eps=eps).tolist() == [[1.0, 0.0]]
    assert optimality_likelihood(q, eps=eps).tolist() == [[1.0, 0.0]]
    assert log_marginal(q, eps=eps) == 0.0
    assert posterior_elbo(q, pi_theta=[[1.0, 0.0]], d=[1.0], eps=eps) == 0.0
    assert merl_policy(q, c=eps).tolist() == [[1.0, 0.0]]
    assert mpo_posterior(q, pi_phi=[[0.5, 0.5]], eps=eps).tolist() == [[1.0, 0.0]]
    assert mpo_posterior(q, pi_phi=[[0.0, 1.0]], eps=eps).tolist() == [[0.0, 1.0]]
    assert abs(log_state_normaliser(q, eps=eps)[0]) in {0.0, np.inf}


@pytest.mark.filterwarnings("error")
def test_differences_of_values_may_leave_float64_too():
    q, expected = [[1e308, -1e308]], [[1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))]]
    for found in (
        boltzmann_policy(q, eps=1e308),
        posterior_action(q, eps=1e308),
        merl_policy(q, c=1e308),
        mpo_posterior(q, pi_phi=[[0.5, 0.5]], eps=1e308),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
