"""Sampled soft values: numbers by hand, moments against simulation, masks, invalid input."""

import math
from itertools import pairwise

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.parts.value_samples import sampled_soft_values

HALF = [[0.5, 0.5]]


def test_two_samples_of_two_actions_by_hand():
    # w = 2 e^0 and 2 e^(log 3): means (2, 4, 6) of the pairs, with chances 1/4, 1/2, 1/4
    law = sampled_soft_values([[0.0, math.log(3)]], proposal=HALF, alpha=1.0, n=2)
    found = sorted(zip(law.value[0].tolist(), law.probability[0].tolist(), strict=True))
    np.testing.assert_allclose(
        found, [[math.log(2), 0.25], [math.log(4), 0.5], [math.log(6), 0.25]], rtol=1e-14
    )
    assert law.mean[0] == pytest.approx(math.log(2) / 4 + math.log(4) / 2 + math.log(6) / 4, rel=1e-14)


def test_one_sample_estimates_the_mean_of_the_log_weights():
    q, mu = np.array([[1.0, -0.5, 2.0]]), np.array([[0.2, 0.3, 0.5]])
    law = sampled_soft_values(q, proposal=mu, alpha=0.5, n=1)
    assert law.mean[0] == pytest.approx(float(np.sum(mu * (q - 0.5 * np.log(mu)))), rel=1e-14)


def test_the_exponential_is_unbiased_and_the_bias_falls_with_every_sample():
    q, mu = np.array([[1.0, -0.5, 2.0]]), np.array([[0.2, 0.3, 0.5]])
    v = 0.5 * math.log(np.exp(q / 0.5).sum())
    laws = [sampled_soft_values(q, proposal=mu, alpha=0.5, n=n) for n in range(1, 9)]
    for law in laws:
        assert law.probability.sum() == pytest.approx(1.0, rel=1e-13)
        assert np.sum(law.probability * np.exp((law.value - v) / 0.5)) == pytest.approx(1.0, rel=1e-12)
    means = [law.mean[0] for law in laws]
    assert all(a < b < v for a, b in pairwise(means))


def test_with_the_boltzmann_policy_as_proposal_every_estimate_is_the_soft_value():
    q = np.array([[1.0, -0.5, 2.0], [0.0, 3.0, 1.0]])
    mu = np.exp(q) / np.exp(q).sum(axis=1, keepdims=True)
    law = sampled_soft_values(q, proposal=mu, alpha=1.0, n=3)
    np.testing.assert_allclose(
        law.value, np.log(np.exp(q).sum(axis=1))[:, None] + np.zeros((1, 10)), rtol=1e-14
    )


def test_more_actions_than_functions_may_be_nested():
    n_actions = 1200  # Python allows 1000 nested calls
    q, mu = np.arange(n_actions)[None] / n_actions, np.full((1, n_actions), 1 / n_actions)
    law = sampled_soft_values(q, proposal=mu, alpha=1.0, n=1)
    np.testing.assert_allclose(law.probability, 1 / n_actions, rtol=1e-12)
    # One sample of a uniform proposal estimates q + log A: rounding of (A + 16) ulps of 1 + 2 log A.
    np.testing.assert_allclose(np.sort(law.value), q + math.log(n_actions), rtol=0, atol=5e-12)


def test_missing_actions_are_never_drawn():
    law = sampled_soft_values([[1.0, -np.inf], [0.0, 0.0]], proposal=[[1.0, 0.0], *HALF], alpha=1.0, n=2)
    assert law.mean.tolist() == pytest.approx([1.0, math.log(2)])
    assert law.value[0][law.probability[0] > 0].tolist() == pytest.approx([1.0])


def test_large_values_do_not_overflow():
    law = sampled_soft_values([[1e5, 0.0]], proposal=HALF, alpha=1.0, n=1)
    assert law.mean[0] == pytest.approx(5e4 + math.log(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "`n` must be a positive integer; found 0"),
        ({"n": 2.5}, "`n` must be a positive integer"),
        ({"n": 10**7}, "`n` must leave at most 1000000 atoms"),
        ({"n": 10**400}, "`n` must leave at most 1000000 atoms"),
        ({"alpha": 0.0}, "`alpha` must be positive"),
        (
            {"proposal": [[1.0, 0.0]]},
            r"`proposal` must be positive on every existing action; found 0.0 at \[0, 1\]",
        ),
        ({"proposal": [[0.5, 0.6]]}, "`proposal` must sum to 1"),
        ({"q": [[np.nan, 0.0]]}, "`q`"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"q": [[0.0, 0.0]], "proposal": HALF, "alpha": 1.0, "n": 2} | change
    with pytest.raises(InputError, match=message):
        sampled_soft_values(arguments.pop("q"), **arguments)


def test_temperatures_far_below_the_values_estimate_the_best_action_that_is_drawn():
    law = sampled_soft_values([[1e10, -2e10, -np.inf]], proposal=[[0.5, 0.5, 0.0]], alpha=1e-300, n=2)
    on = law.probability[0] > 0
    assert sorted(zip(law.value[0, on].tolist(), law.probability[0, on].round(12).tolist(), strict=True)) == [
        (-2e10, 0.25),
        (1e10, 0.25),
        (1e10, 0.5),
    ]
