"""MERL: hand-worked numbers, the talk's counterexample, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.merl import (
    merl_counterexample_probability,
    merl_objective,
    merl_policy,
)
from virel_theory.models.draw import merl_counterexample
from virel_theory.solvers.soft import soft_value_iteration

LOOP = TabularMDP(
    np.ones((1, 2, 1)), np.array([[math.log(3), 0.0]]), 0.5
)  # one state, c = 1: V = log 4 + V / 2


def _random(masked=False):
    rng = np.random.default_rng(1)
    p, mask = rng.dirichlet(np.ones(4), size=(4, 3)), np.ones((4, 3), bool)
    if masked:
        mask[0, 0] = mask[2, 1:] = False
    return TabularMDP(p * mask[:, :, None], rng.normal(size=(4, 3)), 0.9, mask=mask)


def test_the_hand_worked_soft_values_are_within_their_error_bound():
    soft = soft_value_iteration(LOOP, c=1.0, atol=1e-12)
    v = 2 * math.log(4)
    assert np.abs(soft.q - [[math.log(3) + v / 2, v / 2]]).max() <= soft.error_bound <= 1e-12
    np.testing.assert_allclose(merl_policy(soft.q, c=1.0), [[0.75, 0.25]], rtol=1e-11)


def test_the_hand_worked_objective_of_the_optimal_policy_is_its_soft_value():
    # V = log 4 / (1 - 1/2); a uniform policy earns (log 3)/2 + log 2 a step
    assert merl_objective(LOOP, pi=[[0.75, 0.25]], c=1.0) == pytest.approx(2 * math.log(4), rel=1e-14)
    uniform = merl_objective(LOOP, pi=[[0.5, 0.5]], c=1.0)
    assert uniform == pytest.approx(2 * (math.log(3) / 2 + math.log(2)), rel=1e-14)


@pytest.mark.parametrize("masked", [False, True])
def test_the_merl_policy_attains_the_soft_value_and_no_random_policy_beats_it(masked):
    mdp = _random(masked)
    soft = soft_value_iteration(mdp, c=0.5, atol=1e-9)
    pi = merl_policy(soft.q, c=0.5)
    v = 0.5 * np.log(np.exp(soft.q / 0.5).sum(axis=1))
    best = merl_objective(mdp, pi=pi, c=0.5)
    assert best == pytest.approx(
        mdp.initial @ v, abs=1e-7
    )  # a policy of values within 1e-9 loses below 2e-9/0.1
    rng = np.random.default_rng(2)
    for _ in range(20):
        other = rng.exponential(size=(4, 3)) * mdp.available
        assert merl_objective(mdp, pi=other / other.sum(axis=1, keepdims=True), c=0.5) < best


def test_the_objective_equals_a_long_sum_over_time():
    mdp = _random()
    pi = np.random.default_rng(3).dirichlet(np.ones(3), size=4)
    d, total = mdp.initial.copy(), 0.0
    for t in range(400):  # 0.9^400 < 1e-18
        total += 0.9**t * float(np.sum(d[:, None] * pi * (mdp.reward - 0.5 * np.log(pi))))
        d = np.einsum("s,sa,sat->t", d, pi, mdp.transition)
    assert merl_objective(mdp, pi=pi, c=0.5) == pytest.approx(total, rel=1e-12)
    assert merl_objective(mdp.to_sparse(), pi=pi, c=0.5) == pytest.approx(total, rel=1e-12)


def test_sixteen_actions_at_gamma_one_half_pass_the_threshold():
    # k1^-gamma = 1/4, exp(1/c) = e: e/4 < 1, so p = 1/(1 + e/4) > 1/2
    expected = 1 / (1 + math.e / 4)
    assert merl_counterexample_probability(16, gamma=0.5, c=1.0) == pytest.approx(expected, rel=1e-15)
    mdp = merl_counterexample(16, gamma=0.5)
    policy = merl_policy(soft_value_iteration(mdp, c=1.0, atol=1e-10).q, c=1.0)
    assert policy[0, 0] == pytest.approx(expected, abs=1e-10)
    assert expected > 0.5


def test_the_closed_form_does_not_overflow():
    assert merl_counterexample_probability(2, gamma=0.9, c=1e-5) == 0.0
    assert merl_counterexample_probability(1, gamma=0.0, c=1e300) == 0.5


def test_one_action_and_no_future_have_no_entropy():
    one = TabularMDP(np.ones((1, 1, 1)), np.array([[3.0]]), 0.0)
    assert soft_value_iteration(one, c=2.0, atol=1e-9).q.tolist() == [[3.0]]
    assert merl_objective(one, pi=[[1.0]], c=2.0) == 3.0


def test_bad_input_is_named():
    with pytest.raises(InputError, match="`c` must be positive and finite"):
        merl_policy([[1.0, 0.0]], c=0.0)
    with pytest.raises(InputError, match="`c` must be non-negative and finite"):
        merl_objective(LOOP, pi=[[0.5, 0.5]], c=-1.0)
    with pytest.raises(InputError, match="`k1` must be a positive integer; found 0"):
        merl_counterexample_probability(0, gamma=0.5, c=1.0)
    with pytest.raises(InputError, match="`gamma` must lie in"):
        merl_counterexample_probability(2, gamma=1.0, c=1.0)
