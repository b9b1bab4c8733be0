"""Boltzmann policies where the division by the temperature, or its rounding, leaves float64."""

import mpmath
import numpy as np
import pytest

from virel_theory import boltzmann_joint, boltzmann_policy, log_boltzmann_policy

COLD = [
    ([[1.0, 0.0]], 1e-309),
    ([[1e300, 0.0]], 1e-10),
    ([[1e308, -1e308]], 1.0),
    ([[-1e300, -np.inf]], 1e-10),
]


@pytest.mark.parametrize(("q", "eps"), COLD)
def test_a_quotient_beyond_float64_leaves_the_greedy_policy(q, eps):
    for function in (boltzmann_policy, boltzmann_joint):
        assert function(q, eps=eps).tolist() == [[1.0, 0.0]]
    assert log_boltzmann_policy(q, eps=eps).tolist() == [[0.0, -np.inf]]


@pytest.mark.parametrize("offset", [0.0, 1e9, -(2.0**40)])
def test_close_values_far_from_zero_keep_the_digits_of_their_difference(offset):
    q, eps = [[offset + 2**-10, offset, offset - 2**-12]], 1e-3
    with mpmath.workdps(40):
        mass = [mpmath.exp((mpmath.mpf(x) - offset) / mpmath.mpf(eps)) for x in q[0]]
        exact = np.array([[float(m / sum(mass)) for m in mass]])
    np.testing.assert_allclose(boltzmann_policy(q, eps=eps), exact, rtol=1e-14)
    np.testing.assert_allclose(boltzmann_joint(q, eps=eps), exact, rtol=1e-14)
    np.testing.assert_allclose(log_boltzmann_policy(q, eps=eps), np.log(exact), rtol=1e-14)


def test_the_joint_distribution_weighs_states_against_each_other():
    found = boltzmann_joint([[1e9 + 2**-20, -np.inf], [1e9, 1e9]], eps=2**-20)
    np.testing.assert_allclose(found * (np.e + 2), [[np.e, 0.0], [1.0, 1.0]], rtol=1e-14)
