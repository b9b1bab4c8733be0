"""Boltzmann distributions and densities on an interval: closed forms, quadrature bounds, bad input."""

import math
import time

import mpmath
import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy import integrate, stats
from scipy.special import gamma, gammainc

from virel_common.errors import InputError
from virel_theory.continuous import boltzmann
from virel_theory.continuous.boltzmann import boltzmann_density, boltzmann_expectation, elbo_continuous
from virel_theory.continuous.distributions import (
    Atom,
    Gaussian,
    Mixture,
    Uniform,
    differential_entropy,
    expectation,
    has_atom,
    log_density,
)
from virel_theory.continuous.quadrature import Quadrature

SQUARE = Polynomial([0, 0, 1])
BOX = (-1.0, 1.0)


def truncated_gaussian_variance(c, eps):
    """Variance of the density ~ exp(-c x^2/eps) on [-1, 1], by erf (any statistics textbook)."""
    s2 = eps / (2 * c)
    z = math.sqrt(2 * math.pi * s2) * math.erf(math.sqrt(c / eps))
    return s2 * (1 - 2 * math.exp(-c / eps) / z)


@pytest.mark.parametrize("eps", [10.0, 1.0, 0.1, 1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("c", [1, 3])
def test_the_variance_of_a_truncated_gaussian_is_within_the_bound_of_its_erf_formula(c, eps):
    got = boltzmann_expectation(Polynomial([0, 0, -c]), SQUARE, interval=BOX, eps=eps)
    exact = truncated_gaussian_variance(c, eps)
    assert got.is_bound
    assert abs(got.value - exact) <= got.error_bound + 8e-16 * max(
        exact, eps
    )  # the formula cancels at eps > 1
    assert got.error_bound <= 1e-12 * exact


@pytest.mark.parametrize("power", [1, 2, 4, 6])
@pytest.mark.parametrize("eps", [2.0, 1e-3, 1e-8])
def test_functions_and_polynomials_agree_with_incomplete_gamma_functions(power, eps):
    a = 1 / power
    exact = eps ** (2 * a) * gamma(3 * a) * gammainc(3 * a, 1 / eps) / (gamma(a) * gammainc(a, 1 / eps))
    got = boltzmann_expectation(
        lambda x: -(np.abs(x) ** power), lambda x: x**2, interval=BOX, eps=eps, breakpoints=(0.0,)
    )
    assert not got.is_bound
    assert got.value == pytest.approx(exact, rel=1e-13)
    if power > 1:
        polynomial = boltzmann_expectation(Polynomial([0] * power + [-1]), SQUARE, interval=BOX, eps=eps)
        assert polynomial.value == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("eps", [100.0, 1.0, 0.01, 1e-5])
def test_an_exponential_tilt_has_the_mean_of_a_truncated_exponential(eps):
    # p ~ exp(x/eps) on [0, 1]: mean 1/(1 - exp(-1/eps)) - eps
    got = boltzmann_expectation(Polynomial([0, 1]), Polynomial([0, 1]), interval=(0, 1), eps=eps)
    exact = 1 / -math.expm1(-1 / eps) - eps
    assert abs(got.value - exact) <= got.error_bound + 4e-16 * (1 + eps)


def test_a_beta_density_with_an_infinite_fall_at_the_ends_has_its_variance():
    # (1 - x^2)^k on [-1, 1], k = 1/eps: E[x^2] = 1/(2k + 3)
    for k in (1, 10, 1000):
        got = boltzmann_expectation(
            lambda x: np.log1p(-(x**2)), SQUARE, interval=(-1 + 1e-15, 1 - 1e-15), eps=1 / k
        )
        assert got.value == pytest.approx(1 / (2 * k + 3), rel=1e-11)


def test_the_bound_covers_an_independent_integration_of_random_polynomials():
    rng = np.random.default_rng(0)
    for _ in range(20):
        f, phi = Polynomial(rng.integers(-3, 4, 5)), Polynomial(rng.integers(-3, 4, 4))
        eps = rng.choice([0.5, 2.0])
        got = boltzmann_expectation(f, phi, interval=BOX, eps=eps)
        z = integrate.quad(lambda x, f=f, eps=eps: math.exp(f(x) / eps), *BOX, epsabs=0, epsrel=1e-13)[0]
        n = integrate.quad(
            lambda x, f=f, phi=phi, eps=eps: phi(x) * math.exp(f(x) / eps), *BOX, epsabs=1e-13 * z, limit=200
        )[0]
        assert abs(got.value - n / z) <= got.error_bound + 3e-13 * (1 + 12)
        assert got.error_bound <= 1e-12


def test_a_narrow_peak_between_the_nodes_of_a_callable_is_found():
    peak, width = 0.123456789, 1e-9
    got = boltzmann_expectation(
        lambda x: -((x - peak) ** 2), lambda x: (x - peak) ** 2, interval=(-3.0, 2.0), eps=width
    )
    assert got.value == pytest.approx(width / 2, rel=1e-6)  # f(x) carries an ulp of x, which eps divides


def test_two_equal_peaks_are_both_found_at_tiny_temperatures():
    f, odd = -(Polynomial([-1, 0, 1]) ** 2), Polynomial([0, 1])
    for eps in (1e-2, 1e-5, 1e-8):
        assert abs(boltzmann_expectation(f, odd, interval=(-2, 2), eps=eps).value) < 1e-12
        named = boltzmann_expectation(lambda x: -((x**2 - 1) ** 2), odd, interval=(-2, 2), eps=eps)
        assert abs(named.value) < 1e-6


def test_large_constants_in_f_do_not_matter_but_show_in_the_bound():
    plain = boltzmann_expectation(-SQUARE, SQUARE, interval=BOX, eps=1e-3)
    shifted = boltzmann_expectation(-SQUARE + 1000, SQUARE, interval=BOX, eps=1e-3)
    assert abs(plain.value - shifted.value) <= shifted.error_bound
    assert shifted.error_bound > 100 * plain.error_bound


def test_laplace_constants_are_reached_with_an_error_of_the_next_order():
    # E[phi] - phi* ~ eps (phi''/(2|f''|) + phi' f'''/(2 f''^2)), f'' = -2, f''' = 3, phi' = 1, phi'' = 2
    f, phi = Polynomial([0, 0, -1, 0.5]), Polynomial([0, 1, 1])
    errors = []
    for eps in (1e-3, 1e-4, 1e-5):
        value = boltzmann_expectation(f, phi, interval=BOX, eps=eps).value
        errors.append(abs(value / (eps * 7 / 8) - 1) / eps)
    assert max(errors) < 20
    assert min(errors) > 0.2 * max(errors)  # of order eps, not better: nothing is fitted


def test_the_density_of_a_truncated_gaussian_is_that_of_scipy():
    x = np.linspace(-1, 1, 7)
    for eps in (2.0, 0.1, 1e-2):
        s = math.sqrt(eps / 2)
        expected = stats.truncnorm(-1 / s, 1 / s, scale=s).pdf(x)
        np.testing.assert_allclose(boltzmann_density(-SQUARE, x, interval=BOX, eps=eps), expected, rtol=1e-11)


def test_a_density_exceeds_one_when_the_mass_is_narrow():
    # at eps = 1/4: 1/(sqrt(pi/4) erf 2) = 1.13368...
    density = boltzmann_density(-SQUARE, [0.0], interval=BOX, eps=0.25)
    assert density[0] == pytest.approx(1.1336822321, abs=1e-10)


@pytest.mark.parametrize(
    ("p", "reference"),
    [
        (Gaussian(1.0, 0.5), stats.norm(1.0, 0.5)),
        (Gaussian(0.0, 1.0, -1.0, 2.0), stats.truncnorm(-1, 2)),
        (Gaussian(0.0, 1.0, 3.0, 5.0), stats.truncnorm(3, 5)),
        (Gaussian(0.0, 1.0, -math.inf, -2.0), stats.truncnorm(-38, -2)),  # scipy: NaN for -inf
        (Uniform(-2.0, 3.0), stats.uniform(-2, 5)),
    ],
)
def test_entropies_and_densities_are_those_of_scipy(p, reference):
    assert differential_entropy(p).value == pytest.approx(float(reference.entropy()), abs=1e-12)
    x = np.linspace(-2.5, 4.5, 15)
    np.testing.assert_allclose(log_density(p, x), reference.logpdf(x), rtol=1e-12, atol=1e-13)


TRUNCATED = [
    (0.0, 1.0, 0.0, 1e-10),
    (0.0, 1.0, 0.0, 1e-17),
    (0.0, 1.0, 1e-20, 2e-20),
    (0.0, 1.0, 0.5, 0.5 + 1e-12),
    (0.0, 1.0, 5.0, 6.0),
    (0.0, 1.0, -31.0, -30.0),
    (0.0, 1.0, -1.0, 2.0),
    (0.0, 1e100, -1.0, 1.0),
    (2.25, 1e-3, 2.0, 2.5),
    (1e5, 10.0, 0.1, 0.3),
    (0.0, 3.0, -0.5, 1e9),
]


def moments(mean, sigma, low, high):
    """Entropy, and mean minus the end or the mean nearest the top, of a truncated Gaussian, to 40 digits."""
    mean, sigma, low, high = map(mpmath.mpf, (mean, sigma, low, high))
    top = min(max(mean, low), high)
    fall = lambda x: ((x - mean) ** 2 - (top - mean) ** 2) / (2 * sigma**2)  # noqa: E731
    scale = sigma / max(abs(top - mean) / sigma, 1)
    places = {top + k * scale for k in (-60, -20, -7, -2, 0, 2, 7, 20, 60)} | {low, high}
    edges = sorted(x for x in places if low <= x <= high and abs(x - top) <= 61 * scale)
    z = mpmath.quad(lambda x: mpmath.exp(-fall(x)), edges)
    energy = mpmath.quad(lambda x: mpmath.exp(-fall(x)) * fall(x), edges) / z
    off = mpmath.quad(lambda x: mpmath.exp(-fall(x)) * (x - top), edges) / z
    return mpmath.log(z) + energy, off


@pytest.mark.parametrize(("mean", "sigma", "low", "high"), TRUNCATED)
def test_a_narrow_or_far_truncation_keeps_the_bound_of_the_entropy_and_the_error_of_a_mean(
    mean, sigma, low, high
):
    p = Gaussian(mean, sigma, low, high)
    top = min(max(mean, low), high)
    with mpmath.workdps(40):
        entropy, off = moments(mean, sigma, low, high)
        found = differential_entropy(p)
        assert abs(found.value - entropy) <= found.error_bound
        width = min(high - low, sigma)
        assert found.error_bound < 1e-15 * (20 + 4 * abs(math.log(width)) + 4 * abs(math.log(sigma)))
    assert expectation(np.ones_like, p) == pytest.approx(1.0, abs=1e-13)
    assert expectation(lambda x: x - top, p) == pytest.approx(float(off), rel=1e-12, abs=4e-16 * abs(top))


ONE_SIDED = [0.0, 2.0, 38.0, 39.5, 39.9, 39.99, 41.0, 50.0, 1e3]


@pytest.mark.parametrize("low", ONE_SIDED)
def test_a_truncation_on_one_side_has_the_mean_of_mills_ratio_however_far_its_end_is(low):
    # E[x | x > low] = phi(low)/Phi(-low) for N(0, 1), and the mirror image below -low.
    with mpmath.workdps(40):
        mean = float(mpmath.npdf(low) / (mpmath.erfc(low / mpmath.sqrt(2)) / 2))
    upper, lower = Gaussian(0.0, 1.0, low=low), Gaussian(0.0, 1.0, high=-low)
    for p, sign in ((upper, 1.0), (lower, -1.0)):
        assert expectation(np.ones_like, p) == pytest.approx(1.0, abs=1e-13)  # the error that is claimed
        assert expectation(lambda x: x, p) == pytest.approx(sign * mean, rel=1e-13)
    line = elbo_continuous([Polynomial([0.0, 1.0])], pi_theta=[upper], d=[1.0], eps=1.0)
    assert line == pytest.approx(mean + differential_entropy(upper).value, abs=1e-12 * (1 + mean))


NARROW_OR_FAR = [
    *(Gaussian(0.0, 1.0, low=low) for low in ONE_SIDED),
    *(Gaussian(0.0, 1.0, high=-low) for low in ONE_SIDED),
    Gaussian(0.0, 1.0, 50.0, 1e6),
    Gaussian(0.0, 1.0, -1e9, 1e9),
    Gaussian(0.0, 1.0, 1e200, 2e200),
    Gaussian(1e20, 1.0),  # all float64 numbers within 8000 standard deviations are the mean
    Gaussian(1.0, 1e-200),
    Uniform(-1e-300, 1e-300),
]


@pytest.mark.parametrize("p", NARROW_OR_FAR, ids=str)
def test_a_mixture_of_one_part_or_of_copies_has_the_entropy_of_the_part(p):
    part = differential_entropy(p)
    for mixture in (Mixture((1.0,), (p,)), Mixture((0.5, 0.5), (p, Mixture((0.25, 0.75), (p, p))))):
        found = differential_entropy(mixture)
        # Rounding of both is a few ulps of the terms, log(width) and log(weight): at most 1e3 here.
        assert found.value == pytest.approx(part.value, rel=1e-13, abs=1e-13)
        assert abs(found.value - part.value) <= found.error_bound + part.error_bound
    assert expectation(np.ones_like, Mixture((0.5, 0.5), (p, p))) == pytest.approx(1.0, abs=1e-13)


@pytest.mark.parametrize("p", NARROW_OR_FAR, ids=str)
def test_a_mixture_of_far_or_narrow_parts_has_the_entropy_of_the_choice_plus_the_parts(p):
    other = (
        Uniform(-8.0, -7.0) if differential_entropy(p).value < -300 or p.low >= 2 else Uniform(300.0, 304.0)
    )
    found = differential_entropy(Mixture((0.25, 0.75), (p, other)))
    choice = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    parts = 0.25 * differential_entropy(p).value + 0.75 * differential_entropy(other).value
    assert found.value == pytest.approx(choice + parts, rel=1e-12, abs=1e-12)


def test_a_narrow_density_within_a_wide_one_is_found_in_a_mixture():
    # Half of the mass is N(0.3, 1e-9), where the wide part has 3e-9 of its density: the terms that leaves
    # out are below 1e-7; the rest is the choice plus the parts.
    narrow, wide = Gaussian(0.3, 1e-9), Gaussian(0.0, 1.0)
    found = differential_entropy(Mixture((0.5, 0.5), (wide, narrow))).value
    parts = [differential_entropy(p).value for p in (wide, narrow)]
    assert found == pytest.approx(math.log(2) + sum(parts) / 2, abs=1e-7)


def test_a_truncation_where_only_the_exponential_counts():
    # At 1e200 deviations the density falls as e^{-cu}, c = 1e200, so that the entropy is 1 - log c.
    found = differential_entropy(Gaussian(0.0, 1.0, 1e200, 2e200))
    assert abs(found.value - (1 - 200 * math.log(10))) <= found.error_bound < 1e-12


def test_the_density_of_a_truncation_in_the_tail_is_that_of_40_digits():
    p = Gaussian(0.0, 1.0, 30.0, 31.0)
    with mpmath.workdps(40):
        z = mpmath.ncdf(-30) - mpmath.ncdf(-31)
        expected = [float(mpmath.log(mpmath.npdf(x) / z)) for x in (30.0, 30.25, 31.0)]
    np.testing.assert_allclose(log_density(p, [30.0, 30.25, 31.0]), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(0.0, 1e-10, 1e300, 2e300), "`sigma` must be so large .* found 1e-10"),
        (lambda: Gaussian(0.0, 10.0, 0.0, 5e-324), "`sigma` must be so large .* found 10.0"),
        (
            lambda: Uniform(-1.7e308, 1.7e308),
            r"`high` must be less than 1.8e308 above `low`; found 1.7e\+308",
        ),
    ],
)
def test_an_interval_that_float64_cannot_measure_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("p", "is_bound"),
    [
        (Uniform(0.0, 2.0), True),
        (Gaussian(0.0, 1.0), True),
        (Atom(0.0), True),
        (Mixture((1.0,), (Gaussian(),)), False),
    ],
)
def test_the_error_of_a_closed_form_is_a_bound_and_that_of_quadrature_an_estimate(p, is_bound):
    assert differential_entropy(p).is_bound is is_bound


