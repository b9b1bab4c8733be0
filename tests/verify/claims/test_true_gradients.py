"""Gradients of the residual error against the truths of `verify`: 1,000 random instances, 1e-8 relative."""

import numpy as np
import pytest

from verify.claims.residual_gradients.self_consistent import evaluate, seeded, well_conditioned
from verify.claims.residual_gradients.theorem_4_truth import eps_truth, policy_truth
from virel_theory.gradients import as_printed as printed
from virel_theory.gradients import em_steps as em
from virel_theory.gradients import residual_error as g


def _thousand():
    drawn = []
    seed = 0
    while len(drawn) < 1000:
        instance = seeded(seed)
        seed += 1
        if well_conditioned(instance):
            drawn.append(instance)
    return drawn


def test_a_thousand_random_gradients_agree_to_1e_8_relative_with_implicit_derivatives():
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


def test_a_thousand_random_left_sides_of_theorem_4_agree_to_1e_8_relative():
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
def test_three_truths_of_theorem_4_agree(seed):
    x = seeded(seed)
    a, b, c = (
        policy_truth(x["mdp"], x["model"], x["eps"], method=m) for m in ("dual", "implicit", "differences")
    )
    bound = evaluate(x["mdp"], x["model"], x["eps"]).bound
    size = evaluate(x["mdp"], x["model"], x["eps"]).size_policy
    assert np.abs(a - b).max() <= bound * size
    assert np.abs(a - c).max() <= bound * size


def test_sparse_and_dense_mdps_give_the_same_gradients():
    x = seeded(4)
    point, sparse = evaluate(x["mdp"], x["model"], x["eps"]), x["mdp"].to_sparse()
    for mdp in (x["mdp"], sparse):
        found = g.grad_eps_boltzmann(mdp, point.q, point.b_omega, beta=point.beta, eps=x["eps"])
        truth = eps_truth(x["mdp"], x["model"], x["eps"], method="dual")
        np.testing.assert_allclose(found, truth, rtol=0, atol=point.bound * point.size_eps)
    dense_rho = em.discounted_occupancy(x["mdp"], pi=point.pi)
    np.testing.assert_allclose(em.discounted_occupancy(sparse, pi=point.pi), dense_rho, rtol=1e-12)
    assert dense_rho.sum() == pytest.approx(1 / (1 - sparse.gamma))
