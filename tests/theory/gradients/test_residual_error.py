r"""Gradients: one example worked out by hand, signs, and 1,000 random instances held to 1e-8 relative."""

import numpy as np
import pytest

from verify.claims.residual_gradients.fold import fold_instance
from verify.claims.residual_gradients.self_consistent import evaluate, seeded, well_conditioned
from verify.claims.residual_gradients.theorem_4_truth import eps_truth, policy_truth
from verify.engine.claim import Instance
from virel_theory.checks import InputError
from virel_theory.gradients import as_printed as printed
from virel_theory.gradients import em_steps as em
from virel_theory.gradients import residual_error as g
from virel_theory.mdp.tabular import TabularMDP

# One state, two actions, gamma = 0, Q = (0, 1/2), r = (1, 3/2): beta = 1, eps = 1/2. As in
# docs/derivations/theorem_4.md.
HAND = TabularMDP(np.ones((1, 2, 1)), [[1.0, 1.5]], 0.0)
Q, B = np.array([[0.0, 0.5]]), np.eye(2)[None]
BETA, EPS = np.ones((1, 2)), 0.5
P = np.e / (1 + np.e)


def test_theorem_4_on_the_example_by_hand() -> None:
    v, slope = P * (1 - P) / 4, P * (1 - P) / 2 * np.array([-1, 1])
    true = (0.5 * slope + 0.5 * v) / 0.25
    np.testing.assert_allclose(true.round(4), [-0.0983, 0.2949])
    np.testing.assert_allclose(g.grad_policy_term(HAND, Q, B, beta=BETA, eps=EPS), true, rtol=1e-14)
    as_printed = printed.theorem_4_as_printed(HAND, Q, B, beta=BETA, eps=EPS)
    np.testing.assert_allclose(as_printed, (0.5 * -0.5 * v + slope) / 0.25, rtol=1e-14)
    np.testing.assert_allclose(as_printed.round(4), [-0.4424, 0.3441])


def test_without_a_future_the_residual_error_falls_at_rate_beta_over_h() -> None:
    # gamma = 0: eps = mean (r - Q)^2 / 2, whatever the policy.
    np.testing.assert_allclose(g.grad_eps_boltzmann(HAND, Q, B, beta=BETA, eps=EPS), [-0.5, -0.5], rtol=1e-14)
    as_printed = printed.grad_eps_as_printed(HAND, Q, B, beta=BETA, eps=EPS)
    np.testing.assert_allclose(as_printed.round(4), [-0.9424, -0.1559])


def test_the_score_of_the_boltzmann_policy_on_the_example_by_hand() -> None:
    # log pi(a2) = Q2/eps - log sum; with eps constant its slope in Q2 is (1 - p) / eps.
    score = g.grad_log_boltzmann(Q, B, eps=EPS, grad_eps=[0.0, 0.0])
    np.testing.assert_allclose(score[0, 1], [-(1 - P) / EPS, (1 - P) / EPS], rtol=1e-14)
    # A rising temperature flattens: the better action loses probability.
    assert g.grad_log_boltzmann(Q, np.zeros((1, 2, 1)), eps=EPS, grad_eps=[1.0])[0, 1, 0] < 0


def test_one_action_has_the_derivative_gamma_minus_one() -> None:
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


def _thousand() -> list[Instance]:
    drawn: list[Instance] = []
    seed = 0
    while len(drawn) < 1000:
        instance = seeded(seed)
        seed += 1
        if well_conditioned(instance):
            drawn.append(instance)
    return drawn


def test_a_thousand_random_gradients_agree_to_1e_8_relative_with_implicit_derivatives() -> None:
    errors, printed_errors = [], []
    for x in _thousand():
        mdp, model, eps = x["mdp"], x["model"], x["eps"]
        point = evaluate(mdp, model, eps)
        truth = eps_truth(mdp, model, eps, method="implicit")
        args = (mdp, point.q, point.b_omega)
        largest = np.abs(truth).max()
        found = g.grad_eps_boltzmann(*args, beta=point.beta, eps=eps)
        wrong = printed.grad_eps_as_printed(*args, beta=point.beta, eps=eps)
        errors.append(np.abs(found - truth).max() / largest)
        printed_errors.append(np.abs(wrong - truth).max() / largest)
    assert max(errors) < 1e-8  # found: 2.5e-14
    assert np.median(printed_errors) > 0.01


def test_a_thousand_random_left_sides_of_theorem_4_agree_to_1e_8_relative() -> None:
    printed_errors = []
    for x in _thousand():
        mdp, model, eps = x["mdp"], x["model"], x["eps"]
        point = evaluate(mdp, model, eps)
        truth = policy_truth(mdp, model, eps, method="dual")
        args = (mdp, point.q, point.b_omega)
        found = g.grad_policy_term(*args, beta=point.beta, eps=eps)
        assert np.abs(found - truth).max() <= 1e-8 * np.abs(truth).max()
        wrong = printed.theorem_4_as_printed(*args, beta=point.beta, eps=eps)
        if np.abs(truth).max() > 0:
            printed_errors.append(np.abs(wrong - truth).max() / np.abs(truth).max())
    assert np.median(printed_errors) > 0.5


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_three_truths_of_theorem_4_agree(seed: int) -> None:
    x = seeded(seed)
    a, b, c = (
        policy_truth(x["mdp"], x["model"], x["eps"], method=m) for m in ("dual", "implicit", "differences")
    )
    bound = evaluate(x["mdp"], x["model"], x["eps"]).bound
    size = evaluate(x["mdp"], x["model"], x["eps"]).size_policy
    assert np.abs(a - b).max() <= bound * size
    assert np.abs(a - c).max() <= bound * size