@pytest.mark.parametrize(
    ("dz", "dn"), [(0.0, 0.1), (0.5, 0.0), (0.5, 0.1), (0.999, 0.3), (1.0, 0.1), (2.0, 0.1)]
)
def test_the_error_of_a_quotient_holds_for_any_integrals_within_their_errors(monkeypatch, dz, dn):
    """Z = 1 and N = 0.4 with large errors: quotients of both ends are within the bound, if Z can't be 0."""
    z, n = Quadrature(1.0, dz, True), Quadrature(0.4, dn, True)
    monkeypatch.setattr(boltzmann, "_moments", lambda *_, **__: (z, n))
    found = boltzmann_expectation(SQUARE, SQUARE, interval=BOX, eps=1.0)
    assert found.value == 0.4
    if dz >= 1.0:
        assert found.error_bound == math.inf
        return
    ends = [(n.value + i * dn) / (z.value + j * dz) for i in (-1, 1) for j in (-1, 1)]
    furthest = max(abs(end - found.value) for end in ends)
    assert furthest * (1 - 1e-15) <= found.error_bound <= 1.01 * furthest


@pytest.mark.parametrize("low", [0.5, 3.0, 10.0, 30.0])
def test_a_gaussian_cut_to_its_upper_tail_mirrors_one_cut_to_its_lower_tail_and_agrees_with_scipy(low):
    upper, lower = Gaussian(0.0, 1.0, low, low + 2), Gaussian(0.0, 1.0, -low - 2, -low)
    assert differential_entropy(upper).value == pytest.approx(differential_entropy(lower).value, abs=1e-13)
    x = np.linspace(low, low + 2, 9)
    np.testing.assert_allclose(log_density(upper, x), log_density(lower, -x), rtol=1e-13)
    reference = stats.truncnorm(low, low + 2).logpdf(x)
    np.testing.assert_allclose(log_density(upper, x), reference, rtol=1e-10, atol=1e-10)


