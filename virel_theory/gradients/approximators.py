r"""Function approximators $\hat Q_\omega$: tabular, linear and smooth non-linear, differentiated twice.

All take parameters `omega [N]` and give `[S, A]` tables; an action that does not exist (`mask`) has value
`-inf` and derivatives 0. Jacobians are $b_\omega(h) = \nabla_\omega\hat Q_\omega(h)$; second derivatives
are products with a vector, $\nabla^2_\omega\hat Q_\omega(h)\,v$, as App. F.1 needs them.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import Array, Mask, as_finite, as_mask, as_real, first_bad


class Approximator(Protocol):
    r"""Interface of function approximators $\hat Q_\omega$: values, gradients, Hessian products, App. F.1.

    Example:
        >>> several: list[Approximator] = [TabularQ([[True, True]]), LinearQ([[[1.0], [2.0]]])]
        >>> [one.n_parameters for one in several]
        [2, 1]
    """

    @property
    def n_parameters(self) -> int:
        """Number N of the approximator's parameters: the length of the vector `omega`."""

    def value(self, omega: ArrayLike) -> Array:
        r"""Action values $\hat Q_\omega(h)$ of all state-action pairs, `[S, A]`."""

    def jacobian(self, omega: ArrayLike) -> Array:
        """Gradients of all action values with respect to the parameters `omega`, `[S, A, N]`."""

    def hessian_vector(self, omega: ArrayLike, v: ArrayLike) -> Array:
        """Hessian of each action value with respect to `omega`, times the vector `v [N]`, `[S, A, N]`."""


@dataclass(frozen=True, eq=False)
class TabularQ:
    r"""Tabular approximator $\hat Q_\omega(h) = \omega_h$, for which Assumption 2 holds, App. F.1.

    Args: mask: `[S, A]` booleans, True where the action exists; parameters follow the True entries in row
    order.
    Raises: InputError: if `mask` is not a boolean table.

    Example:
        >>> TabularQ([[True, True]]).value([1.0, 2.0]).tolist()
        [[1.0, 2.0]]
    """

    mask: Mask

    def __post_init__(self) -> None:
        """Check the mask of existing actions and store it as an array."""
        object.__setattr__(self, "mask", as_mask(self.mask))

    @property
    def n_parameters(self) -> int:
        """Number N of parameters of the table: one per state-action pair that exists."""
        return int(self.mask.sum())

    def value(self, omega: ArrayLike) -> Array:
        r"""Table of action values $\hat Q_\omega(h) = \omega_h$, App. F.1."""
        out = np.full(self.mask.shape, -np.inf)
        out[self.mask] = as_finite(omega, (self.n_parameters,), name="omega")
        return out

    def jacobian(self, omega: ArrayLike) -> Array:
        r"""Gradients of all action values: the unit vectors $b_\omega(h) = e_h$, App. F.1."""
        as_finite(omega, (self.n_parameters,), name="omega")
        out = np.zeros((*self.mask.shape, self.n_parameters))
        out[self.mask] = np.eye(self.n_parameters)
        return out

    def hessian_vector(self, omega: ArrayLike, v: ArrayLike) -> Array:
        r"""Hessian-vector products, all zero: $\nabla^2_\omega \hat Q_\omega(h)\,v = 0$, App. F.1."""
        as_finite(omega, (self.n_parameters,), name="omega")
        as_finite(v, (self.n_parameters,), name="v")
        return np.zeros((*self.mask.shape, self.n_parameters))


@dataclass(frozen=True, eq=False)
class LinearQ:
    r"""Linear approximator $\hat Q_\omega(h) = x(h)^\top\omega$, Eq. (32).

    Args: features: $x(h)$, `[S, A, N]`, finite. mask: `[S, A]` booleans, all True if None.
    Raises: InputError: if `features` is not a finite `[S, A, N]` array, or `mask` does not fit it.

    Example:
        >>> LinearQ([[[1.0, 2.0], [0.0, 1.0]]]).value([1.0, -1.0]).tolist()
        [[-1.0, -1.0]]
    """

    features: Array
    mask: Mask | None = None

    def __post_init__(self) -> None:
        """Check the features and the mask of existing actions, and store them as arrays."""
        _set_features(self, self.features, self.mask)

    @property
    def n_parameters(self) -> int:
        """Number N of parameters of the linear approximator: one per feature."""
        return int(self.features.shape[2])

    def value(self, omega: ArrayLike) -> Array:
        r"""Action values $x(h)^\top\omega$ of the linear approximator, x(h) the features, Eq. (32)."""
        return _mask_out(self.features @ as_finite(omega, (self.n_parameters,), name="omega"), self.mask)

    def jacobian(self, omega: ArrayLike) -> Array:
        r"""Gradients of action values: the features $b_\omega(h) = x(h)$, 0 at missing actions, Eq. (32)."""
        as_finite(omega, (self.n_parameters,), name="omega")
        return _zero_out(self.features, self.mask)

    def hessian_vector(self, omega: ArrayLike, v: ArrayLike) -> Array:
        r"""Hessian-vector products, all zero: $\nabla^2_\omega \hat Q_\omega(h)\,v = 0$, App. F.1."""
        as_finite(omega, (self.n_parameters,), name="omega")
        as_finite(v, (self.n_parameters,), name="v")
        return np.zeros_like(self.features)


