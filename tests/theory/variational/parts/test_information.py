"""Conditional information, latent policies and the chain rule: by hand, closed forms, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.parts.information import (
    as_observation,
    chain_kl,
    conditional_information,
    latent_policy,
    latent_posterior,
    require_same_actions,
)

LOW = np.array([[[1.0, 0.0]], [[0.25, 0.75]]])


def test_information_of_a_policy_that_shows_the_hidden_bit_is_one_bit():
    pi = [[1.0, 0.0], [0.0, 1.0]]
    assert conditional_information(pi, d=[0.5, 0.5], observation=[0, 0]) == pytest.approx(
        math.log(2), rel=1e-15
    )


def test_information_is_zero_where_nothing_is_hidden_or_the_policy_does_not_use_it():
    assert conditional_information([[1.0, 0.0], [0.0, 1.0]], d=[0.5, 0.5], observation=[3, 7]) == 0
    assert conditional_information([[0.3, 0.7], [0.3, 0.7]], d=[0.2, 0.8], observation=[0, 0]) == 0


def test_states_without_weight_do_not_count():
    pi = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    assert conditional_information(pi, d=[1.0, 0.0, 0.0], observation=[0, 0, 1]) == 0


def test_the_hand_worked_latent_policy_and_posterior():
    high = [[0.5, 0.5]]  # 1/2 (1, 0) + 1/2 (1/4, 3/4) = (5/8, 3/8)
    assert latent_policy(high, LOW).tolist() == [[0.625, 0.375]]
    np.testing.assert_allclose(latent_posterior(high, LOW)[0], [[0.8, 0.2], [0.0, 1.0]], rtol=1e-15)


def test_the_posterior_of_an_action_that_is_never_taken_is_the_high_level():
    assert latent_posterior([[1.0, 0.0]], LOW)[0, 1].tolist() == [1.0, 0.0]


def test_a_shared_low_level_leaves_the_divergence_of_the_high_level():
    high, default = [[0.25, 0.75]], [[0.5, 0.5]]
    by_hand = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    shared = chain_kl(high, LOW, default_high=default)
    np.testing.assert_allclose(shared, [by_hand], rtol=1e-14)
    np.testing.assert_allclose(chain_kl(high, LOW, default_high=default, default_low=LOW), shared, rtol=1e-15)


def test_the_chain_weighs_low_levels_by_the_high_level():
    default = np.array([[[0.5, 0.5]], [[0.25, 0.75]]])
    found = chain_kl([[0.25, 0.75]], LOW, default_high=[[0.25, 0.75]], default_low=default)
    np.testing.assert_allclose(found, [0.25 * math.log(2)], rtol=1e-14)


def test_an_unused_latent_may_have_an_infinite_divergence():
    default = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    assert chain_kl([[1.0, 0.0]], LOW, default_high=[[1.0, 0.0]], default_low=default).tolist() == [0.0]
    assert chain_kl([[0.5, 0.5]], LOW, default_high=[[0.5, 0.5]], default_low=default).tolist() == [np.inf]


@pytest.mark.parametrize("given", ["0, 0,1", [0, 0, 1], np.array([5, 5, 9])])
def test_observations_are_numbered_from_zero(given):
    assert as_observation(given, 3).tolist() == [0, 0, 1]


def test_without_an_observation_the_prior_sees_everything():
    assert as_observation(None, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("0,x,1", "'0,x,1'"),
        ([0.5, 0, 1], r"\[0.5, 0, 1\]"),
        ([0, 1], r"\(2,\)"),
        ([[0, 1, 2]], r"\(1, 3\)"),
        ("", "''"),
        (5000 * "9", "999"),  # more digits than Python's own int() takes
        ("0,0," + 20 * "9", "999"),
    ],
)
def test_a_bad_observation_is_named(given, found):
    with pytest.raises(InputError, match=f"`observation` .*{found}"):
        as_observation(given, 3)


def test_states_with_different_actions_need_different_observations():
    available = np.array([[True, True], [True, False], [True, True]])
    require_same_actions(available, np.array([0, 1, 0]))
    with pytest.raises(InputError, match=r"`observation` must differ .* found 0 in the states \[0, 1\]"):
        require_same_actions(available, np.array([0, 0, 1]))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: conditional_information([0.5, 0.5], d=[1.0], observation=[0]), "pi"),
        (lambda: conditional_information([[0.5, 0.5]], d=[0.5], observation=[0]), "d"),
        (lambda: latent_policy([[0.5, 0.5]], LOW[:1]), "low"),
        pytest.param(lambda: latent_policy([[0.5, 0.5]], LOW[0]), "low", id="low of two axes"),
        (lambda: latent_policy([[0.5, 0.6]], LOW), "high"),
        (lambda: chain_kl([[0.5, 0.5]], LOW, default_high=[[1.0]]), "default_high"),
        (lambda: chain_kl([[0.5, 0.5]], LOW, default_high=[[0.5, 0.5]], default_low=LOW[:1]), "default_low"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(InputError, match=f"`{name}`"):
        call()