def test_the_error_is_a_bound_only_if_both_functions_are_polynomials():
    for f, phi, is_bound in (
        (SQUARE, SQUARE, True),
        (SQUARE, lambda x: x**2, False),
        (lambda x: x**2, SQUARE, False),
    ):
        assert boltzmann_expectation(f, phi, interval=BOX, eps=1.0).is_bound is is_bound


def test_the_expectation_of_the_zero_function_is_zero():
    found = boltzmann_expectation(SQUARE, Polynomial([0.0]), interval=BOX, eps=0.1)
    assert (found.value, found.error_bound) == (0.0, 0.0)


def test_a_mixture_of_disjoint_uniforms_has_the_entropy_of_the_choice_plus_the_parts():
    p = Mixture((0.25, 0.75), (Uniform(0.0, 1.0), Uniform(2.0, 6.0)))
    choice = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    got = differential_entropy(p)
    assert got.value == pytest.approx(choice + 0.75 * math.log(4), abs=1e-14)
    assert not got.is_bound


def test_a_mixture_of_a_gaussian_with_itself_is_that_gaussian():
    p = Gaussian(0.3, 1e-5)
    twice = Mixture((0.5, 0.5), (p, p))
    assert differential_entropy(twice).value == pytest.approx(differential_entropy(p).value, abs=1e-12)
    np.testing.assert_allclose(log_density(twice, [0.3]), log_density(p, [0.3]))


