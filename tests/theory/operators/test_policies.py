"""Boltzmann policies, where quotients by the temperature leave float64; divergences of close policies."""

import mpmath
import numpy as np
import pytest

from virel_theory import boltzmann_joint, boltzmann_policy, kl_divergence, log_boltzmann_policy

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


@pytest.mark.parametrize("gap", [0.0, 1e-300, 1e-17, 1e-12, 1e-6, 0.01, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("small", [0.5, 0.01, 1e-9, 1e-300, 5e-324])
def test_a_divergence_is_never_negative_and_keeps_its_digits_however_close_the_policies_are(gap, small):
    p, q = np.array([small, 1 - small]), np.array([small * (1 - gap), 1 - small * (1 - gap)])
    found = kl_divergence(p, q)
    with mpmath.workdps(60):
        pairs = [(mpmath.mpf(a), mpmath.mpf(b)) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
        exact = sum(a * mpmath.log(a / b) - a + b if b > 0 else mpmath.inf for a, b in pairs)
        ratio = max((abs(mpmath.log(a / b)) for a, b in pairs if b > 0), default=mpmath.mpf(0))
    assert found >= 0
    # As claimed: (n + 16) ulps, n = 2, times 1 + the largest log ratio; 5e-324 is what underflow loses.
    assert found == pytest.approx(float(exact), rel=18 * 2.3e-16 * float(1 + ratio), abs=2e-323)


def test_a_divergence_of_distributions_with_zeros():
    assert kl_divergence(
        [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.0, 1.0], [0.5, 0.5]]
    ).tolist() == [
        0.0,
        np.inf,
        0.0,
    ]
