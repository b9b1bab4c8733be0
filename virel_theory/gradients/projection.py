r"""Relaxation of representability: projection on the tangent space of $\hat Q_\omega$, App. F.1.

`b_omega [S, A, N]` holds $b_\omega(h) = \nabla_\omega\hat Q_\omega(h)$. $E[\cdot]$ is uniform over the pairs
that exist; tables hold anything where an action does not exist. Every inverse needs $E[b b^\top]$ of full
rank N: then a solve is backward stable, and errors are of the order of N^2 cond(E[b b^T]) ulps.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import (
    Array,
    Mask,
    as_finite,
    as_finite_number,
    as_float_array,
    as_mask,
    as_positive,
    as_real,
    require_function,
)
from virel_theory.mdp.validation import as_gamma


def tangent_weights(b_omega: ArrayLike, q: ArrayLike, *, mask: Mask | None = None) -> Array:
    r"""Weights of the best tangent approximation of Q, $\tilde\omega = E[b b^\top]^{-1} E[b Q]$, Eq. (32).

    Args: b_omega: `[S, A, N]`. q: `[S, A]`, reward units. mask: `[S, A]`, True where the action exists; all
        if None.
    Returns: `[N]`; relative error of N^2 cond(E[b b^T]) ulps.
    Raises: InputError: if `E[b b^T]` is singular (naming its rank), or on wrong shapes or values that are
        not finite.

    Example:
        >>> tangent_weights([[[1.0], [1.0]]], [[1.0, 3.0]]).tolist()
        [2.0]
    """
    features, values, _ = _rows(b_omega, q, mask, name="q")
    return _solve_gram(features, features.T @ values / len(values))


def project_tangent(b_omega: ArrayLike, q: ArrayLike, *, mask: Mask | None = None) -> Array:
    r"""Projection of Q on tangents, $P_\omega Q = b_\omega(h)^\top E[b b^\top]^{-1} E[b Q]$, App. F.1.

    Args: b_omega: `[S, A, N]`. q: `[S, A]`. mask: `[S, A]`, True where the action exists; all if None.
    Returns: `[S, A]`, a new array, `-inf` where the action does not exist; error as in `tangent_weights`.
    Raises: InputError: if `E[b b^T]` is singular (naming its rank), or on wrong shapes or values that are
        not finite.

    Example:
        >>> project_tangent([[[1.0], [1.0]]], [[1.0, 3.0]]).tolist()
        [[2.0, 2.0]]
    """
    features, values, on = _rows(b_omega, q, mask, name="q")
    projected = features @ _solve_gram(features, features.T @ values / len(values))
    out = np.full(np.shape(q), -np.inf)
    out[np.ones(out.shape, bool) if on is None else on] = projected
    return out


def projected_residual_error(b_omega: ArrayLike, beta_omega: ArrayLike, *, mask: Mask | None = None) -> float:
    r"""Projected residual error $\varepsilon_\omega = \frac{1}{2|H|}\|P_\omega\beta_\omega\|_2^2$, Eq. (33).

    Args:
        b_omega: `[S, A, N]`.
        beta_omega: `[S, A]` Bellman residuals $T_\omega\hat Q_\omega - \hat Q_\omega$, reward units.
        mask: `[S, A]`, True where the action exists; all if None.

    Returns: the error, in reward units squared; relative error of N^2 cond(E[b b^T]) ulps of mean(beta^2).
    Raises: InputError: if `E[b b^T]` is singular (naming its rank), or on wrong shapes or values that are
        not finite.

    Example:
        >>> round(projected_residual_error([[[1.0], [1.0]]], [[1.0, 3.0]]), 4)
        2.0
    """
    features, beta, _ = _rows(b_omega, beta_omega, mask, name="beta_omega")
    projected = features @ _least_squares(features, beta)
    return float(projected @ projected / (2 * len(beta)))


def projected_residual_error_quadratic(
    b_omega: ArrayLike, beta_omega: ArrayLike, *, mask: Mask | None = None
) -> float:
    r"""Projected residual error $\varepsilon_\omega$ as a quadratic form, second form of Eq. (33).

    $$2\varepsilon_\omega = E[b^\top\beta]\, E[b b^\top]^{-1} E[\beta b]$$

    Args: b_omega: `[S, A, N]`. beta_omega: `[S, A]`, reward units. mask: `[S, A]`; all actions exist if None.
    Returns: the error, in reward units squared; relative error of N^2 cond(E[b b^T]) ulps of mean(beta^2).
    Raises: InputError: if `E[b b^T]` is singular (naming its rank), or on wrong shapes or values that are
        not finite.

    Example:
        >>> projected_residual_error_quadratic([[[1.0], [1.0]]], [[1.0, 3.0]])
        2.0
    """
    features, beta, _ = _rows(b_omega, beta_omega, mask, name="beta_omega")
    moment = features.T @ beta / len(beta)
    return float(moment @ _solve_gram(features, moment) / 2)


def zeta(b_omega: ArrayLike, beta_omega: ArrayLike, *, mask: Mask | None = None) -> Array:
    r"""Weights of the projected Bellman residual, $\zeta_\omega = E[b b^\top]^{-1} E[\beta b]$, App. F.1.

    Args: b_omega: `[S, A, N]`. beta_omega: `[S, A]`, reward units. mask: `[S, A]`; all actions exist if None.
    Returns: `[N]`; relative error of N^2 cond(E[b b^T]) ulps.
    Raises: InputError: if `E[b b^T]` is singular (naming its rank), or on wrong shapes or values that are
        not finite.

    Example:
        >>> zeta([[[1.0], [2.0]]], [[1.0, 2.0]]).tolist()
        [1.0]
    """
    features, beta, _ = _rows(b_omega, beta_omega, mask, name="beta_omega")
    return _solve_gram(features, features.T @ beta / len(beta))


def grad_projected_residual_error(
    b_omega: ArrayLike,
    beta_omega: ArrayLike,
    *,
    grad_beta: ArrayLike,
    hessian_vector: Callable[[Array], Array],
    mask: Mask | None = None,
) -> Array:
    r"""Gradient of the projected residual error $\nabla_\omega\varepsilon_\omega$, App. F.1.

    $$E[(\nabla_\omega\beta_\omega(h))\, b^\top\zeta_\omega]
    + E[(\beta_\omega(h) - b^\top\zeta_\omega)\nabla^2_\omega\hat Q_\omega(h)\zeta_\omega]$$

    Args:
        b_omega: `[S, A, N]`.
        beta_omega: `[S, A]`, reward units.
        grad_beta: `[S, A, N]`, $\nabla_\omega\beta_\omega(h)$ of the operator in use.
        hessian_vector: maps `[N]` to `[S, A, N]`, $\nabla^2_\omega\hat Q_\omega(h)$ times the vector.
        mask: `[S, A]`; all actions exist if None.

    Returns: `[N]`; error of N^2 cond(E[b b^T]) ulps of the largest product that is averaged.
    Raises: InputError: if `E[b b^T]` is singular (naming its rank), or on wrong shapes or values that are
        not finite.

    Example:
        >>> b, beta, slope = [[[1.0]]], [[3.0]], [[[-0.5]]]
        >>> flat = lambda v: np.zeros((1, 1, 1))
        >>> grad_projected_residual_error(b, beta, grad_beta=slope, hessian_vector=flat).tolist()
        [-1.5]
    """
    require_function(hessian_vector, name="hessian_vector", of="a vector [N]")
    features, beta, on = _rows(b_omega, beta_omega, mask, name="beta_omega")
    shape = np.shape(b_omega)
    slopes = _features(as_float_array(grad_beta, shape, name="grad_beta"), on, name="grad_beta")
    zeta_omega = _solve_gram(features, features.T @ beta / len(beta))
    curved = as_float_array(hessian_vector(zeta_omega), shape, name="hessian_vector(zeta)")
    bends = _features(curved, on, name="hessian_vector(zeta)")
    along = features @ zeta_omega
    out: Array = (slopes.T @ along + bends.T @ (beta - along)) / len(beta)
    return out


def zeta_update(zeta_k: ArrayLike, *, b_k: ArrayLike, beta_k: float, step_size: float) -> Array:
    r"""Stochastic update, from one sample, of the weights $\zeta$ of the projected residual, Eq. (34).

    $$\zeta_{k+1} = \zeta_k + \alpha_{\zeta_k}(\beta_\omega(h) - b_\omega(h)^\top\zeta_k)\, b_\omega(h)$$

    Args: zeta_k: `[N]`. b_k: `[N]`, $b_{\omega_k}(h_k)$. beta_k: residual or TD error. step_size:
        $\alpha_{\zeta_k} > 0$.
    Returns: `[N]`, a new array; error (N + 4) ulps of its terms.
    Raises: InputError: on wrong shapes, values that are not finite, or a step size that is not positive and
        finite.

    Example:
        >>> zeta_update([0.0], b_k=[2.0], beta_k=1.0, step_size=0.5).tolist()
        [1.0]
    """
    weights = _as_vector(zeta_k, name="zeta_k")
    features = as_finite(b_k, weights.shape, name="b_k")
    residual, size = as_finite_number(beta_k, name="beta_k"), as_positive(step_size, name="step_size")
    out: Array = weights + size * (residual - features @ weights) * features
    return out


def omega_update(
    omega_k: ArrayLike,
    *,
    zeta_k: ArrayLike,
    b_k: ArrayLike,
    b_next: ArrayLike,
    q_k: ArrayLike,
    gamma: float,
    step_size: float,
    project: Callable[[Array], Array] = lambda omega: omega,
) -> Array:
    r"""Stochastic update of the parameters $\omega$ from one sample, exactly as printed, Eq. (35).

    $$\omega_{k+1} = \mathcal P(\omega_k + \alpha_{\omega_k}(b_k - \gamma b'_k) b_k^\top\hat\zeta_k - q_k)$$

    with $q_k = (\beta_{\omega_k}(h_k) - b_k^\top\hat\zeta_k)\nabla^2_\omega\hat
    Q_{\omega_k}(h_k)\hat\zeta_k$. As printed, the step size does not multiply $q_k$, so that a vanishing step
    does not vanish unless $\hat Q_\omega$ is linear (q_k = 0).

    Args:
        omega_k: `[N]` parameters.
        zeta_k: `[N]` auxiliary weights.
        b_k: `[N]`, $b_{\omega_k}(h_k)$.
        b_next: `[N]`, $b_{\omega_k}(h'_k)$.
        q_k: `[N]` curvature term.
        gamma: discount in [0, 1).
        step_size: $\alpha_{\omega_k} > 0$.
        project: $\mathcal P$, onto a compact set; the identity by default.

    Returns: `[N]`, a new array; error (N + 6) ulps of its terms.
    Raises: InputError: on wrong shapes, a discount outside [0, 1), or a step size that is not positive and
        finite.

    Example:
        >>> one = [1.0]
        >>> omega_update([0.0], zeta_k=one, b_k=one, b_next=one, q_k=[0.0], gamma=0.5, step_size=1.0).tolist()
        [0.5]
    """
    omega = _as_vector(omega_k, name="omega_k")
    weights, curvature = (
        as_finite(zeta_k, omega.shape, name="zeta_k"),
        as_finite(q_k, omega.shape, name="q_k"),
    )
    features, features_next = (
        as_finite(b_k, omega.shape, name="b_k"),
        as_finite(b_next, omega.shape, name="b_next"),
    )
    gamma, size = as_gamma(gamma), as_positive(step_size, name="step_size")
    require_function(project, name="project", of="a vector [N]")
    moved = omega + size * (features - gamma * features_next) * (features @ weights) - curvature
    return project(moved)


def _features(b: Array, mask: Mask | None, *, name: str) -> Array:
    """Gradients `[|H|, N]` of the state-action pairs that exist, from `b [S, A, N]`, checked to be finite."""
    out = b.reshape(-1, b.shape[2]) if mask is None else b[mask]
    require(bool(np.isfinite(out).all()), name, "nan or inf", "must be finite on the existing pairs")
    return out


def _rows(
    b_omega: ArrayLike, values: ArrayLike, mask: Mask | None, *, name: str
) -> tuple[Array, Array, Mask | None]:
    """Checked features `[|H|, N]` and values `[|H|]` of the pairs that exist, and the checked mask."""
    b = as_real(b_omega, name="b_omega")
    require(b.ndim == 3 and b.size > 0, "b_omega", b.shape, "must have shape [S, A, N]")
    table = as_float_array(values, b.shape[:2], name=name)
    on = None if mask is None else as_mask(mask, table.shape)
    column = _features(table[:, :, None], on, name=name)
    return _features(b, on, name="b_omega"), column[:, 0], on


def _gram(features: Array) -> Array:
    """Gram matrix `E[b b^T]` of the features, checked to have full rank in float64."""
    gram: Array = features.T @ features / len(features)
    rank, size = int(np.linalg.matrix_rank(gram, hermitian=True)), len(gram)
    require(
        rank == size,
        "E[b b^T]",
        f"rank {rank}",
        f"of the features b must have the full rank N = {size}; drop linearly dependent features",
    )
    return gram


def _solve_gram(features: Array, moment: Array) -> Array:
    """Weights `E[b b^T]^-1 moment` of features b, by one linear solve with their Gram matrix."""
    return np.asarray(np.linalg.solve(_gram(features), moment), dtype=np.float64)


def _least_squares(features: Array, values: Array) -> Array:
    """Least-squares weights that fit `values` by the features, by QR; the Gram matrix's rank is checked."""
    _gram(features)
    q, r = np.linalg.qr(features)
    return np.asarray(np.linalg.solve(r, q.T @ values), dtype=np.float64)


def _as_vector(x: ArrayLike, *, name: str) -> Array:
    """Return `x` as a finite float64 vector `[N]`."""
    out = as_real(x, name=name)
    require(out.ndim == 1 and out.size > 0, name, out.shape, "must have shape [N]")
    return as_finite(out, out.shape, name=name)
