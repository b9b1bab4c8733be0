"""Bellman operators: worked example, naive re-implementation, limits, edges, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import (
    bellman_boltzmann,
    bellman_incremental,
    bellman_optimal,
    bellman_policy,
    bellman_soft,
    state_value,
)

# Two states; action 0 stays, action 1 moves to the other state; gamma = 1/2.
TWO_STATES = TabularMDP(
    np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]), np.array([[0.0, -1.0], [2.0, 0.0]]), 0.5
)
Q = np.array([[math.log(3), 0.0], [2.0, 2.0]])


def boltzmann(mdp, q, eps=0.7):
    return bellman_boltzmann(mdp, q, eps=eps)


def incremental(mdp, q, eps=0.7):
    return bellman_incremental(mdp, q, eps_k=eps)


def soft(mdp, q, eps=0.7):
    return bellman_soft(mdp, q, c=eps)


def uniform_policy(mdp, q):
    return bellman_policy(mdp, q, pi=mdp.available / mdp.available.sum(axis=1, keepdims=True))


BOLTZMANN = [boltzmann, incremental]
AT_TEMPERATURE = [*BOLTZMANN, soft]
ALL = [uniform_policy, bellman_optimal, *AT_TEMPERATURE]


def _random(seed=0, masked=False):
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 3)) > 0.4
    mask[:, 1] = True
    p = rng.dirichlet(np.ones(4), size=(4, 3))
    if not masked:
        return TabularMDP(p, rng.normal(size=(4, 3)), 0.9), rng.normal(size=(4, 3)) * 3
    mdp = TabularMDP(p * mask[:, :, None], rng.normal(size=(4, 3)), 0.9, mask=mask)
    return mdp, np.where(mask, rng.normal(size=(4, 3)) * 3, -np.inf)


def test_the_hand_worked_policy_backup():
    # V(0) = (3/4) log 3, V(1) = 2
    pi = np.array([[0.75, 0.25], [0.5, 0.5]])
    v0 = 0.75 * math.log(3)
    np.testing.assert_allclose(state_value(TWO_STATES, Q, pi=pi), [v0, 2.0], rtol=1e-15)
    expected = [[0.5 * v0, 0.0], [3.0, 0.5 * v0]]
    np.testing.assert_allclose(bellman_policy(TWO_STATES, Q, pi=pi), expected, rtol=1e-15)


def test_the_hand_worked_optimal_backup():
    expected = [[0.5 * math.log(3), 0.0], [3.0, 0.5 * math.log(3)]]
    np.testing.assert_allclose(bellman_optimal(TWO_STATES, Q), expected, rtol=1e-15)


@pytest.mark.parametrize("operator", BOLTZMANN)
def test_the_hand_worked_boltzmann_backup(operator):
    # exp(log 3) : exp(0) = 3 : 1 in state 0, a tie in state 1
    v0 = 0.75 * math.log(3)
    np.testing.assert_allclose(operator(TWO_STATES, Q, 1.0), [[0.5 * v0, 0.0], [3.0, 0.5 * v0]], rtol=1e-14)


def test_the_hand_worked_soft_backup():
    # log(3 + 1) = log 4 in state 0, 2 + log 2 in state 1
    v0, v1 = math.log(4), 2 + math.log(2)
    expected = [[0.5 * v0, 0.5 * v1 - 1], [0.5 * v1 + 2, 0.5 * v0]]
    np.testing.assert_allclose(bellman_soft(TWO_STATES, Q, c=1.0), expected, rtol=1e-14)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("eps", [0.1, 1.0, 10.0])
def test_every_operator_equals_a_naive_loop(masked, eps):
    mdp, q = _random(masked=masked)
    tol = (4 * 3 + 4 + 16) * 2.3e-16 * (20 + eps * math.log(3))
    mean, log_sum, top = np.empty(4), np.empty(4), np.empty(4)
    for s in range(4):
        values = [q[s, a] for a in range(3) if mdp.available[s, a]]
        weights = [math.exp(x / eps) for x in values]
        mean[s] = sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)
        log_sum[s], top[s] = eps * math.log(sum(weights)), max(values)
    outs = [op(mdp, q, eps) for op in AT_TEMPERATURE] + [bellman_optimal(mdp, q)]
    for out, v in zip(outs, [mean, mean, log_sum, top], strict=True):
        for s, a in np.ndindex(4, 3):
            if mdp.available[s, a]:
                naive = mdp.reward[s, a] + 0.9 * sum(mdp.transition[s, a, t] * v[t] for t in range(4))
                assert out[s, a] == pytest.approx(naive, abs=tol)
            else:
                assert out[s, a] == -np.inf


@pytest.mark.parametrize("operator", AT_TEMPERATURE)
def test_temperature_zero_is_the_optimal_operator_ties_included(operator):
    mdp, q = _random(masked=True)
    np.testing.assert_array_equal(operator(mdp, q, 0.0), bellman_optimal(mdp, q))
    np.testing.assert_array_equal(operator(TWO_STATES, Q, 0.0), bellman_optimal(TWO_STATES, Q))


@pytest.mark.parametrize("temperature", [3e307, 1e300, 1.0])
def test_values_whose_differences_overflow(temperature):
    """Scaled by 2^-100 the same values and temperature are far from overflow, and everything is exact."""
    mdp, scale = TabularMDP([[[1.0], [1.0], [1.0]]], [[0.0, 0.0, 0.0]], 0.25), 2.0**-100
    q = np.array([[1.2e308, -1e308, 1.1e308]])
    for operator, name in (bellman_soft, "c"), (bellman_boltzmann, "eps"), (bellman_incremental, "eps_k"):
        small = operator(mdp, q * scale, **{name: temperature * scale}) / scale
        np.testing.assert_allclose(operator(mdp, q, **{name: temperature}), small, rtol=1e-14)


@pytest.mark.parametrize("operator", AT_TEMPERATURE)
@pytest.mark.parametrize("eps", [5e-324, 1e-300, 1e-4])
def test_tiny_temperatures_neither_overflow_nor_lose_the_maximum(operator, eps):
    mdp, q = _random()
    np.testing.assert_allclose(operator(mdp, q * 1e4, eps), bellman_optimal(mdp, q * 1e4), rtol=1e-13)


@pytest.mark.parametrize("operator", BOLTZMANN)
def test_a_huge_temperature_averages_over_the_actions_that_exist(operator):
    mdp, q = _random(masked=True)
    uniform = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(operator(mdp, q, 1e300), bellman_policy(mdp, q, pi=uniform), rtol=1e-13)


@pytest.mark.parametrize("operator", ALL)
def test_one_state_one_action_and_no_future(operator):
    assert operator(TabularMDP(np.ones((1, 1, 1)), np.array([[3.0]]), 0.0), [[7.0]]).tolist() == [[3.0]]
    assert operator(TabularMDP(np.ones((1, 1, 1)), np.array([[3.0]]), 0.5), [[7.0]]).tolist() == [[6.5]]


@pytest.mark.parametrize("operator", ALL)
def test_the_result_is_a_new_array_and_the_input_is_left_alone(operator):
    mdp, q = _random()
    before = q.copy()
    out = operator(mdp, q)
    assert not np.shares_memory(out, q)
    np.testing.assert_array_equal(q, before)


@pytest.mark.parametrize("operator", ALL)
def test_bad_tables_are_named(operator):
    with pytest.raises(InputError, match=r"`q` must have shape \[2, 2\]"):
        operator(TWO_STATES, np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"`q` must be finite; found nan at \[1, 0\]"):
        operator(TWO_STATES, [[0.0, 0.0], [np.nan, 0.0]])


@pytest.mark.parametrize("eps", [-1.0, np.inf, np.nan])
def test_bad_temperatures_are_named(eps):
    with pytest.raises(InputError, match="`eps` must be non-negative and finite"):
        bellman_boltzmann(TWO_STATES, Q, eps=eps)
    with pytest.raises(InputError, match="`eps_k` must be non-negative and finite"):
        bellman_incremental(TWO_STATES, Q, eps_k=eps)
    with pytest.raises(InputError, match="`c` must be non-negative and finite"):
        bellman_soft(TWO_STATES, Q, c=eps)


def test_a_policy_that_does_not_sum_to_one_is_named():
    with pytest.raises(InputError, match="`pi` must sum to 1"):
        bellman_policy(TWO_STATES, Q, pi=[[1.0, 0.5], [1.0, 0.0]])
