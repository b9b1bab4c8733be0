"""Particle planning and SPO: counterexamples by hand, the array of two particles, figures, sources."""

import math

import numpy as np
import pytest

from verify.claims.particles import evidence, figures, first_action, limit, one_step, weights
from verify.claims.particles.tools import moved, path_evidence, soft_recursion, two_particles, without_chance
from virel_theory.mdp.tabular import TabularMDP

CHOICE = TabularMDP(  # state 0 leads to 1, where both actions are alike, or to 2, where one is better by 2
    np.array([[[0, 1, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 1]]], dtype=float),
    np.array([[0.0, 0.0], [0.0, 0.0], [1.0, -1.0]]),
    0.5,
)
HALF = np.full((3, 2), 0.5)


def test_spo_prefers_states_with_a_choice_though_both_actions_are_worth_the_same():
    # Q(0, .) = 0 and A = 0 for both; A(2, .) = 1, -1, so that Z(2) = cosh 1 at eta = 1
    assert one_step.policy_values(CHOICE, HALF).tolist() == [0.0, 0.0, 0.0]
    found = one_step.marginal_gap(mdp=CHOICE, pi=HALF, eta=1.0)
    assert found.error == pytest.approx(math.cosh(1) / (1 + math.cosh(1)) - 0.5, rel=1e-12)
    assert not found.ok
    assert one_step.corrected_marginal_gap(mdp=CHOICE, pi=HALF, eta=1.0).ok


def test_spo_leaves_out_the_discount_of_the_next_value():
    one = TabularMDP([[[1.0]]], [[1.0]], 0.5)  # V = 2, A = 0, printed estimate 1
    assert one_step.advantage_gap(mdp=one, pi=np.ones((1, 1))).error == 1.0
    assert one_step.corrected_advantage_gap(mdp=one, pi=np.ones((1, 1))).error == 0.0


def test_the_lottery_is_taken_by_plans_and_left_by_merl():
    mdp, half = figures.lottery(), np.full((4, 2), 0.5)
    merl = soft_recursion(mdp, np.zeros(4), half, temperatures=[1.0, 1.0], discount=1.0)
    assert merl[0][0, 1] == pytest.approx(math.e / (math.e + math.exp(1.2)), rel=1e-14)
    win = (math.exp(3) + math.exp(-1)) / 2
    (figure,) = figures.risk_figures(0)
    plan = figure.panels[0].curves[0]
    at_one = np.interp(1.0, plan.x, plan.y)
    assert at_one == pytest.approx(win / (win + math.exp(1.2)), abs=1e-3)


def test_the_array_of_two_particles_holds_a_law_and_the_evidence():
    rng = np.random.default_rng(0)
    mdp = TabularMDP(rng.dirichlet(np.ones(2), size=(2, 2)), rng.normal(size=(2, 2)), 0.5)
    v, prior, proposal = rng.normal(size=2), np.full((2, 2), 0.5), np.array([[0.25, 0.75], [0.5, 0.5]])
    steps = [moved(mdp, v, prior, proposal, alpha=1.0, discount=0.5, t=t) for t in range(2)]
    probability, estimate, share = two_particles(*steps, 1)
    assert probability.sum() == pytest.approx(1.0, rel=1e-14)
    exact = path_evidence(mdp, v, prior, alpha=1.0, discount=0.5, s=1)
    assert (probability * estimate).sum() == pytest.approx(exact.sum(), rel=1e-13)
    first = np.arange(4) // 2  # the action of a draw
    on_zero = share[..., 0] * (first == 0)[:, None, None, None, None, None]
    on_zero = on_zero + share[..., 1] * (first == 0)[None, :, None, None, None, None]
    np.testing.assert_allclose((probability * estimate * on_zero).sum(), exact[0], rtol=1e-13)


def test_an_mdp_without_chance_takes_the_likeliest_successor():
    mdp = TabularMDP([[[0.25, 0.75]], [[0.5, 0.5]]], [[1.0], [0.0]], 0.5)
    np.testing.assert_array_equal(without_chance(mdp).dense_transition, [[[0, 1]], [[1, 0]]])


def test_the_error_in_the_figure_falls_by_the_root_of_the_number_of_particles():
    (figure,) = figures.consistency_figures(0)
    panel = figure.panels[0]
    for curve in panel.curves[:-1]:
        slope = np.polyfit(np.log(curve.x[3:]), np.log(curve.y[3:]), 1)[0]
        assert slope == pytest.approx(-0.5, abs=0.1)
    assert panel.curves[-1].kind == "predicted"


def test_every_statement_of_the_folder_says_that_it_is_ours_or_quotes():
    claims = [c for m in (evidence, first_action, limit, weights, one_step) for c in m.CLAIMS]
    assert {c.id for c in claims if c.printed} == {"spo-advantage", "spo-marginal"}
