"""E-step in closed form: hand-worked numbers, a grid over the simplex, limits, zeros of the prior."""

import itertools
import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.core.e_step import (
    expected_kl,
    one_step_objective,
    posterior_policy,
    soft_maximum,
)

U = np.finfo(float).eps
PRIOR = [[0.25, 0.75]]


def test_the_hand_worked_posterior_and_its_value():
    # weights 1/4 * 9 and 3/4 * 1, sum 3
    q = [[math.log(9), 0.0]]
    np.testing.assert_allclose(posterior_policy(q, prior=PRIOR, alpha=1.0), [[0.75, 0.25]], rtol=4 * U)
    np.testing.assert_allclose(soft_maximum(q, prior=PRIOR, alpha=1.0), [math.log(3)], rtol=4 * U)


def test_the_hand_worked_objective_with_an_exponent():
    # mean 1/2 log 9; entropy log 2; cross entropy with sqrt(p): 1/2 of that with p
    pi, q = [[0.5, 0.5]], [[math.log(9), 0.0]]
    cross = (math.log(0.25) + math.log(0.75)) / 2
    wanted = math.log(9) / 2 + 2.0 * (math.log(2) + cross / 2)
    found = one_step_objective(q, pi=pi, prior=PRIOR, alpha=2.0, exponent=0.5)
    np.testing.assert_allclose(found, [wanted], rtol=8 * U)


@pytest.mark.parametrize("exponent", [0.0, 0.25, 1.0])
def test_no_policy_on_a_grid_of_the_simplex_beats_the_posterior(exponent):
    rng = np.random.default_rng(0)
    q, prior, alpha = rng.normal(size=(1, 3)), rng.dirichlet(np.ones(3), size=1), 0.7
    best = soft_maximum(q, prior=prior, alpha=alpha, exponent=exponent)
    pi = posterior_policy(q, prior=prior, alpha=alpha, exponent=exponent)
    at_pi = one_step_objective(q, pi=pi, prior=prior, alpha=alpha, exponent=exponent)
    np.testing.assert_allclose(at_pi, best, rtol=0, atol=64 * U)
    n = 12
    for i, j in itertools.product(range(n + 1), repeat=2):
        if i + j <= n:
            point = np.array([[i, j, n - i - j]]) / n
            value = one_step_objective(q, pi=point, prior=prior, alpha=alpha, exponent=exponent)
            assert value <= best + 64 * U


def test_at_exponent_zero_the_prior_does_not_matter_even_where_it_is_zero():
    q = [[1.0, 0.0, -np.inf]]
    policies = [
        posterior_policy(q, prior=prior, alpha=1.0, exponent=0.0)
        for prior in ([[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.0]])
    ]
    np.testing.assert_array_equal(*policies)
    assert policies[0][0, 2] == 0
    assert policies[0][0, 1] == pytest.approx(1 / (1 + math.e), rel=1e-14)


def test_actions_without_prior_mass_get_none_however_large_their_value():
    found = posterior_policy([[0.0, 1e300]], prior=[[1.0, 0.0]], alpha=1e-3)
    np.testing.assert_array_equal(found, [[1.0, 0.0]])
    assert soft_maximum([[2.0, 1e300]], prior=[[1.0, 0.0]], alpha=1e-3).tolist() == [2.0]


def test_mass_that_the_prior_lacks_costs_everything_unless_the_temperature_is_zero():
    q, pi, prior = [[1.0, 0.0]], [[0.5, 0.5]], [[1.0, 0.0]]
    assert one_step_objective(q, pi=pi, prior=prior, alpha=1.0).tolist() == [-np.inf]
    assert one_step_objective(q, pi=pi, prior=prior, alpha=0.0).tolist() == [0.5]
    assert expected_kl(pi, prior, d=[1.0]) == np.inf


def test_temperatures_that_would_overflow_exp_are_no_trouble():
    q = [[1e6, 0.0]]
    assert soft_maximum(q, prior=PRIOR, alpha=1.0)[0] == pytest.approx(1e6 + math.log(0.25), rel=2 * U)
    assert posterior_policy(q, prior=PRIOR, alpha=1.0).tolist() == [[1.0, 0.0]]


def test_divergences_of_close_policies_keep_their_digits():
    # KL((1 + x)/2, (1 - x)/2 || 1/2, 1/2) = x^2/2 + x^4/12 + ...
    for x in (1e-3, 1e-5):
        pi = [[(1 + x) / 2, (1 - x) / 2]]
        assert expected_kl(pi, [[0.5, 0.5]], d=[1.0]) == pytest.approx(
            x**2 / 2 + x**4 / 12, rel=1e-16 / x * 8
        )


def test_a_divergence_is_finite_where_the_ratio_of_probabilities_overflows():
    tiny = 1e-310
    found = expected_kl([[tiny, 1.0]], [[0.5, 0.5]], d=[1.0])
    assert found == pytest.approx(math.log(2), rel=1e-15)


def test_states_without_weight_do_not_count():
    assert expected_kl([[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]], d=[0.0, 1.0]) == 0


@pytest.mark.parametrize("exponent", [-0.1, 1.1, np.nan])
def test_an_exponent_outside_its_range_is_refused(exponent):
    with pytest.raises(InputError, match=r"`exponent` must lie in \[0, 1\]"):
        posterior_policy([[0.0]], prior=[[1.0]], alpha=1.0, exponent=exponent)


def test_values_are_centred_before_they_are_divided_by_the_temperature():
    half = [[0.5, 0.5]]
    assert posterior_policy([[1e10, 0.0]], prior=half, alpha=1e-300).tolist() == [[1.0, 0.0]]
    assert soft_maximum([[1e10, 0.0]], prior=half, alpha=1e-300).tolist() == [1e10]
    # Two values that differ by one ulp, 1.5e-8, at this size: their difference is exact.
    high = np.nextafter(1e8, 2e8)
    found = posterior_policy([[high, 1e8]], prior=half, alpha=1e-8)
    exact = 1 / (1 + math.exp(-(high - 1e8) / 1e-8))
    assert abs(found[0, 0] - exact) <= 8 * U