def test_an_atom_makes_the_entropy_minus_infinity_unless_its_weight_is_zero():
    atom = Mixture((0.5, 0.5), (Atom(0.0), Uniform(-1.0, 1.0)))
    assert differential_entropy(atom).value == -math.inf
    none = Mixture((0.0, 1.0), (Atom(0.0), Uniform(-1.0, 1.0)))
    assert not has_atom(none)
    assert differential_entropy(none).value == pytest.approx(math.log(2), abs=1e-14)


def test_a_density_may_have_entropy_minus_infinity_too():
    # p(x) = 1/(x log(x)^2) on (0, 1/e); with t = -log x, -int p log p over x > exp(-T) is
    # -int_1^T (t - 2 log t)/t^2 dt
    def partial(top):
        return -integrate.quad(lambda t: (t - 2 * math.log(t)) / t**2, 1, top, limit=200)[0]

    values = [partial(10.0**k) for k in (1, 2, 3, 4)]
    assert np.all(np.diff(values) < -1.5)  # each decade takes about log 10 away


def test_shrinking_adds_the_logarithm_of_the_scale_to_the_entropy():
    base = Mixture((0.5, 0.5), (Gaussian(-1.0, 0.5), Uniform(0.0, 2.0)))
    sigma = 2.0**-20
    small = Mixture((0.5, 0.5), (Gaussian(-sigma, sigma / 2), Uniform(0.0, 2 * sigma)))
    expected = differential_entropy(base).value + math.log(sigma)
    assert differential_entropy(small).value == pytest.approx(expected, abs=1e-12)


