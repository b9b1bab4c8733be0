"""The counterexamples of Theorem 1 and Lemma 1 by separate, naive code: sums and numbers worked by hand."""

import math

import numpy as np
import pytest

from verify.claims import _peaks as peaks
from verify.claims import lemma_1, talk_limit_j, theorem_1, theorem_1_proof
from verify.runner import run_check
from virel_theory.mdp import TabularMDP

CLAIMS = {c.id: c for m in (theorem_1, theorem_1_proof, lemma_1, talk_limit_j) for c in m.CLAIMS}


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


def test_the_printed_entropy_of_a_shrinking_gaussian_is_off_by_a_half_at_the_origin():
    # H(N(0, sigma^2)) = log(sigma) + log(2 pi e)/2; printed: log(sigma) + log(2 pi)/2
    gap = CLAIMS["eq-21"].check.gap(shape="gaussian", a_star=0.0, sigma=0.25)
    assert gap.error == pytest.approx(0.5, abs=1e-12)
    assert not gap.ok


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