@dataclass(frozen=True, eq=False)
class TanhQ:
    r"""Network with one hidden layer, $\hat Q_\omega(h) = \sum_j u_j \tanh(w_j^\top x(h))$, App. F.1.

    The parameters are $\omega = (w_1, \dots, w_H, u)$. Infinitely smooth in $\omega$ (Assumption 5) with
    non-zero second derivatives. A bias is a constant feature.

    Args: features: $x(h)$, `[S, A, D]`, finite. n_hidden: H >= 1. mask: `[S, A]` booleans, all True if None.
    Raises: InputError: if `features` is not a finite `[S, A, D]` array, `n_hidden` < 1, or `mask` does not
    fit.

    Example:
        >>> TanhQ([[[1.0], [0.0]]], 1).value([0.5, 2.0]).round(4).tolist()
        [[0.9242, 0.0]]
    """

    features: Array
    n_hidden: int
    mask: Mask | None = None

    def __post_init__(self) -> None:
        """Check the features, the number of hidden units and the mask, and store them."""
        object.__setattr__(self, "n_hidden", as_whole(self.n_hidden, name="n_hidden", least=1))
        _set_features(self, self.features, self.mask)

    @property
    def n_parameters(self) -> int:
        """Number N = H D + H of parameters: the hidden weights row by row, then the output weights."""
        return self.n_hidden * (int(self.features.shape[2]) + 1)

    def value(self, omega: ArrayLike) -> Array:
        r"""Action values $\sum_j u_j \tanh(w_j^\top x(h))$ of the network, x(h) the features, App. F.1."""
        hidden, u = self._split(as_finite(omega, (self.n_parameters,), name="omega"))
        return _mask_out(np.tanh(self.features @ hidden.T) @ u, self.mask)

    def jacobian(self, omega: ArrayLike) -> Array:
        r"""Gradients of the values: $u_j\,(1 - t_j^2)\,x$, then $t_j = \tanh(w_j^\top x)$, App. F.1."""
        hidden, u = self._split(as_finite(omega, (self.n_parameters,), name="omega"))
        t = np.tanh(self.features @ hidden.T)  # [S, A, H]
        slope = u * (1 - t * t)
        return _zero_out(self._join(slope, t), self.mask)

    def hessian_vector(self, omega: ArrayLike, v: ArrayLike) -> Array:
        r"""Hessians times v: gradients' derivative $d b_{\omega + \tau v}(h)/d\tau$ at 0, App. F.1."""
        hidden, u = self._split(as_finite(omega, (self.n_parameters,), name="omega"))
        v_hidden, v_u = self._split(as_finite(v, (self.n_parameters,), name="v"))
        t = np.tanh(self.features @ hidden.T)
        dt = (1 - t * t) * (self.features @ v_hidden.T)
        dslope = v_u * (1 - t * t) - 2 * u * t * dt
        return _zero_out(self._join(dslope, dt), self.mask)

    def _split(self, omega: Array) -> tuple[Array, Array]:
        """Split the parameter vector into hidden weights `[H, D]` and output weights `[H]`."""
        n_weights = self.n_hidden * self.features.shape[2]
        return omega[:n_weights].reshape(self.n_hidden, -1), omega[n_weights:]

    def _join(self, slope: Array, t: Array) -> Array:
        """Network gradients `[S, A, N]`: `slope [S, A, H]` times the features, then hidden outputs `t`."""
        weights = slope[..., :, None] * self.features[..., None, :]
        return np.concatenate([weights.reshape(*t.shape[:2], -1), t], axis=2)


def _set_features(owner: "LinearQ | TanhQ", features: ArrayLike, mask: ArrayLike | None) -> None:
    """Check `features [S, A, D]` and `mask`, and store them in a frozen approximator."""
    x = as_real(features, name="features")
    require(x.ndim == 3 and x.size > 0, "features", x.shape, "must have shape [S, A, N]")
    first_bad(~np.isfinite(x), x, name="features", rule="must be finite")
    object.__setattr__(owner, "features", x)
    if mask is not None:
        object.__setattr__(owner, "mask", as_mask(mask, x.shape[:2]))


def _mask_out(q: Array, mask: Mask | None) -> Array:
    """Action values `q [S, A]`, with `-inf` where the action does not exist."""
    return q if mask is None else np.where(mask, q, -np.inf)


def _zero_out(b: Array, mask: Mask | None) -> Array:
    """Copy of the action-value gradients `b [S, A, N]`, with 0 where the action does not exist."""
    return b.copy() if mask is None else np.where(mask[:, :, None], b, 0.0)