def test_means_of_polynomials_are_moments():
    assert expectation(SQUARE, Gaussian(2.0, 3.0)) == pytest.approx(13.0, rel=1e-13)
    assert expectation(SQUARE, Uniform(-1.0, 1.0)) == pytest.approx(1 / 3, rel=1e-13)
    assert expectation(SQUARE, Mixture((0.5, 0.5), (Atom(2.0), Uniform(-1.0, 1.0)))) == pytest.approx(13 / 6)
    assert abs(expectation(Polynomial([0, 1]), Gaussian())) < 1e-13


def test_the_objective_by_hand_on_two_states():
    # Q = a^2 under U[-1, 1] and Q = 3 under U[0, 4], d = (1/4, 3/4), eps = 1/2
    q = [SQUARE, Polynomial([3])]
    got = elbo_continuous(q, pi_theta=[Uniform(-1, 1), Uniform(0, 4)], d=[0.25, 0.75], eps=0.5)
    by_hand = 0.25 * (2 / 3 + math.log(2)) + 0.75 * (6 + math.log(4))
    assert got == pytest.approx(by_hand, rel=1e-14)


def test_the_boltzmann_policy_maximises_the_objective_at_the_log_partition():
    # Q = -a^2 on R, eps = 1/2: pi_omega = N(0, 1/4), L = log int exp(-2 a^2) da = log sqrt(pi/2)
    best = elbo_continuous([-SQUARE], pi_theta=[Gaussian(0.0, 0.5)], d=[1.0], eps=0.5)
    assert best == pytest.approx(math.log(math.sqrt(math.pi / 2)), abs=1e-13)
    for other in (Gaussian(0.1, 0.5), Gaussian(0.0, 0.4), Uniform(-1.0, 1.0)):
        assert elbo_continuous([-SQUARE], pi_theta=[other], d=[1.0], eps=0.5) < best