def test_at_a_fold_the_denominator_vanishes() -> None:
    x = fold_instance(2.0, 0.5)
    q, eps, mdp = x["q"], x["eps"], x["mdp"]
    beta = np.full((1, 2), -np.sqrt(2 * eps))
    far = g.grad_eps_boltzmann(mdp, q, B, beta=0.9 * beta, eps=eps)
    try:
        near = np.abs(g.grad_eps_boltzmann(mdp, q, B, beta=beta, eps=eps)).max()
    except InputError:
        return  # exactly 0 in floating point
    assert near > 1e10 * np.abs(far).max()


@pytest.mark.parametrize("scale", [2.0**-530, 2.0**-330, 2.0**530])
def test_the_unit_of_the_values_moves_no_gradient(scale: float) -> None:
    """q, r and eps scale alike; beta, which stands for c beta, does not. Powers of 2 are exact."""
    x = seeded(1)
    mdp, point, eps = x["mdp"], evaluate(x["mdp"], x["model"], x["eps"]), x["eps"]
    scaled = TabularMDP(mdp.transition, scale * mdp.reward, mdp.gamma, mask=mdp.mask)
    here, there = (mdp, point.q, point.b_omega), (scaled, scale * point.q, point.b_omega)
    for function in (g.grad_policy_term, g.grad_eps_boltzmann):
        expected = function(*here, beta=point.beta, eps=eps)
        np.testing.assert_allclose(function(*there, beta=point.beta, eps=scale * eps), expected, rtol=1e-12)
    grad_eps = g.grad_eps_boltzmann(*here, beta=point.beta, eps=eps)
    score = g.grad_log_boltzmann(*here[1:], eps=eps, grad_eps=grad_eps)
    scaled_score = g.grad_log_boltzmann(*there[1:], eps=scale * eps, grad_eps=grad_eps)
    np.testing.assert_allclose(scale * scaled_score, score, rtol=1e-12)


def test_a_policy_that_is_greedy_to_all_digits_has_the_gradient_of_the_greedy_residual() -> None:
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


def test_equal_gradients_move_no_policy_at_any_temperature() -> None:
    b = np.full((1, 2, 1), 2.0**40)
    assert g.grad_log_incremental([[0.0, 0.0]], b, eps_k=1e-300).tolist() == [[[0.0], [0.0]]]


def test_the_direct_gradient_descends_and_the_first_printed_one_ascends() -> None:
    mdp = TabularMDP([[[1.0]]], [[1.0]], 0.0)  # Q = 0: beta = 1, eps = 1/2; raising Q lowers eps
    assert em.direct_gradient(mdp, [[1.0]], [[[1.0]]]).tolist() == [-1.0]
    assert printed.direct_gradient_as_printed(mdp, [[1.0]], [[[1.0]]]).tolist() == [1.0]


def test_the_e_step_raises_the_better_action_and_entropy_pulls_to_uniform() -> None:
    x = np.eye(2)[None]
    even, skewed = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    args = {"d": [1.0], "eps": 1.0}
    score = em.log_linear_score(HAND, x, pi_theta=even)
    up = em.e_step_gradient(HAND, [[0.0, 1.0]], pi_theta=even, score=score, **args)
    np.testing.assert_allclose(up, [-0.25, 0.25], rtol=1e-14)
    score = em.log_linear_score(HAND, x, pi_theta=skewed)
    flat = em.e_step_gradient(HAND, [[0.0, 0.0]], pi_theta=skewed, score=score, **args)
    assert flat[0] < 0 < flat[1]


def test_at_the_boltzmann_policy_the_e_step_gradient_is_zero() -> None:
    q = np.array([[1.0, -0.5]])
    pi = em.log_linear_policy(HAND, np.eye(2)[None], q[0] / 0.3)
    score = em.log_linear_score(HAND, np.eye(2)[None], pi_theta=pi)
    found = em.e_step_gradient(HAND, q, pi_theta=pi, score=score, d=[1.0], eps=0.3)
    np.testing.assert_allclose(found, 0, atol=1e-15)


def test_sparse_and_dense_mdps_give_the_same_gradients() -> None:
    x = seeded(4)
    point, sparse = evaluate(x["mdp"], x["model"], x["eps"]), x["mdp"].to_sparse()
    for mdp in (x["mdp"], sparse):
        found = g.grad_eps_boltzmann(mdp, point.q, point.b_omega, beta=point.beta, eps=x["eps"])
        truth = eps_truth(x["mdp"], x["model"], x["eps"], method="dual")
        np.testing.assert_allclose(found, truth, rtol=0, atol=point.bound * point.size_eps)
    dense_rho = em.discounted_occupancy(x["mdp"], pi=point.pi)
    np.testing.assert_allclose(em.discounted_occupancy(sparse, pi=point.pi), dense_rho, rtol=1e-12)
    assert dense_rho.sum() == pytest.approx(1 / (1 - sparse.gamma))


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="`eps` must be positive"):
        g.grad_eps_boltzmann(HAND, Q, B, beta=BETA, eps=0.0)
    with pytest.raises(InputError, match="`b_omega` must have shape"):
        g.grad_beta_fixed_policy(HAND, np.eye(2), pi=[[0.5, 0.5]])
    with pytest.raises(InputError, match="`f` must have the leading shape"):
        g.centre_actions([[1.0]], pi=[[0.5, 0.5]])
    with pytest.raises(InputError, match="`beta` must have shape"):
        em.direct_gradient(HAND, [1.0], B)
    with pytest.raises(InputError, match="`score` must have shape"):
        em.grad_entropy([[0.5, 0.5]], np.zeros((2, 2, 1)))
