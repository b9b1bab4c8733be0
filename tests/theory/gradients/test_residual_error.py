"""Gradients of the residual error: one example worked out by hand, signs, folds, units, bad input.

`tests/verify/claims/test_true_gradients.py` compares them with independent derivatives.
"""

import numpy as np
import pytest

from tests.support.exact_mdp import random_mdp
from virel_common.errors import InputError
from virel_theory.gradients import as_printed as printed
from virel_theory.gradients import em_steps as em
from virel_theory.gradients import pairs
from virel_theory.gradients import residual_error as g
from virel_theory.mdp.tabular import TabularMDP

# One state, two actions, gamma = 0, Q = (0, 1/2), r = (1, 3/2): beta = 1, eps = 1/2. As in
# docs/derivations/theorem_4.md.
HAND = TabularMDP(np.ones((1, 2, 1)), [[1.0, 1.5]], 0.0)
Q, B = np.array([[0.0, 0.5]]), np.eye(2)[None]
BETA, EPS = np.ones((1, 2)), 0.5
P = np.e / (1 + np.e)


def test_theorem_4_on_the_example_by_hand():
    v, slope = P * (1 - P) / 4, P * (1 - P) / 2 * np.array([-1, 1])
    true = (0.5 * slope + 0.5 * v) / 0.25
    np.testing.assert_allclose(true.round(4), [-0.0983, 0.2949])
    np.testing.assert_allclose(g.grad_policy_term(HAND, Q, B, beta=BETA, eps=EPS), true, rtol=1e-14)
    as_printed = printed.theorem_4_as_printed(HAND, Q, B, beta=BETA, eps=EPS)
    np.testing.assert_allclose(as_printed, (0.5 * -0.5 * v + slope) / 0.25, rtol=1e-14)
    np.testing.assert_allclose(as_printed.round(4), [-0.4424, 0.3441])


def test_without_a_future_the_residual_error_falls_at_rate_beta_over_h():
    # gamma = 0: eps = mean (r - Q)^2 / 2, whatever the policy.
    np.testing.assert_allclose(g.grad_eps_boltzmann(HAND, Q, B, beta=BETA, eps=EPS), [-0.5, -0.5], rtol=1e-14)
    as_printed = printed.grad_eps_as_printed(HAND, Q, B, beta=BETA, eps=EPS)
    np.testing.assert_allclose(as_printed.round(4), [-0.9424, -0.1559])


def test_the_score_of_the_boltzmann_policy_on_the_example_by_hand():
    # log pi(a2) = Q2/eps - log sum; with eps constant its slope in Q2 is (1 - p) / eps.
    score = g.grad_log_boltzmann(Q, B, eps=EPS, grad_eps=[0.0, 0.0])
    np.testing.assert_allclose(score[0, 1], [-(1 - P) / EPS, (1 - P) / EPS], rtol=1e-14)
    # A rising temperature flattens: the better action loses probability.
    assert g.grad_log_boltzmann(Q, np.zeros((1, 2, 1)), eps=EPS, grad_eps=[1.0])[0, 1, 0] < 0


def test_one_action_has_the_derivative_gamma_minus_one():
    # S = A = 1: beta = r + gamma Q - Q for every target.
    mdp = TabularMDP([[[1.0]]], [[1.0]], 0.5)
    q, b = [[3.0]], [[[1.0]]]
    for found in (
        g.grad_beta_optimal(mdp, q, b),
        g.grad_beta_incremental(mdp, q, b, eps_k=0.1),
        g.grad_beta_boltzmann(mdp, q, b, eps=0.1, grad_eps=[5.0]),
    ):
        assert found.tolist() == [[[-0.5]]]
    assert printed.grad_beta_optimal_as_printed(mdp, q, b).tolist() == [[[0.0]]]
    assert printed.grad_beta_incremental_as_printed(mdp, q, b, eps_k=0.1).tolist() == [[[0.0]]]


