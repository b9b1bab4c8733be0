"""Gaussian inference on a quadratic action value: optimum, quadrature, gaps, ascent, bad input."""

import mpmath
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.parts.gaussian_inference import (
    GaussianTask,
    gaussian_family_gap,
    gaussian_inference,
    gaussian_objective,
    gaussian_safe_step,
)

TASK = GaussianTask(curvature=3.0, peak=2.0, prior_mean=-1.0, prior_std=1.5, alpha=0.5)


def test_the_objective_equals_its_integral():
    a = np.linspace(-20, 20, 200_001)
    mean, std = 0.5, 0.7

    def density(m, s):
        return np.exp(-((a - m) ** 2) / (2 * s**2)) / (s * np.sqrt(2 * np.pi))

    pi, log_ratio = (
        density(mean, std),
        (a + 1.0) ** 2 / 4.5 - (a - mean) ** 2 / (2 * std**2) + np.log(1.5 / std),
    )
    exact = np.trapezoid(pi * (-1.5 * (a - 2.0) ** 2 - 0.5 * log_ratio), a)
    np.testing.assert_allclose(gaussian_objective(TASK, mean=mean, std=std), exact, rtol=1e-10)


def test_the_best_posterior_beats_its_neighbours_and_is_stationary():
    mean, std = TASK.best
    top = gaussian_objective(TASK, mean=mean, std=std)
    assert (gaussian_objective(TASK, mean=mean + np.array([-1e-3, 1e-3]), std=std) < top).all()
    assert (gaussian_objective(TASK, mean=mean, std=std * np.array([0.999, 1.001])) < top).all()


def test_the_family_gap_is_the_loss_of_the_best_policy_of_that_width():
    mean, std = TASK.best
    for width in (0.5 * std, std, 3.0):
        exact = gaussian_objective(TASK, mean=mean, std=std) - gaussian_objective(TASK, mean=mean, std=width)
        np.testing.assert_allclose(gaussian_family_gap(TASK, std=width), exact, atol=1e-14 * 40)


def test_safe_steps_raise_the_objective_and_end_at_the_best_posterior():
    mean, std = gaussian_inference(TASK, iterations=500, step=gaussian_safe_step(TASK))
    values = gaussian_objective(TASK, mean=mean, std=std)
    assert (np.diff(values) >= -1e-14).all()
    assert values[-1] > values[0]
    np.testing.assert_allclose((mean[-1], std[-1]), TASK.best, rtol=1e-12)
    assert (std >= TASK.best[1] * (1 - 1e-15)).all()


def test_the_safe_step_is_the_inverse_of_the_larger_curvature():
    assert gaussian_safe_step(GaussianTask(1.0, 0.0, 0.0, 1.0, 1.0)) == 0.25  # c = 2, and 2 c sigma_0^2 = 4
    assert gaussian_safe_step(GaussianTask(0.0, 0.0, 0.0, 0.5, 1.0)) == 0.25  # c = 4, and 2 c sigma_0^2 = 2


def test_the_best_posterior_and_the_gap_reach_the_ends_of_float64():
    wide = GaussianTask(curvature=1e300, peak=1e150, prior_mean=-1.0, prior_std=1.0, alpha=1e-300)
    assert wide.best == (1e150, pytest.approx(1e-300, rel=1e-15))
    narrow = GaussianTask(curvature=1e-300, peak=1.0, prior_mean=3.0, prior_std=1e-100, alpha=1.0)
    assert narrow.best == (3.0, pytest.approx(1e-100, rel=1e-15))
    # alpha (log(sigma*/sigma) + (sigma/sigma*)^2/2 - 1/2), sigma* = 1: only one term counts
    unit = GaussianTask(curvature=0.0, peak=0.0, prior_mean=0.0, prior_std=1.0, alpha=1e-300)
    assert gaussian_family_gap(unit, std=1e200) == pytest.approx(5e99, rel=1e-15)
    low = GaussianTask(curvature=0.0, peak=0.0, prior_mean=0.0, prior_std=1e100, alpha=1.0)
    assert gaussian_family_gap(low, std=1e-300) == pytest.approx(400 * np.log(10) - 0.5, rel=1e-15)


def test_the_error_of_iterates_is_of_the_largest_mean_as_means_may_cross_zero():
    task = GaussianTask(curvature=28.25, peak=138.7, prior_mean=-12.2, prior_std=1.0, alpha=1.0)
    length = gaussian_safe_step(task) / 5.03  # so that a mean comes close to 0
    means, _ = gaussian_inference(task, iterations=5, step=length)
    with mpmath.workdps(40):
        k, peak, mean = map(mpmath.mpf, (task.curvature, task.peak, task.prior_mean))
        prior, t = mean, mpmath.mpf(length)
        for n, found in enumerate(means):
            assert abs(found - mean) <= 8 * (n + 1) * 2.0**-52 * 138.7  # as claimed
            mean += t * (k * (peak - mean) + (prior - mean))


def test_a_flat_action_value_leaves_the_prior():
    flat = GaussianTask(0.0, 5.0, 1.0, 2.0, 1.0)
    assert flat.best == (1.0, 2.0)
    mean, std = gaussian_inference(flat, iterations=3, step=0.1)
    np.testing.assert_allclose((mean, std), ([1.0] * 4, [2.0] * 4), rtol=1e-15)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"curvature": -1.0}, "curvature"),
        ({"prior_std": 0.0}, "prior_std"),
        ({"prior_std": 1e-200}, "prior_std"),
        ({"prior_std": 1e200}, "prior_std"),
        ({"prior_std": 1e-150, "alpha": 1e100}, "prior_std"),
        ({"alpha": 0.0}, "alpha"),
        ({"peak": np.nan}, "peak"),
    ],
)
def test_a_bad_task_names_the_number(change, name):
    with pytest.raises(InputError, match=f"`{name}`"):
        GaussianTask(**(vars(TASK) | change))


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="`std`"):
        gaussian_objective(TASK, mean=0.0, std=0.0)
    with pytest.raises(InputError, match="`std`"):
        gaussian_family_gap(TASK, std=-1.0)
    with pytest.raises(InputError, match=r"`std` must be so small .* found 1e\+308"):
        gaussian_family_gap(TASK, std=1e308)
    with pytest.raises(InputError, match="`task` must have steps"):
        gaussian_safe_step(GaussianTask(1e300, 0.0, 0.0, 1e100, 1.0))
    with pytest.raises(InputError, match="`step`"):
        gaussian_inference(TASK, iterations=1, step=0.0)
    with pytest.raises(InputError, match="`iterations`"):
        gaussian_inference(TASK, iterations=-1, step=0.1)
