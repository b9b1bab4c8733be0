"""The counterexamples of Theorem 1 and Lemma 1 by separate, naive code: sums and numbers worked by hand."""

import dataclasses
import math

import numpy as np
import pytest

from verify.claims.objective import lemma_1
from verify.claims.optima import limit_j
from verify.claims.theorem_1 import peaks, printed_proof, statement
from verify.engine.runner import run_check
from virel_theory.continuous.distributions import log_density
from virel_theory.mdp.tabular import TabularMDP

CLAIMS = {c.id: c for m in (statement, printed_proof, lemma_1, limit_j) for c in m.CLAIMS}


def boltzmann_sum(f, phi, *, eps, ends, n=2_000_001):
    """Riemann sum of E[phi]."""
    x = np.linspace(*ends, n)
    values = f(x)
    w = np.exp((values - values.max()) / eps)
    return float(w @ phi(x) / w.sum())


def bump_at_1(x):
    return peaks.bump(x, centre=1.0, radius=1.0)


def test_two_wells_with_one_top_removed_have_a_unique_maximum_and_half_the_mass_at_it():
    def f(x):
        return np.where(x == -1, -1.0, -((x**2 - 1) ** 2))

    x = np.linspace(-2, 2, 2_000_001)
    assert (f(x) == 0).sum() == 1  # the maximum, at x = 1 only
    got = boltzmann_sum(f, bump_at_1, eps=1e-4, ends=(-2, 2))
    assert got == pytest.approx(0.5, abs=1e-4)
    assert CLAIMS["theorem-1"].check.gap(family="removed-point", h=0, eps=1e-4).error == pytest.approx(
        1 - got, abs=1e-4
    )


def test_a_flat_supremum_that_is_not_attained_takes_all_the_mass():
    def f(x):
        return np.where(x < 0, -(x**4), -((2 * x - 1) ** 2))

    shares = [boltzmann_sum(f, lambda x: x < 0, eps=eps, ends=(-1, 1)) for eps in (1e-2, 1e-4, 1e-6)]
    left, right = math.gamma(5 / 4), math.sqrt(math.pi) / 2
    for eps, share in zip((1e-2, 1e-4, 1e-6), shares, strict=True):
        assert share == pytest.approx(left * eps**0.25 / (left * eps**0.25 + right * eps**0.5), abs=2e-3)
    assert shares[-1] > 0.96  # on its way to 1, while the only maximum is at 1/2


def test_dominated_by_a_constant_is_not_enough():
    # the integrand over U is at most 1 and tends to exp(-4u^2), its integral to sqrt(pi), not sqrt(pi)/2
    eps, n = 1e-4, 2_000_001
    u = np.linspace(-1 / math.sqrt(eps), 3 / math.sqrt(eps), n)
    integrand = np.exp(-(((1 - math.sqrt(eps) * u) ** 2 - 1) ** 2) / eps)
    assert integrand.max() <= 1
    assert integrand.sum() * (u[1] - u[0]) == pytest.approx(math.sqrt(math.pi), rel=1e-3)
    np.testing.assert_allclose(integrand[np.abs(u) < 1], np.exp(-4 * u[np.abs(u) < 1] ** 2), atol=0.02)


def normal(x):
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def step_gap(step):
    return CLAIMS["eq-21"].steps[step].check.gap


def test_the_printed_change_of_variables_is_no_density_of_a_on_either_reading_of_its_x():
    # a = x/4, x = 1: the density of A is 4 phi(1); printed: 4 phi(1/4), or 4 phi(1/16) if x stands for a
    gap = step_gap(0)(shape="gaussian", a_star=0.0, sigma=0.25, x=1.0)
    assert gap.error == pytest.approx(normal(1 / 4) - normal(1), abs=1e-12)
    assert not gap.ok
    assert abs(normal(1 / 16) - normal(1)) > gap.error
    x = np.linspace(-40, 40, 800_001)
    a = x / 4
    masses = [float(np.trapezoid(4 * np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi), a)) for y in (x, x / 4)]
    assert masses == pytest.approx([1, 4], rel=1e-9)


def test_the_constant_that_the_proof_of_21_reaches_is_off_by_a_half_for_a_gaussian_at_the_origin():
    # H(N(0, sigma^2)) - log(sigma) = log(2 pi e)/2; printed: log(2 pi)/2
    gap = step_gap(1)(shape="gaussian", a_star=0.0, sigma=0.25)
    assert gap.error == pytest.approx(0.5, abs=1e-12)
    assert not gap.ok


def test_21_holds_where_p_is_positive_at_minus_a_star_and_is_undefined_where_it_vanishes():
    gap = CLAIMS["eq-21"].check.gap
    assert gap(shape="gaussian", a_star=0.0, n=100).ok
    assert gap(shape="uniform", a_star=1.0, n=100).ok
    assert gap(shape="uniform", a_star=2.0, n=100).error == lemma_1.gaps.HUGE  # p lives on [-sqrt 3, sqrt 3]
    assert gap(shape="blocks", a_star=0.0, n=100).error == lemma_1.gaps.HUGE