def test_at_a_fold_the_denominator_vanishes():
    """Q = (2 eps, 0), residual -b for both actions: `d g / d eps = gamma b 2^2 p (1 - p)`, 1 here."""
    p, gamma = 1 / (1 + np.exp(-2)), 0.5
    b = 1 / (gamma * 4 * p * (1 - p))
    eps = b * b / 2
    mdp, q = TabularMDP(np.ones((1, 2, 1)), [[0.0, 0.0]], gamma), np.array([[2 * eps, 0.0]])
    beta = np.full((1, 2), -b)
    far = g.grad_eps_boltzmann(mdp, q, B, beta=0.9 * beta, eps=eps)
    try:
        near = np.abs(g.grad_eps_boltzmann(mdp, q, B, beta=beta, eps=eps)).max()
    except InputError:
        return  # exactly 0 in floating point
    assert near > 1e10 * np.abs(far).max()


@pytest.mark.parametrize("scale", [2.0**-530, 2.0**-330, 2.0**530])
def test_the_unit_of_the_values_moves_no_gradient(scale):
    """q, r and eps scale alike; beta, which stands for c beta, does not. Powers of 2 are exact."""
    rng = np.random.default_rng(1)
    mdp = random_mdp(rng, gammas=(0.9,), masked=True)
    q = np.where(mdp.available, rng.standard_normal(mdp.shape), -np.inf)
    b, beta, eps = rng.standard_normal((*mdp.shape, 3)), rng.standard_normal(mdp.shape), 0.3
    scaled = TabularMDP(mdp.transition, scale * mdp.reward, mdp.gamma, mask=mdp.mask)
    here, there = (mdp, q, b), (scaled, scale * q, b)
    for function in (g.grad_policy_term, g.grad_eps_boltzmann):
        expected = function(*here, beta=beta, eps=eps)
        np.testing.assert_allclose(function(*there, beta=beta, eps=scale * eps), expected, rtol=1e-12)
    grad_eps = g.grad_eps_boltzmann(*here, beta=beta, eps=eps)
    score = g.grad_log_boltzmann(*here[1:], eps=eps, grad_eps=grad_eps)
    scaled_score = g.grad_log_boltzmann(*there[1:], eps=scale * eps, grad_eps=grad_eps)
    np.testing.assert_allclose(scale * scaled_score, score, rtol=1e-12)


def test_a_policy_that_is_greedy_to_all_digits_has_the_gradient_of_the_greedy_residual():
    """beta = (0, 4e-100): eps = E[beta^2]/2 = 4e-200 and d beta = (gamma - 1, gamma) in Q_1: 2e-100 gamma."""
    mdp = TabularMDP(np.ones((1, 2, 1)), [[104e-100, 0.0]], 0.5)
    args = (mdp, [[208e-100, 100e-100]], np.eye(2)[None])
    found = g.grad_eps_boltzmann(*args, beta=[[0.0, 4e-100]], eps=4e-200)
    np.testing.assert_allclose(found, [1e-100, -2e-100], rtol=1e-12)
    score = g.grad_log_boltzmann(*args[1:], eps=4e-200, grad_eps=found)
    np.testing.assert_array_equal(score[0, 0], 0.0)
    # log pi_2 = -(Q_1 - Q_2)/eps: -(d Q_1 - d Q_2)/eps + (Q_1 - Q_2)/eps^2 d eps
    expected = np.array([-1.0, 1.0]) / 4e-200 + 108e-100 / 4e-200 * (np.array([1e-100, -2e-100]) / 4e-200)
    np.testing.assert_allclose(score[0, 1], expected, rtol=1e-12)
    as_printed = printed.theorem_4_as_printed(*args, beta=[[0.0, 4e-100]], eps=4e-200)
    assert as_printed.tolist() == [0.0, 0.0]  # a greedy policy does not move


