"""Stein variational gradient descent on an interval: by hand, closed forms, where particles go."""

import math

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from virel_common.errors import InputError
from virel_theory.variational.parts.stein import (
    action_weights,
    misplaced_score,
    squashed_score,
    stein_direction,
    stein_flow,
    tanh_rule,
)

FLAT = Polynomial([0.0])


def test_two_particles_by_hand():
    # at distance 1 with h = 1, k = e^(-1/2): 0 gets (1 * 2 + k * (3 - 1)) / 2, 1 gets (3 + k (2 + 1)) / 2
    k = math.exp(-0.5)
    found = stein_direction([0.0, 1.0], score=[2.0, 3.0], bandwidth=1.0)
    np.testing.assert_allclose(found, [(2 + 2 * k) / 2, (3 + 3 * k) / 2], rtol=1e-14)


def test_the_bandwidth_scales_distances():
    found = stein_direction([0.0, 2.0], score=[2.0, 3.0], bandwidth=2.0)
    k = math.exp(-0.5)
    np.testing.assert_allclose(found, [(2 + k * (3 - 0.5)) / 2, (3 + k * (2 + 0.5)) / 2], rtol=1e-14)


def test_the_direction_elsewhere_and_with_weights():
    found = stein_direction([0.0, 1.0], score=[2.0, 3.0], bandwidth=1.0, at=[0.0], weights=[1.0, 0.0])
    assert found.tolist() == [2.0]
    with_one = stein_direction([1.0], score=[3.0], bandwidth=1.0, at=[0.0])
    assert with_one[0] == pytest.approx(math.exp(-0.5) * (3 - 1), rel=1e-14)


def test_a_lone_particle_climbs_to_the_mode_of_u():
    # the density of u is proportional to 1 - tanh^2 u for a flat Q: mode 0; with Q = 2 a: 2 (1 - a^2) = 2 a
    assert stein_flow([0.9], q=FLAT, alpha=1.0, space="u", step=0.5, n_steps=300)[0] == pytest.approx(
        0, abs=1e-9
    )
    linear = stein_flow([-0.9], q=Polynomial([0.0, 2.0]), alpha=1.0, space="u", step=0.2, n_steps=500)
    assert linear[0] == pytest.approx((math.sqrt(5) - 1) / 2, abs=1e-9)


def test_scores_by_hand():
    q = Polynomial([1.0, 3.0, -2.0])  # Q' = 3 - 4 a
    a = np.array([0.5, -0.25])
    np.testing.assert_allclose(
        squashed_score(np.arctanh(a), q=q, alpha=2.0), (1 - a**2) * (3 - 4 * a) / 2 - 2 * a, rtol=1e-13
    )
    np.testing.assert_allclose(
        misplaced_score(a, q=q, alpha=2.0), (3 - 4 * a) / 2 - 2 * a / (1 - a**2), rtol=1e-13
    )


@pytest.mark.parametrize(("power", "mean_of_square"), [(0, 1 / 3), (1, 1 / 5), (2, 1 / 7)])
def test_action_weights_against_moments_of_beta_densities(power, mean_of_square):
    u, _ = tanh_rule()
    p = action_weights(q=FLAT, alpha=1.0, power=power)
    assert p.sum() == pytest.approx(1.0, rel=1e-13)
    assert float(p @ np.tanh(u) ** 2) == pytest.approx(mean_of_square, rel=1e-12)


def test_the_rule_integrates_an_exponential_exactly():
    u, w = tanh_rule()
    assert float(w @ np.exp(2 * np.tanh(u))) == pytest.approx(math.sinh(2), rel=1e-13)