@pytest.mark.parametrize("shape", lemma_1.gaps.SHAPES)
def test_every_shape_has_the_printed_mean_variance_and_range(shape):
    x = np.linspace(-12, 12, 2_400_001)
    p = np.exp(log_density(lemma_1.gaps.nascent(shape, a_star=0.0, sigma=1.0), x))
    moments = [float(np.trapezoid(p * x**k, x)) for k in range(3)]
    assert moments == pytest.approx([1, 0, 1], abs=1e-4)
    assert p.max() <= 1
    logs = np.log(np.where(p > 0, p, 1.0))
    assert -np.trapezoid(p * logs, x) == pytest.approx(lemma_1.gaps.ENTROPY[shape], abs=1e-4)


def test_a_density_on_the_line_has_entropy_plus_infinity():
    # p = 1/(x log^2 x) on (e, inf), t = log x: int_1^T (t + 2 log t)/t^2 dt = log T + 2 - 2 (1 + log T)/T
    for top in (1e2, 1e4, 1e6):
        u = np.linspace(0, math.log(top), 400_001)  # t = e^u
        partial = float(np.trapezoid((np.exp(u) + 2 * u) * np.exp(-u), u))
        assert partial == pytest.approx(math.log(top) + 2 - 2 * (1 + math.log(top)) / top, rel=1e-8)


def test_the_corrected_lemma_1_ii_is_checked_on_negative_values_too():
    check = CLAIMS["lemma-1-ii"].correction.check
    lowest = []

    def look(*, q, policy, n, rate, perturb):
        lowest.append(min(float(np.polynomial.Polynomial(c)(np.array([-1.0, 0.0, 1.0])).min()) for c in q))
        return check.gap(q=q, policy=policy, n=n, rate=rate, perturb=perturb)

    assert run_check(dataclasses.replace(check, gap=look), seed=1).ok
    assert sum(value < 0 for value in lowest) >= 40
    assert sum(value > 0 for value in lowest) >= 40


def test_mixed_sign_asks_for_a_negative_value_and_a_mean_of_a_quarter():
    x = np.linspace(-1, 1, 200_001)
    weight = np.exp(-(x**2) / 2)
    assert float(x**2 @ weight / weight.sum()) == pytest.approx(0.2911, abs=1e-4)
    assert lemma_1.gaps.mixed_sign([[1, 3]])  # 1 + 3a: mean 1, and -2 at -1
    assert lemma_1.gaps.mixed_sign([[-1], [3]])
    assert not lemma_1.gaps.mixed_sign([[1]])
    assert not lemma_1.gaps.mixed_sign([[0, 3]])
    assert not lemma_1.gaps.mixed_sign([[0, 3, 3], [-1]])


def test_the_talks_j_is_one_where_its_expectation_of_q_star_is_three_halves():
    # one state, rewards 0 and 1, gamma = 1/2, the uniform policy: Q* = (1, 2), J = (1/2)/(1 - 1/2)
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    gap = CLAIMS["talk-limit-j"].check.gap(mdp=mdp, pi_theta=np.array([[0.5, 0.5]]), eps=1e-9)
    assert gap.error == pytest.approx(0.5, abs=1e-8)
    assert not gap.ok


def test_laplace_bounds_of_the_bump_hold():
    x = np.linspace(-0.2, 2.2, 1001)
    assert np.all(np.abs(bump_at_1(x) - 1) <= 4 * (x - 1) ** 2 + 1e-15)
    assert bump_at_1(np.array([0.0, 1.0, 2.0])).tolist() == [0.0, 1.0, 0.0]


def test_power_moments_are_those_of_a_riemann_sum():
    x = np.linspace(0, 1, 200_001)
    for k, p, c, eps in [(0, 2, 1, 0.1), (2, 4, 3, 0.5), (1, 1, 2, 0.3)]:
        total = np.trapezoid(x**k * np.exp(-c * x**p / eps), x)
        assert peaks.power_moment(k, p=p, c=c, reach=1.0, eps=eps) == pytest.approx(total, rel=1e-8)


@pytest.mark.parametrize(
    "name", ["eq-13", "eq-14", "eq-15", "eq-16", "eq-17", "theorem-1-rates", "lemma-1-ii-finite", "eq-20"]
)
def test_a_planted_error_is_found(name):
    assert not run_check(CLAIMS[name].check, seed=1, perturb=1.0).ok


def test_corrections_and_repairs_have_teeth():
    checks = [c.correction.check for c in CLAIMS.values() if c.correction]
    checks += [s.repaired.check for c in CLAIMS.values() for s in c.steps if s.repaired]
    assert len(checks) >= 10
    assert not any(run_check(check, seed=1, perturb=1.0).ok for check in checks)