def test_a_state_that_is_never_sampled_does_not_count_even_with_a_dirac_policy():
    q = [SQUARE, SQUARE]
    pi = [Uniform(-1.0, 1.0), Atom(0.0)]
    assert elbo_continuous(q, pi_theta=pi, d=[1.0, 0.0], eps=1.0) == pytest.approx(1 / 3 + math.log(2))
    assert elbo_continuous(q, pi_theta=pi, d=[0.5, 0.5], eps=1.0) == -math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: boltzmann_expectation(SQUARE, SQUARE, interval=(1, 1), eps=1.0),
            "`interval` must be finite and",
        ),
        (lambda: boltzmann_expectation(SQUARE, SQUARE, interval=BOX, eps=0.0), "`eps` must be positive"),
        (lambda: boltzmann_density(SQUARE, [2.0], interval=BOX, eps=1.0), "`x` must lie in the interval"),
        (lambda: Gaussian(0.0, 0.0), "`sigma` must be positive and finite; found 0.0"),
        (lambda: Gaussian(math.nan, 1.0), "`mean` must be finite"),
        (lambda: Uniform(1.0, 1.0), "`high` must be finite and above `low`"),
        (lambda: Mixture((0.5, 0.4), (Atom(0.0), Atom(1.0))), "`weights` must sum to 1"),
        (lambda: log_density(Atom(0.0), 0.0), "`p` must have a density"),
        (
            lambda: elbo_continuous([SQUARE], pi_theta=[], d=[1.0], eps=1.0),
            "`pi_theta` must have one entry per state, 1; found 0",
        ),
        (
            lambda: elbo_continuous([SQUARE], pi_theta=[Atom(0.0)], d=[1.0], eps=-1.0),
            "and finite (the limit 0 is",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)


@pytest.mark.slow
def test_a_hundred_cold_expectations_take_seconds():
    start = time.perf_counter()
    for _ in range(100):
        boltzmann_expectation(Polynomial([0, 0, -1, 0.5]), SQUARE, interval=BOX, eps=1e-8)
    assert time.perf_counter() - start < 20  # about 1 s on an idle core; this box is shared
