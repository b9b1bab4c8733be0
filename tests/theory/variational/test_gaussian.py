"""Gaussian policies and quadratic values: hand-worked numbers, densities, moments, laws, bad input."""

from itertools import islice, pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from virel_common.errors import InputError
from virel_theory.variational.parts.gaussian import (
    GaussianPolicy,
    gaussian_budget_temperature,
    gaussian_kl,
    gaussian_kl_parts,
    gaussian_posterior,
)
from virel_theory.variational.parts.gaussian_fit import gaussian_iterates, gaussian_m_step, gaussian_moments

OLD = GaussianPolicy([1.0, -2.0], [0.25, 4.0])
OPTIMUM, CURVATURE = np.array([3.0, 0.5]), np.array([2.0, 0.5])


def test_the_hand_worked_posterior():
    # t = 1/(1 + 2/2) = 1/2 and 1/(1 + 1/2) = 2/3 of the two components
    q = gaussian_posterior(
        GaussianPolicy([0.0, 0.0], [1.0, 0.5]), optimum=[4.0, 3.0], curvature=[2.0, 2.0], eta=2.0
    )
    np.testing.assert_allclose(q.mean, [2.0, 1.0], rtol=1e-15)
    np.testing.assert_allclose(q.variance, [0.5, 1 / 3], rtol=1e-15)


@pytest.mark.parametrize("curvature", [2.0, -0.5])
def test_the_posterior_is_the_policy_times_the_exponential_of_q_for_concave_and_convex_values(curvature):
    old = GaussianPolicy([0.5], [0.75])
    q = gaussian_posterior(old, optimum=[-1.0], curvature=[curvature], eta=1.5)

    def weight(a, power):
        return a**power * norm.pdf(a, 0.5, np.sqrt(0.75)) * np.exp(-0.5 * curvature * (a + 1) ** 2 / 1.5)

    z, first, second = (quad(weight, -40, 40, args=(k,), points=[0.0])[0] for k in range(3))
    assert q.mean[0] == pytest.approx(first / z, rel=1e-9)
    assert q.variance[0] == pytest.approx(second / z - (first / z) ** 2, rel=1e-8)


def test_the_divergence_of_gaussians_by_quadrature():
    p, q = GaussianPolicy([0.5], [0.75]), GaussianPolicy([-1.0], [2.0])

    def integrand(a):
        left, right = norm(0.5, np.sqrt(0.75)), norm(-1.0, np.sqrt(2.0))
        return left.pdf(a) * (left.logpdf(a) - right.logpdf(a))

    assert gaussian_kl(p, q) == pytest.approx(quad(integrand, -30, 30, points=[0.0])[0], rel=1e-9)
    assert gaussian_kl(p, p) == 0.0


def test_the_divergence_of_independent_components_is_the_sum_over_them():
    new = GaussianPolicy([0.0, 1.0], [1.0, 1.0])
    each = [
        gaussian_kl(GaussianPolicy([m], [s]), GaussianPolicy([n], [t]))
        for m, s, n, t in zip(OLD.mean, OLD.variance, new.mean, new.variance, strict=True)
    ]
    assert gaussian_kl(OLD, new) == pytest.approx(sum(each), rel=1e-14)


def test_the_parts_change_one_parameter_at_a_time():
    new = GaussianPolicy([2.0, -2.0], [0.5, 4.0])
    parts = gaussian_kl_parts(OLD, new)
    assert parts.mean == pytest.approx(0.5 * 1 / 0.25)
    assert parts.spread == pytest.approx(0.5 * (0.5 - 1 - np.log(0.5)))


@pytest.mark.parametrize("curvature", [[2.0, 0.5], [2.0, -0.5], [-1.0, -0.5], [0.0, 3.0]])
@pytest.mark.parametrize("epsilon", [1e-4, 0.1, 2.0, 30.0])
def test_the_temperature_spends_the_budget(curvature, epsilon):
    eta = gaussian_budget_temperature(OLD, optimum=OPTIMUM, curvature=curvature, epsilon=epsilon)
    q = gaussian_posterior(OLD, optimum=OPTIMUM, curvature=curvature, eta=eta)
    assert gaussian_kl(q, OLD) == pytest.approx(epsilon, rel=0, abs=1e-12 * (1 + epsilon))


