r"""Approximators: values by hand, derivatives against mpmath and against an independent evaluation."""

import mpmath
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.gradients.approximators import LinearQ, TabularQ, TanhQ

RNG = np.random.default_rng(20)
MASK = np.array([[True, True, False], [True, False, True]])
X = RNG.integers(-2, 3, size=(2, 3, 2)).astype(float)
ALL = [
    TabularQ(MASK),
    LinearQ(X),
    LinearQ(X, MASK),
    TanhQ(X, 1),
    TanhQ(X, 3, MASK),
]


def _value_mp(approximator, omega, s, a):
    if isinstance(approximator, TabularQ):
        return omega[int(MASK.ravel()[: 3 * s + a].sum())]
    x = [mpmath.mpf(float(v)) for v in approximator.features[s, a]]  # type: ignore[attr-defined]
    if isinstance(approximator, LinearQ):
        return mpmath.fdot(x, omega)
    n, h = len(x), approximator.n_hidden  # type: ignore[attr-defined]
    layer = [mpmath.tanh(mpmath.fdot(omega[j * n : (j + 1) * n], x)) for j in range(h)]
    return mpmath.fdot(layer, omega[n * h :])


def _pairs(approximator):
    mask = getattr(approximator, "mask", None)
    return [(int(s), int(a)) for s, a in np.argwhere(np.ones((2, 3), bool) if mask is None else mask)]


def _directional(approximator, omega, v, s, a, order):  # type: ignore[no-untyped-def]
    def along(t):
        point = [mpmath.mpf(float(x)) + t * mpmath.mpf(float(y)) for x, y in zip(omega, v, strict=True)]
        return _value_mp(approximator, point, s, a)

    return mpmath.diff(along, 0, order)


@pytest.mark.parametrize("approximator", ALL)
def test_the_jacobian_is_the_derivative_that_mpmath_finds(approximator):
    omega = RNG.normal(size=approximator.n_parameters)
    b = approximator.jacobian(omega)
    with mpmath.workdps(40):
        for s, a in _pairs(approximator):
            for i, unit in enumerate(np.eye(len(omega))):
                slope = float(_directional(approximator, omega, unit, s, a, 1))
                assert b[s, a, i] == pytest.approx(slope, abs=1e-13)  # a few ulps of terms below 10


@pytest.mark.parametrize("approximator", ALL)
def test_the_hessian_is_the_second_derivative_that_mpmath_finds(approximator):
    omega, v = RNG.normal(size=(2, approximator.n_parameters))
    found = approximator.hessian_vector(omega, v) @ v
    with mpmath.workdps(40):
        for s, a in _pairs(approximator):
            curvature = float(_directional(approximator, omega, v, s, a, 2))
            assert found[s, a] == pytest.approx(curvature, abs=1e-12)


@pytest.mark.parametrize("approximator", ALL)
def test_the_hessian_vector_product_is_linear_and_symmetric(approximator):
    omega, v, w = RNG.normal(size=(3, approximator.n_parameters))
    on_v, on_w = approximator.hessian_vector(omega, v), approximator.hessian_vector(omega, w)
    np.testing.assert_allclose(on_v @ w, on_w @ v, rtol=0, atol=1e-12)
    both = approximator.hessian_vector(omega, v + 2 * w)
    np.testing.assert_allclose(both, on_v + 2 * on_w, rtol=0, atol=1e-12)


def test_a_tanh_unit_has_the_derivatives_worked_out_by_hand():
    # Q = u tanh(w x) at x = 1, w = log(2)/2 -> tanh = 1/3, slope 8/9; u = 3.
    one = TanhQ(np.ones((1, 1, 1)), 1)
    omega = np.array([np.log(2) / 2, 3.0])
    assert one.value(omega)[0, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(one.jacobian(omega)[0, 0], [3 * 8 / 9, 1 / 3], rtol=1e-14)
    # Hessian [[-2 u t (1 - t^2), 1 - t^2], [1 - t^2, 0]] = [[-16/9, 8/9], [8/9, 0]]
    np.testing.assert_allclose(one.hessian_vector(omega, [1.0, 0.0])[0, 0], [-16 / 9, 8 / 9], rtol=1e-14)
    np.testing.assert_allclose(one.hessian_vector(omega, [0.0, 1.0])[0, 0], [8 / 9, 0], rtol=1e-14)


@pytest.mark.parametrize("approximator", ALL)
def test_missing_actions_have_value_minus_infinity_and_no_derivatives(approximator):
    omega, v = RNG.normal(size=(2, approximator.n_parameters))
    missing = np.ones((2, 3), bool)
    missing[tuple(np.array(_pairs(approximator)).T)] = False
    assert (approximator.value(omega)[missing] == -np.inf).all()
    assert (approximator.jacobian(omega)[missing] == 0).all()
    assert (approximator.hessian_vector(omega, v)[missing] == 0).all()


def test_the_jacobian_of_a_linear_approximator_is_a_copy():
    linear = LinearQ(X)
    linear.jacobian(np.zeros(2))[:] = 7
    assert not (linear.features == 7).all()


@pytest.mark.parametrize("approximator", ALL)
def test_a_wrong_number_of_parameters_is_named(approximator):
    with pytest.raises(InputError, match="`omega` must have shape"):
        approximator.value(np.zeros(approximator.n_parameters + 1))
    with pytest.raises(InputError, match="`v` must have shape"):
        approximator.hessian_vector(np.zeros(approximator.n_parameters), [1.0] * 99)
    with pytest.raises(InputError, match="`omega` must be finite"):
        approximator.jacobian(np.full(approximator.n_parameters, np.nan))


def test_bad_features_masks_and_layer_sizes_are_named():
    with pytest.raises(InputError, match="`features` must have shape"):
        LinearQ(np.zeros((2, 3)))
    with pytest.raises(InputError, match="`features` must be finite"):
        LinearQ(np.full((1, 1, 1), np.inf))
    with pytest.raises(InputError, match="`n_hidden` must be a positive integer"):
        TanhQ(X, 0)
    with pytest.raises(InputError, match="`mask` must have shape"):
        LinearQ(X, MASK[:, :2])
    with pytest.raises(InputError, match="at least one action in every state"):
        TabularQ(np.zeros((1, 2), bool))
    with pytest.raises(InputError, match="array of booleans"):
        TabularQ(np.ones((1, 2)))  # type: ignore[arg-type]