def test_particles_moved_as_u_find_the_policy_and_those_moved_as_actions_another_density():
    q, start = Polynomial([0.0, 1.0, 1.0]), np.linspace(-0.9, 0.9, 40)
    u, _ = tanh_rule()
    means = [float(action_weights(q=q, alpha=1.0, power=k) @ np.tanh(u)) for k in (0, 1)]
    right = stein_flow(start, q=q, alpha=1.0, space="u", step=0.5, n_steps=400).mean()
    wrong = stein_flow(start, q=q, alpha=1.0, space="a", step=0.05, n_steps=800).mean()
    assert abs(right - means[0]) < abs(right - means[1]) / 5
    assert abs(wrong - means[1]) < abs(wrong - means[0]) / 5


def test_no_steps_leave_the_particles():
    np.testing.assert_allclose(
        stein_flow([0.25, 0.5], q=FLAT, alpha=1.0, space="u", step=1.0, n_steps=0), [0.25, 0.5], rtol=1e-15
    )


def test_equal_particles_have_a_bandwidth_of_one():
    found = stein_flow([0.5, 0.5], q=FLAT, alpha=1.0, space="a", step=0.1, n_steps=1)
    np.testing.assert_allclose(found, 0.5 + 0.1 * (-1 / 0.75), rtol=1e-13)


def test_actions_are_cut_short_of_the_ends():
    steep = Polynomial([0.0, 50.0])
    found = stein_flow([0.5], q=steep, alpha=1.0, space="a", step=1.0, n_steps=1)
    assert found.tolist() == [1 - 1e-6]


def test_the_median_bandwidth_by_hand():
    # distances 1/2 and log(3): m = 1/2, h^2 = m^2 / (2 log 3); one step of size 1 in the space of actions
    a, h = np.array([-0.25, 0.25]), 0.5 / math.sqrt(2 * math.log(3))
    score = misplaced_score(a, q=FLAT, alpha=1.0)
    expected = a + 0.01 * stein_direction(a, score=score, bandwidth=h)
    found = stein_flow(a, q=FLAT, alpha=1.0, space="a", step=0.01, n_steps=1)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stein_direction([], score=[], bandwidth=1.0), "`particles` must have shape"),
        (lambda: stein_direction([0.0], score=[0.0, 1.0], bandwidth=1.0), "`score` must have shape"),
        (lambda: stein_direction([0.0], score=[0.0], bandwidth=0.0), "`bandwidth` must be positive"),
        (
            lambda: stein_direction([0.0], score=[0.0], bandwidth=1.0, weights=[0.5]),
            "`weights` must sum to 1",
        ),
        (lambda: misplaced_score([1.0], q=FLAT, alpha=1.0), r"`a` must lie in \(-1, 1\); found 1.0"),
        (lambda: squashed_score([np.inf], q=FLAT, alpha=1.0), "`u` must be finite"),
        (lambda: action_weights(q=FLAT, alpha=-1.0), "`alpha` must be positive"),
        (lambda: action_weights(q=FLAT, alpha=1.0, power=-1), "`power` must be an integer of at least 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"particles": [1.0]}, r"`particles` must lie in \(-1, 1\)"),
        ({"space": "b"}, "`space` must be 'u' or 'a'"),
        ({"step": 0.0}, "`step` must be positive"),
        ({"n_steps": -1}, "`n_steps` must be an integer of at least 0"),
    ],
)
def test_a_bad_flow_is_named(change, message):
    arguments = {
        "particles": [0.5],
        "q": FLAT,
        "alpha": 1.0,
        "space": "u",
        "step": 1.0,
        "n_steps": 1,
    } | change
    with pytest.raises(InputError, match=message):
        stein_flow(arguments.pop("particles"), **arguments)


def test_action_weights_at_the_lowest_temperatures_are_those_of_the_best_node():
    u, _ = tanh_rule()
    found = action_weights(q=Polynomial([0.0, 1e10]), alpha=1e-300)
    assert found.sum() == pytest.approx(1.0, rel=1e-14)
    best = np.tanh(u) == np.tanh(u).max()
    assert (found[best] > 0).all()
    assert (found[~best] == 0).all()
