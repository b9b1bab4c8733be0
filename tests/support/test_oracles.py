import numpy as np

from tests.support.oracles import finite_difference


def test_the_finite_difference_of_a_vector_function_is_its_jacobian():
    x = np.array([0.3, -2.0, 50.0])

    def f(x):
        return np.array([np.sin(x[0]) * x[1], x[2] ** 2])

    expected = [[np.cos(0.3) * -2.0, np.sin(0.3), 0.0], [0.0, 0.0, 100.0]]
    # u F / h + h^2 D / 6 with F = 2500, h = 6e-6 (3e-4 along x[2]), D = 2: below 1e-7
    np.testing.assert_allclose(finite_difference(f, x), expected, rtol=0, atol=1e-7)


def test_the_finite_difference_keeps_the_shapes_of_value_and_argument():
    x = np.arange(6.0).reshape(2, 3)
    assert finite_difference(np.sum, x).shape == (2, 3)
    assert finite_difference(lambda x: x @ x.T, x).shape == (2, 2, 2, 3)
    np.testing.assert_allclose(finite_difference(np.sum, x), 1.0, rtol=0, atol=1e-9)


def test_the_step_follows_the_argument():
    # relative: h^2 D / 6 is rel_step^2 / 3 = 3e-9
    assert np.isclose(finite_difference(np.log, np.array(1e8), rel_step=1e-4), 1e-8, rtol=1e-8, atol=0)