@pytest.mark.parametrize("epsilon", [34.0, 100.0, 300.0])
def test_a_budget_that_needs_a_tiny_temperature_is_spent(epsilon):
    # c sigma^2 / eta is about e^{2 epsilon}, up to 1e260.
    old = GaussianPolicy([0.0], [1.0])
    eta = gaussian_budget_temperature(old, optimum=[0.0], curvature=[2.0], epsilon=epsilon)
    q = gaussian_posterior(old, optimum=[0.0], curvature=[2.0], eta=eta)
    assert gaussian_kl(q, old) == pytest.approx(epsilon, rel=0, abs=1e-12 * (1 + epsilon))


@pytest.mark.parametrize("epsilon", [1e3, 1e6])
def test_a_convex_value_spends_any_budget_to_the_digits_that_a_temperature_has(epsilon):
    eta = gaussian_budget_temperature(OLD, optimum=OPTIMUM, curvature=[-1.0, 0.5], epsilon=epsilon)
    q = gaussian_posterior(OLD, optimum=OPTIMUM, curvature=[-1.0, 0.5], eta=eta)
    assert gaussian_kl(q, OLD) == pytest.approx(epsilon, rel=0, abs=1e-12 * (1 + epsilon**2))


def test_the_m_steps_by_hand():
    posterior = GaussianPolicy([2.0, -2.0], [0.125, 1.0])
    joint = gaussian_m_step(posterior, policy=OLD, decoupled=False)
    apart = gaussian_m_step(posterior, policy=OLD, decoupled=True)
    assert joint.mean.tolist() == apart.mean.tolist() == [2.0, -2.0]
    assert joint.variance.tolist() == [0.125, 1.0]
    assert apart.variance.tolist() == [1.125, 1.0]  # 0.125 + (2 - 1)^2


def test_no_other_gaussian_has_a_higher_likelihood_under_the_joint_fit():
    rng = np.random.default_rng(0)
    actions, weights = rng.normal(size=(7, 2)), rng.dirichlet(np.ones(7))
    fit = gaussian_moments(actions, weights=weights)

    def likelihood(mean, variance):
        return weights @ norm.logpdf(actions, mean, np.sqrt(variance)).sum(axis=1)

    top = likelihood(fit.mean, fit.variance)
    for _ in range(50):
        other = likelihood(
            fit.mean + 0.1 * rng.normal(size=2), fit.variance * np.exp(0.1 * rng.normal(size=2))
        )
        assert other < top


def test_moments_by_hand():
    fit = gaussian_moments([[0.0, 1.0], [4.0, 3.0]], weights=[0.75, 0.25])
    assert fit.mean.tolist() == [1.0, 1.5]
    assert fit.variance.tolist() == [3.0, 0.75]
    assert fit.spread == np.sqrt(1.875)


def test_the_exact_joint_fit_keeps_distance_over_variance_and_reaches_the_optimum():
    first = GaussianPolicy([10.0, 0.0], [0.01, 0.01])
    found = list(islice(gaussian_iterates(first, optimum=[0, 0], curvature=[2, 2], decoupled=False), 600))
    ratios = [policy.mean[0] / policy.variance[0] for policy in found]
    np.testing.assert_allclose(ratios, 1000.0, rtol=1e-11)
    distances = [policy.mean[0] for policy in found]
    assert all(b < a for a, b in pairwise(distances))
    assert distances[-1] < 1e-9


def test_the_sampled_joint_fit_stops_far_away_and_the_decoupled_one_does_not():
    def run(decoupled, seed):
        policies = gaussian_iterates(
            GaussianPolicy([10.0, 0.0], [1.0, 1.0]),
            optimum=[0, 0],
            curvature=[2, 2],
            decoupled=decoupled,
            step=0.1,
            samples=10,
            rng=np.random.default_rng(seed),
        )
        return next(islice(policies, 599, None))

    for seed in (0, 1):
        joint, apart = run(False, seed), run(True, seed)
        assert np.linalg.norm(joint.mean) > 3
        assert joint.spread < 0.05
        assert np.linalg.norm(apart.mean) < 0.05


