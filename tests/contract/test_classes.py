"""Promises of approximators and densities, checked for every class of each kind."""

import inspect

import numpy as np
import pytest

import virel_theory as vt

MASK = np.array([[True, False, True], [True, True, True]])
FEATURES = np.random.default_rng(0).integers(-4, 5, (2, 3, 2)) / 4
APPROXIMATORS = {
    "TabularQ": vt.TabularQ(MASK),
    "LinearQ": vt.LinearQ(FEATURES, MASK),
    "TanhQ": vt.TanhQ(FEATURES, 2, MASK),
}
DENSITIES = {
    "Gaussian": vt.Gaussian(0.5, 2.0, -1.0, 3.0),
    "Uniform": vt.Uniform(-1.0, 3.0),
    "Mixture": vt.Mixture((0.25, 0.75), (vt.Gaussian(0.5, 2.0, -1.0, 3.0), vt.Uniform(-1.0, 3.0))),
    "Atom": vt.Atom(0.5),
}


def _omega(approximator):
    return np.arange(approximator.n_parameters) / 4 - 0.5


def test_every_public_approximator_and_density_is_here():
    classes = [name for name in vt.__all__ if inspect.isclass(getattr(vt, name))]
    modules = {name: getattr(vt, name).__module__.split(".")[-1] for name in classes}
    assert {n for n, m in modules.items() if m == "approximators"} - {"Approximator"} == {*APPROXIMATORS}
    assert {n for n, m in modules.items() if m == "distributions"} == {*DENSITIES}


@pytest.mark.parametrize("name", APPROXIMATORS)
def test_values_and_derivatives_have_their_shapes_and_mark_missing_actions(name):
    q, n = APPROXIMATORS[name], APPROXIMATORS[name].n_parameters
    omega = _omega(q)
    omega.flags.writeable = False
    value, b, curved = q.value(omega), q.jacobian(omega), q.hessian_vector(omega, omega)
    assert (value.shape, b.shape, curved.shape) == (MASK.shape, (*MASK.shape, n), (*MASK.shape, n))
    assert value.dtype == b.dtype == curved.dtype == np.float64
    np.testing.assert_array_equal(np.isneginf(value), ~MASK)
    assert (b[~MASK] == 0).all()
    assert (curved[~MASK] == 0).all()


@pytest.mark.parametrize("name", APPROXIMATORS)
def test_results_are_new_arrays_and_may_be_written(name):
    q = APPROXIMATORS[name]
    omega = _omega(q)
    for result in (q.value(omega), q.jacobian(omega), q.hessian_vector(omega, omega)):
        assert not any(np.shares_memory(result, ours) for ours in (omega, FEATURES, MASK))
        result[:] = 7.0
    np.testing.assert_array_equal(np.isneginf(q.value(omega)), ~MASK)


@pytest.mark.parametrize("name", APPROXIMATORS)
def test_lists_float32_and_integers_are_taken_as_real_numbers(name):
    q = APPROXIMATORS[name]
    omega = _omega(q)
    np.testing.assert_array_equal(q.value(omega.tolist()), q.value(omega))
    np.testing.assert_array_equal(q.jacobian(omega.astype(np.float32)), q.jacobian(omega))
    whole = np.arange(q.n_parameters)
    np.testing.assert_array_equal(q.value(whole), q.value(whole.astype(np.float64)))


@pytest.mark.parametrize("method", ["value", "jacobian", "hessian_vector"])
@pytest.mark.parametrize("bad", [[1.0], np.nan, np.inf, "text"], ids=["shape", "nan", "inf", "text"])
@pytest.mark.parametrize("name", APPROXIMATORS)
def test_bad_parameters_are_one_error_that_names_them(name, bad, method):
    q = APPROXIMATORS[name]
    fine = _omega(q)
    spoilt = [bad, *fine[1:]] if isinstance(bad, float) else bad
    more = (fine,) if method == "hessian_vector" else ()
    with pytest.raises(vt.InputError, match="`omega`"):
        getattr(q, method)(spoilt, *more)
    if more:
        with pytest.raises(vt.InputError, match="`v`"):
            q.hessian_vector(fine, spoilt)


@pytest.mark.parametrize("name", [name for name in DENSITIES if name != "Atom"])
def test_log_densities_have_the_shape_of_the_points_and_leave_them_alone(name):
    points = np.array([[-2.0, 0.5], [1.0, 4.0]])
    points.flags.writeable = False
    found = vt.log_density(DENSITIES[name], points)
    assert (found.shape, found.dtype) == (points.shape, np.float64)
    np.testing.assert_array_equal(np.isneginf(found), [[True, False], [False, True]])
    np.testing.assert_array_equal(vt.log_density(DENSITIES[name], points.tolist()), found)
    assert not np.shares_memory(found, points)


@pytest.mark.parametrize("name", DENSITIES)
def test_means_and_entropies_are_floats(name):
    p = DENSITIES[name]
    assert type(vt.expectation(np.cos, p)) is float
    assert type(vt.differential_entropy(p).value) is float
    assert (vt.differential_entropy(p).value == -np.inf) == (name == "Atom")
