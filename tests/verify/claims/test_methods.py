"""Counterexamples that the texts of EM, projection, App. B and pseudo-likelihood name, each by hand."""

import numpy as np
import pytest

from verify.claims.methods import em, merl, pseudo_likelihood
from verify.claims.objective import posterior
from verify.claims.projection import convergence
from virel_theory.gradients.projection import projected_residual_error
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solve import solve

ONE_STATE = np.ones((1, 2, 1))


def second_action(reward):
    """One state, two actions, gamma = 1/2; the policy takes the second."""
    mdp = TabularMDP(ONE_STATE, [reward], 0.5)
    q_star = solve(mdp, atol=1e-12).q
    return {"mdp": mdp, "q_star": q_star, "pi": np.array([[0.0, 1.0]]), "d": np.ones(1)}


def test_a_positive_optimum_does_not_make_the_m_step_maximise_the_objective():
    x = second_action([4.0, -3.0])
    np.testing.assert_allclose(x["q_star"], [[8.0, 1.0]], atol=1e-11)
    assert not em.gap_m_step(**x).ok
    assert em.gap_m_step_positive(**x).ok


def test_without_a_positive_optimum_nothing_is_claimed_of_the_m_step():
    assert em.gap_m_step(**second_action([-1.0, -3.0])).ok


def fitted(theta, *, conditioned):
    """KL of q, from theta = 1/2, to p_theta(tau|O) or p_theta(tau): prize 4 of chance 1/2, safe 3, c = 1."""
    chance, tilt = np.array([0.5, 0.5, 1.0]), np.exp([4.0, 0.0, 3.0])
    prior = chance * np.array([theta, theta, 1 - theta])
    q = chance * tilt / (chance * tilt).sum()
    p = prior * tilt / (prior * tilt).sum() if conditioned else prior
    return float(np.sum(q * np.log(q / p)))


@pytest.mark.parametrize(("conditioned", "expected"), [(True, 0.5), (False, 0.581)])
def test_the_printed_pseudo_likelihood_objective_stays_where_it_is(conditioned, expected):
    """The minimiser is w/(w + e^3) = 0.5806, w = (e^4 + 1)/2; the grid has thousandths."""
    grid = np.arange(1, 1000) / 1000
    found = grid[np.argmin([fitted(theta, conditioned=conditioned) for theta in grid])]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_the_claim_finds_the_same_for_lotteries(share):
    x = {"p": 0.5, "prize": 4.0, "c": 1.0, "share": share}
    assert not pseudo_likelihood.printed_risk_gap(**x).ok
    assert pseudo_likelihood.risk_gap(**x).ok


def test_a_probability_of_one_half_is_not_above_the_threshold(monkeypatch):
    monkeypatch.setattr(merl, "_soft_probability", lambda *_: (0.5, 1e-12))
    assert not merl.threshold_gap(k1=40, gamma=0.9, c=1.0).ok


def test_the_projected_error_of_a_fixed_policy_may_be_one_ninth_everywhere():
    ((_, x),) = convergence._singular_example()
    mdp, b = x["mdp"], x["b"]
    for omega in (-3.0, 0.0, 5.0):
        q = b[:, :, 0] * omega
        beta = mdp.reward + mdp.gamma * q[0, 0] - q
        assert projected_residual_error(b, beta) == pytest.approx(1 / 9, rel=1e-12)
    assert not convergence.policy_zero_gap(**x).ok


def test_a_second_zero_is_seen(monkeypatch):
    """With one feature that every successor repeats, b (1 - gamma) omega = r has one zero: 2, at r = 1."""
    mdp = TabularMDP([[[1.0]]], [[1.0]], 0.5)
    x = {"mdp": mdp, "b": np.ones((1, 1, 1)), "pi": np.ones((1, 1))}
    assert convergence.only_zero_gap(**x).ok
    monkeypatch.setattr(convergence, "_error_at", lambda *_: 0.0)
    assert not convergence.only_zero_gap(**x).ok


def test_minimising_the_objective_maximises_the_divergence():
    x = {"mdp": TabularMDP(ONE_STATE, [[1.0, 1.0]], 0.0), "q": np.zeros((1, 2)), "d": np.ones(1), "eps": 0.5}
    gap = posterior.minimising_gap(q_star=np.ones((1, 2)), **x)
    assert gap.error == pytest.approx(np.log(2), rel=1e-15)
    assert not gap.ok
    assert posterior.minimising_gap(q_star=np.zeros((1, 2)), **x).ok  # Assumption 1 is gone