def test_values_of_actions_without_probability_may_exceed_the_temperature_by_more_than_floats_reach():
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
    found = printed.theorem_4_as_printed(mdp, [[0.0, 1e3]], [[[1.0], [0.0]]], beta=[[1.0, 1.0]], eps=1e-308)
    assert found.tolist() == [0.0]  # Q / eps overflows


def test_equal_gradients_move_no_policy_at_any_temperature():
    b = np.full((1, 2, 1), 2.0**40)
    assert g.grad_log_incremental([[0.0, 0.0]], b, eps_k=1e-300).tolist() == [[[0.0], [0.0]]]


def test_the_direct_gradient_descends_and_the_first_printed_one_ascends():
    mdp = TabularMDP([[[1.0]]], [[1.0]], 0.0)  # Q = 0: beta = 1, eps = 1/2; raising Q lowers eps
    assert em.direct_gradient(mdp, [[1.0]], [[[1.0]]]).tolist() == [-1.0]
    assert printed.direct_gradient_as_printed(mdp, [[1.0]], [[[1.0]]]).tolist() == [1.0]


def test_the_e_step_raises_the_better_action_and_entropy_pulls_to_uniform():
    x = np.eye(2)[None]
    even, skewed = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    args = {"d": [1.0], "eps": 1.0}
    score = em.log_linear_score(HAND, x, pi_theta=even)
    up = em.e_step_gradient(HAND, [[0.0, 1.0]], pi_theta=even, score=score, **args)
    np.testing.assert_allclose(up, [-0.25, 0.25], rtol=1e-14)
    score = em.log_linear_score(HAND, x, pi_theta=skewed)
    flat = em.e_step_gradient(HAND, [[0.0, 0.0]], pi_theta=skewed, score=score, **args)
    assert flat[0] < 0 < flat[1]


def test_at_the_boltzmann_policy_the_e_step_gradient_is_zero():
    q = np.array([[1.0, -0.5]])
    pi = em.log_linear_policy(HAND, np.eye(2)[None], q[0] / 0.3)
    score = em.log_linear_score(HAND, np.eye(2)[None], pi_theta=pi)
    found = em.e_step_gradient(HAND, q, pi_theta=pi, score=score, d=[1.0], eps=0.3)
    np.testing.assert_allclose(found, 0, atol=1e-15)


def test_sparse_and_dense_mdps_give_the_same_gradients():
    rng = np.random.default_rng(4)
    mdp = random_mdp(rng, gammas=(0.9,), masked=True)
    q = np.where(mdp.available, rng.standard_normal(mdp.shape), -np.inf)
    b, beta = rng.standard_normal((*mdp.shape, 3)), rng.standard_normal(mdp.shape)
    dense, sparse = (g.grad_eps_boltzmann(x, q, b, beta=beta, eps=0.5) for x in (mdp, mdp.to_sparse()))
    np.testing.assert_allclose(sparse, dense, rtol=1e-10, atol=1e-13)
    pi = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    rho = em.discounted_occupancy(mdp, pi=pi)
    np.testing.assert_allclose(em.discounted_occupancy(mdp.to_sparse(), pi=pi), rho, rtol=1e-12)
    assert rho.sum() == pytest.approx(1 / (1 - 0.9))


def test_bad_input_is_named():
    with pytest.raises(InputError, match="`eps` must be positive"):
        g.grad_eps_boltzmann(HAND, Q, B, beta=BETA, eps=0.0)
    with pytest.raises(InputError, match="`b_omega` must have shape"):
        g.grad_beta_fixed_policy(HAND, np.eye(2), pi=[[0.5, 0.5]])
    with pytest.raises(InputError, match="`f` must have the leading shape"):
        pairs.centre_actions([[1.0]], pi=[[0.5, 0.5]])
    with pytest.raises(InputError, match="`beta` must have shape"):
        em.direct_gradient(HAND, [1.0], B)
    with pytest.raises(InputError, match="`score` must have shape"):
        em.grad_entropy([[0.5, 0.5]], np.zeros((2, 2, 1)))