def test_the_same_generator_gives_the_same_samples():
    runs = [
        next(
            gaussian_iterates(
                OLD, optimum=OPTIMUM, curvature=CURVATURE, samples=5, rng=np.random.default_rng(3)
            )
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].mean, runs[1].mean)


Q = {"optimum": OPTIMUM, "curvature": CURVATURE}
SHORT = GaussianPolicy([0.0], [1.0])
RNG = np.random.default_rng(0)


def test_a_policy_keeps_read_only_copies_and_iterates_keep_what_they_began_with():
    mean, variance, optimum, curvature = np.array([1.0]), np.array([2.0]), np.array([0.0]), np.array([2.0])
    policy = GaussianPolicy(mean, variance)
    again = gaussian_iterates(policy, optimum=[0.0], curvature=[2.0])
    found = gaussian_iterates(policy, optimum=optimum, curvature=curvature)
    for given in (mean, variance, optimum, curvature):
        given[0] = 7.0
    assert (policy.mean.tolist(), policy.variance.tolist()) == ([1.0], [2.0])
    assert not policy.mean.flags.writeable
    assert not policy.variance.flags.writeable
    for x, y in islice(zip(found, again, strict=True), 3):
        assert (x.mean.item(), x.variance.item()) == (y.mean.item(), y.variance.item())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianPolicy([0.0], [0.0]), "`variance` must be positive; found 0.0"),
        (lambda: GaussianPolicy([0.0], [1.0, 1.0]), "`variance` must have shape"),
        (lambda: GaussianPolicy([[0.0]], [[1.0]]), "`mean` must have shape"),
        (lambda: GaussianPolicy([np.nan], [1.0]), "`mean` must be finite"),
        (lambda: gaussian_posterior(OLD, optimum=OPTIMUM, curvature=[1, -1], eta=2.0), "`curvature` must le"),
        (lambda: gaussian_posterior(OLD, optimum=[0.0], curvature=CURVATURE, eta=2.0), "`optimum` must have"),
        (lambda: gaussian_posterior(OLD, eta=0.0, **Q), "`eta` must be positive"),
        (lambda: gaussian_kl(OLD, SHORT), "`q` must have the shape"),
        (
            lambda: gaussian_m_step(OLD, policy=SHORT, decoupled=True),
            r"`policy` must have the shape of `posterior`, \(2,\)",
        ),
        (
            lambda: gaussian_budget_temperature(OLD, optimum=OPTIMUM, curvature=[0, 0], epsilon=1),
            "`curvature`",
        ),
        (lambda: gaussian_budget_temperature(OLD, epsilon=0.0, **Q), "`epsilon` must be positive and fin"),
        (
            lambda: gaussian_budget_temperature(OLD, epsilon=1e6, **Q),
            "`epsilon` must be a budget .* found 1000000.0",
        ),
        (lambda: gaussian_moments([[0.0], [1.0]], weights=[1.0]), r"`weights` must have shape \[2\]"),
        (lambda: gaussian_moments([0.0], weights=[1.0]), r"`actions` must have shape \[N, D\]"),
        (lambda: gaussian_moments([[1.0], [1.0]], weights=[0.5, 0.5]), "`actions` must differ"),
        (
            lambda: gaussian_posterior(OLD, optimum=OPTIMUM, curvature=[1e10, 1.0], eta=1e-300),
            "`eta` must be so large .* found 1e-300",
        ),
        (
            lambda: gaussian_m_step(OLD, policy=OLD, decoupled="no"),
            "`decoupled` must be True or False; found 'no'",
        ),
        (lambda: gaussian_iterates(OLD, decoupled=np.ones(2), **Q), "`decoupled` must be True or False"),
        (lambda: gaussian_iterates(OLD, step=0.0, **Q), "`step` must lie"),
        (lambda: gaussian_iterates(OLD, epsilon=-1.0, **Q), "`epsilon` must be"),
        (lambda: gaussian_iterates(OLD, samples=1, **Q), "`samples` must be"),
        (lambda: gaussian_iterates(OLD, samples=4, **Q), "`rng` must be"),
        (lambda: gaussian_iterates(OLD, samples=4, epsilon=1.5, rng=RNG, **Q), r"`epsilon` must lie in \(0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
