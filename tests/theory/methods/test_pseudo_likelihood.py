"""Pseudo-likelihood: the safe arm against the lottery by hand, naive enumeration, extremes, bad input."""

import itertools
import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import (
    expected_episode_return,
    pseudo_log_likelihood,
    pseudo_optimal_policy,
    pseudo_posterior_policy,
)

# State 0: action 0 goes to state 1 (worth 1), action 1 to state 2 (worth 3, chance 1/4) or 3 (worth 0).
# Mean of the lottery 3/4 < 1, but E[exp(R)] = (e^3 + 3)/4 = 5.77 > e = 2.72.
MOVES = np.repeat(np.eye(4)[:, None, :], 2, axis=1)
MOVES[0] = [[0, 1, 0, 0], [0, 0, 0.25, 0.75]]
ARMS = TabularMDP(MOVES, np.array([[0.0, 0], [1, 1], [3, 3], [0, 0]]), 0.0, initial=np.eye(4)[0])
SAFE, LOTTERY, HALF = np.tile([1.0, 0], (4, 1)), np.tile([0.0, 1], (4, 1)), np.full((4, 2), 0.5)
TILTED = (math.exp(3) + 3) / 4


def test_the_lottery_has_the_lower_mean_and_the_higher_evidence():
    assert expected_episode_return(ARMS, pi=SAFE, horizon=2) == 1.0
    assert expected_episode_return(ARMS, pi=LOTTERY, horizon=2) == 0.75
    assert pseudo_log_likelihood(ARMS, pi=SAFE, c=1.0, horizon=2) == pytest.approx(1.0, rel=1e-15)
    evidence = pseudo_log_likelihood(ARMS, pi=LOTTERY, c=1.0, horizon=2)
    assert evidence == pytest.approx(math.log(TILTED), rel=1e-14)


def test_the_forward_kl_fit_prefers_the_lottery_and_the_maximiser_takes_it():
    fitted = pseudo_posterior_policy(ARMS, prior=HALF, c=1.0, horizon=2)
    assert fitted[0, 0, 1] == pytest.approx(TILTED / (TILTED + math.e), rel=1e-14)
    assert pseudo_optimal_policy(ARMS, c=1.0, horizon=2)[0, 0].tolist() == [0.0, 1.0]


def test_a_high_temperature_makes_it_risk_neutral():
    assert pseudo_optimal_policy(ARMS, c=100.0, horizon=2)[0, 0].tolist() == [1.0, 0.0]
    equivalent = 1e6 * pseudo_log_likelihood(ARMS, pi=LOTTERY, c=1e6, horizon=2)
    assert equivalent == pytest.approx(0.75, abs=1e-5)  # the variance term is 27/16 / (2e6)


def test_repeated_fits_converge_to_the_maximiser():
    policy = HALF
    for _ in range(60):  # the odds grow by TILTED / e = 2.1 a step
        policy = pseudo_posterior_policy(ARMS, prior=policy, c=1.0, horizon=2)[0]
    assert policy[0, 1] > 1 - 1e-15


@pytest.mark.parametrize("masked", [False, True])
def test_the_evidence_and_the_fit_equal_sums_over_all_trajectories(masked):
    rng = np.random.default_rng(0)
    mask = np.ones((3, 2), bool)
    mask[1, 0] = not masked
    p = rng.dirichlet(np.ones(3), size=(3, 2)) * mask[:, :, None]
    mdp = TabularMDP(p, rng.normal(size=(3, 2)), 0.5, mask=mask)
    pi = rng.exponential(size=(3, 2)) * mask
    pi /= pi.sum(axis=1, keepdims=True)
    total, second = 0.0, np.zeros((3, 2))
    for s0, a0, s1, a1 in itertools.product(range(3), range(2), range(3), range(2)):
        weight = pi[s0, a0] * p[s0, a0, s1] * pi[s1, a1] / 3
        weight *= math.exp((mdp.reward[s0, a0] + mdp.reward[s1, a1]) / 0.7)
        total += weight
        second[s1, a1] += weight
    for either in (mdp, mdp.to_sparse()):
        value = pseudo_log_likelihood(either, pi=pi, c=0.7, horizon=2)
        assert value == pytest.approx(math.log(total), rel=1e-13)
        fitted = pseudo_posterior_policy(either, prior=pi, c=0.7, horizon=2)[1]
        np.testing.assert_allclose(fitted, second / second.sum(axis=1, keepdims=True), rtol=1e-13)


def test_returns_ten_thousand_times_the_temperature_stay_finite():
    assert pseudo_log_likelihood(ARMS, pi=SAFE, c=1e-4, horizon=2) == pytest.approx(1e4, rel=1e-14)
    expected = 3e4 - math.log(4)  # the other outcome weighs exp(-30000)
    assert pseudo_log_likelihood(ARMS, pi=LOTTERY, c=1e-4, horizon=2) == pytest.approx(expected, rel=1e-14)


def test_ties_are_shared():
    assert pseudo_optimal_policy(ARMS, c=1.0, horizon=1).tolist() == [[[0.5, 0.5]] * 4]


def test_bad_input_is_named():
    with pytest.raises(InputError, match="`horizon` must be a positive integer; found 0"):
        pseudo_log_likelihood(ARMS, pi=SAFE, c=1.0, horizon=0)
    with pytest.raises(InputError, match="`c` must be positive and finite"):
        pseudo_optimal_policy(ARMS, c=0.0, horizon=1)
    with pytest.raises(InputError, match="`prior` must sum to 1"):
        pseudo_posterior_policy(ARMS, prior=np.ones((4, 2)), c=1.0, horizon=1)


@pytest.mark.filterwarnings("error")
def test_messages_that_leave_float64_are_refused():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1e300, 0.0]], 0.5)
    for call in (
        lambda: pseudo_posterior_policy(mdp, prior=[[0.5, 0.5]], c=1e-300, horizon=2),
        lambda: pseudo_optimal_policy(mdp, c=1e-300, horizon=2),
        lambda: pseudo_log_likelihood(mdp, pi=[[0.5, 0.5]], c=0.5, horizon=2),
    ):
        with pytest.raises(InputError, match="`c` must be so large that horizon"):
            call()
    assert pseudo_optimal_policy(mdp, c=2.0, horizon=2).tolist() == [[[1.0, 0.0]]] * 2
