"""App. F.1: hand-worked projections, least squares, singular features, the updates, bad input."""

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.gradients.projection import (
    grad_projected_residual_error,
    omega_update,
    project_tangent,
    projected_residual_error,
    projected_residual_error_quadratic,
    tangent_weights,
    zeta,
    zeta_update,
)
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_optimal

# One state, two actions, b = (1, 2), Q = (1, 7): E[b b] = 5/2, E[b Q] = 15/2, so w~ = 3 and P Q = (3, 6).
B = np.array([[[1.0], [2.0]]])
Q = np.array([[1.0, 7.0]])


def _random(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 3, 2)), rng.normal(size=(4, 3))


def test_the_hand_worked_projection():
    np.testing.assert_allclose(tangent_weights(B, Q), [3.0], rtol=1e-14)
    np.testing.assert_allclose(project_tangent(B, Q), [[3.0, 6.0]], rtol=1e-14)
    np.testing.assert_allclose(zeta(B, Q), [3.0], rtol=1e-14)
    # (9 + 36) / (2 * 2)
    assert projected_residual_error(B, Q) == pytest.approx(11.25, rel=1e-14)
    assert projected_residual_error_quadratic(B, Q) == pytest.approx(11.25, rel=1e-14)


def test_weights_equal_numpy_least_squares_and_the_projection_is_idempotent():
    b, q = _random()
    rows = b.reshape(-1, 2)
    np.testing.assert_allclose(tangent_weights(b, q), np.linalg.lstsq(rows, q.ravel())[0], rtol=1e-12)
    projected = project_tangent(b, q)
    np.testing.assert_allclose(project_tangent(b, projected), projected, atol=1e-13)
    assert projected_residual_error(b, q) == pytest.approx((projected**2).sum() / 24, rel=1e-13)


def test_tabular_features_project_nothing_away():
    b, q = np.eye(12).reshape(4, 3, 12), _random()[1]
    np.testing.assert_allclose(project_tangent(b, q), q, rtol=1e-14)


def test_missing_actions_take_no_part():
    b, q = _random()
    mask = np.ones((4, 3), bool)
    mask[0, 1] = mask[2, 2] = False
    garbage = np.where(mask, q, np.nan)
    rows = b[mask]
    np.testing.assert_allclose(
        tangent_weights(b, garbage, mask=mask), np.linalg.lstsq(rows, q[mask])[0], rtol=1e-12
    )
    projected = project_tangent(b, garbage, mask=mask)
    assert np.isneginf(projected[~mask]).all()
    error = projected_residual_error(b, garbage, mask=mask)
    assert error == pytest.approx((projected[mask] ** 2).sum() / 20, rel=1e-13)
    assert projected_residual_error_quadratic(b, garbage, mask=mask) == pytest.approx(error, rel=1e-12)


def test_under_the_optimal_operator_the_error_can_be_at_least_a_fifth_everywhere():
    # b = (1, 2), r = (0, 1), gamma = 7/8: 2 E[b beta] = 2 + omega/4 above 0 and 2 - (19/8) omega below.
    mdp = TabularMDP(np.ones((1, 2, 1)), np.array([[0.0, 1.0]]), 0.875)
    for omega in np.linspace(-50, 50, 401):
        q = B[:, :, 0] * omega
        slope = 0.25 if omega > 0 else -2.375
        error = projected_residual_error(B, bellman_optimal(mdp, q) - q)
        assert error == pytest.approx(((2 + slope * omega) / 2) ** 2 / 5, rel=1e-12)
        assert error >= 0.2 - 1e-12


def test_the_gradient_equals_central_differences_for_a_curved_function():
    rng = np.random.default_rng(5)
    mdp = TabularMDP(rng.dirichlet(np.ones(4), size=(4, 3)), rng.normal(size=(4, 3)), 0.5)
    pi, phi, omega = rng.dirichlet(np.ones(3), size=4), rng.normal(size=(4, 3, 2)), np.array([0.3, -0.2])
    half = rng.normal(size=(4, 3, 2, 2)) / 4
    hessian = half + half.swapaxes(2, 3)

    def parts(w):
        b, q = phi + hessian @ w, phi @ w + np.einsum("sanm,n,m->sa", hessian, w, w) / 2
        ahead = np.einsum("sat,tu,tu->sa", mdp.transition, pi, q)
        return b, mdp.reward + 0.5 * ahead - q

    b, beta = parts(omega)
    grad_beta = 0.5 * np.einsum("sat,tu,tun->san", mdp.transition, pi, b) - b
    exact = grad_projected_residual_error(b, beta, grad_beta=grad_beta, hessian_vector=lambda v: hessian @ v)
    h = 6e-6
    numeric = [
        (projected_residual_error(*parts(omega + h * e)) - projected_residual_error(*parts(omega - h * e)))
        / (2 * h)
        for e in np.eye(2)
    ]
    np.testing.assert_allclose(exact, numeric, atol=1e-8)


def test_the_zeta_update_is_a_step_of_least_mean_squares():
    # beta - b^T zeta = 1 - (1 + 2) = -2, times b / 4
    out = zeta_update([1.0, 1.0], b_k=[1.0, 2.0], beta_k=1.0, step_size=0.25)
    assert out.tolist() == [0.5, 0.0]
    b, beta = _random()
    target = zeta(b, beta)
    steps = [
        zeta_update(target, b_k=f, beta_k=float(y), step_size=1.0) - target
        for f, y in zip(b.reshape(-1, 2), beta.ravel(), strict=True)
    ]
    np.testing.assert_allclose(np.mean(steps, axis=0), 0, atol=1e-13)


def test_the_omega_update_leaves_the_curvature_term_unscaled_as_printed():
    # b - b'/2 = 1/2, b zeta = 2: 0 + 2 * 1/2 * step - q
    parts = {"zeta_k": [2.0], "b_k": [1.0], "b_next": [1.0], "gamma": 0.5}
    assert omega_update([0.0], q_k=[3.0], step_size=0.5, **parts).tolist() == [-2.5]
    clipped = omega_update([0.0], q_k=[3.0], step_size=0.5, project=lambda w: np.clip(w, -1, 1), **parts)
    assert clipped.tolist() == [-1.0]


@pytest.mark.parametrize(
    "function",
    [tangent_weights, project_tangent, projected_residual_error, projected_residual_error_quadratic, zeta],
)
def test_dependent_features_are_refused_with_their_rank(function):
    b = np.repeat(_random()[0][:, :, :1], 2, axis=2)
    with pytest.raises(
        InputError,
        match=r"`E\[b b\^T\]` .* must have the full rank N = 2; drop .* features; found 'rank 1'",
    ):
        function(b, np.zeros((4, 3)))


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"`b_omega` must have shape \[S, A, N\]"):
        tangent_weights(np.ones((2, 2)), Q)
    with pytest.raises(InputError, match="`q` must be finite on the existing pairs"):
        tangent_weights(B, [[np.nan, 0.0]])
    with pytest.raises(InputError, match="`mask` must have shape"):
        zeta(B, Q, mask=np.ones((2, 2), bool))
    with pytest.raises(InputError, match="`step_size` must be positive"):
        zeta_update([1.0], b_k=[1.0], beta_k=0.0, step_size=0.0)
    with pytest.raises(InputError, match=r"`gamma` must lie in \[0, 1\)"):
        omega_update([0.0], zeta_k=[0.0], b_k=[1.0], b_next=[1.0], q_k=[0.0], gamma=1.0, step_size=1.0)
