r"""Bellman residual; residual error, Eq. (2), in every printed normalisation; incremental form, Eq. (36).

All normalisations have the form $\varepsilon = \sum_h w_h |\beta_\omega(h)|^p$ and differ in the weights
$w_h$ only. Tables are `[S, A]`; a pair that does not exist holds `-inf` (in $\beta_\omega$ too) and does
not count.
"""

from enum import StrEnum
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_array,
    as_float_array,
    as_non_negative,
    as_number,
    as_positive,
    as_real,
    first_bad,
    is_one_of,
    row_sum_tolerance,
)
from virel_theory.mdp.tables import as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_incremental


class Normalisation(StrEnum):
    """Normalisations of the residual error in the paper, its talk and its poster, Eq. (2).

    Example:
        >>> [one.value for one in Normalisation]
        ['power', 'mean', 'half-mean', 'weighted', 'mean-square']
    """

    POWER = "power"
    MEAN = "mean"
    HALF_MEAN = "half-mean"
    WEIGHTED = "weighted"
    MEAN_SQUARE = "mean-square"

    @property
    def source(self) -> str:
        """Formula of this normalisation of the residual error, and where it is printed, Eq. (2)."""
        return _SOURCES[self]


_SOURCES = {
    Normalisation.POWER: r"(c/p) ||beta||_p^p, no measure: Eq. (2), App. D.3, App. F.2",
    Normalisation.MEAN: r"1/(p|H|) ||beta||_p^p: talk",
    Normalisation.HALF_MEAN: r"1/(2|H|) ||beta||_2^2: App. E.3, App. F.1",
    Normalisation.WEIGHTED: r"||beta||^2_{d(h)}, no 1/2: poster",
    Normalisation.MEAN_SQUARE: r"E_D[beta^2], no 1/2: Algorithm 2, App. H",
}


P_NORM = 2.0
"""The p of the norm, unless another is given."""


class NormOptions(TypedDict, total=False):
    """Keywords `c`, `p_norm`, `normalisation`, `d` that select the norm of the residual error, Eq. (2).

    Example:
        >>> options: NormOptions = {"c": 2.0, "normalisation": Normalisation.POWER}
        >>> residual_error([[1.0, 3.0]], **options)
        10.0
    """

    c: float
    p_norm: float
    normalisation: Normalisation
    d: ArrayLike | None


def bellman_residual(target: ArrayLike, q: ArrayLike) -> Array:
    r"""Bellman residual $\beta_\omega(h) = \mathcal T_\omega\hat Q_\omega(h) - \hat Q_\omega(h)$, Eq. (26).

    Args: target: `[S, A]`, $\mathcal T_\omega\hat Q_\omega$ from any operator. q: `[S, A]`, `-inf` at
        missing actions.
    Returns: `[S, A]`, reward units, `-inf` where `q` is; one rounding per entry.
    Raises: InputError: if the shapes differ, or `target` is not finite where `q` is.

    Example:
        >>> bellman_residual([[2.0, 1.0]], [[2.0, 0.0]]).tolist()
        [[0.0, 1.0]]
    """
    table = as_real(q, name="q")
    require(table.ndim == 2, "q", table.shape, "must have shape [S, A]")
    backed_up = as_float_array(target, table.shape, name="target")
    missing = np.isneginf(table)
    first_bad(
        ~np.isfinite(table) & ~missing,
        table,
        name="q",
        rule="must be finite (or -inf where the action does not exist)",
    )
    first_bad(
        ~np.isfinite(backed_up) & ~missing, backed_up, name="target", rule="must be finite where `q` is"
    )
    out = np.full(table.shape, -np.inf)
    np.subtract(backed_up, table, out=out, where=~missing)
    return out


def residual_weights(
    exists: ArrayLike,
    *,
    c: float = 1.0,
    p_norm: float = P_NORM,
    normalisation: Normalisation = Normalisation.MEAN,
    d: ArrayLike | None = None,
) -> Array:
    r"""Weights $w_h$ of $\sum_h w_h|\beta_\omega(h)|^p$ in a printed normalisation, Eq. (2).

    Args: exists: `[S, A]` booleans. The rest as in `residual_error`.
    Returns: `[S, A]`, 0 at missing pairs.
    Raises: InputError: as `residual_error`.

    Example:
        >>> residual_weights([[True, True]], normalisation=Normalisation.MEAN).tolist()
        [[0.25, 0.25]]
    """
    on = as_array(exists, name="exists")
    require(on.dtype == np.bool_, "exists", exists, "must be an array of booleans")
    require(bool(on.any()), "exists", "none", "must have at least one state-action pair")
    kind, scale = _as_normalisation(normalisation), as_positive(c, name="c")
    power = as_number(p_norm, name="p_norm")
    require(1 <= power < np.inf, "p_norm", p_norm, "must be finite and at least 1")
    squared = kind in (Normalisation.HALF_MEAN, Normalisation.WEIGHTED, Normalisation.MEAN_SQUARE)
    require(power == 2 or not squared, "p_norm", p_norm, f"must be 2 in the normalisation {kind.value!r}")
    require(
        (d is not None) == (kind is Normalisation.WEIGHTED),
        "d",
        d,
        "must be given for the normalisation 'weighted', and for no other",
    )
    if kind is Normalisation.WEIGHTED:
        return scale * _as_pair_distribution(d, on)
    weight = {
        Normalisation.POWER: scale / power,
        Normalisation.MEAN: scale / (power * on.sum()),
        Normalisation.HALF_MEAN: scale / (2 * on.sum()),
        Normalisation.MEAN_SQUARE: scale / on.sum(),
    }[kind]
    return np.where(on, weight, 0.0)


def residual_error(
    beta: ArrayLike,
    *,
    c: float = 1.0,
    p_norm: float = P_NORM,
    normalisation: Normalisation = Normalisation.MEAN,
    d: ArrayLike | None = None,
) -> float:
    r"""Residual error $\varepsilon_\omega = \frac{c}{p}\|T_\omega Q_\omega - Q_\omega\|_p^p$, Eq. (2).

    Deviation: 1. the measure of the norm is a choice (`Normalisation`, with its sources); the default is
    the talk's, which for p = 2 is E.3's too; 2. `c`, printed in (2) only, multiplies every normalisation;
    the experiments fix c = 1.

    Args:
        beta: `[S, A]`, reward units; `-inf` where the action does not exist.
        c: scale > 0.
        p_norm: p >= 1; 2 where the normalisation says so.
        normalisation: which printed form.
        d: `[S, A]`, d(h), for `WEIGHTED` only.

    Returns: the temperature; relative rounding error at most (|H| + 8) machine epsilons.
    Raises: InputError: if an entry is NaN or +inf, or a keyword does not fit the normalisation.

    Example:
        >>> residual_error([[2.0, 0.0]]), residual_error([[2.0, 0.0]], normalisation=Normalisation.POWER)
        (1.0, 2.0)
    """
    table = as_real(beta, name="beta")
    require(table.ndim == 2 and table.size > 0, "beta", table.shape, "must have shape [S, A]")
    on = ~np.isneginf(table)
    first_bad(
        ~np.isfinite(table) & on,
        table,
        name="beta",
        rule="must be finite (or -inf where the action does not exist)",
    )
    weights = residual_weights(on, c=c, p_norm=p_norm, normalisation=normalisation, d=d)
    size = np.abs(np.where(weights > 0, table, 0.0))  # 0 times a power that overflows would be NaN
    return float(np.sum(weights * size ** float(p_norm)))


def incremental_residual_error(
    mdp: TabularMDP, q: ArrayLike, *, eps_k: float, **norm: Unpack[NormOptions]
) -> float:
    r"""Incremental residual error $\varepsilon_{\omega,k}$, the temperature of $\pi_{\omega,k}$, Eq. (36).

    $$\varepsilon_{\omega,k} = \tfrac{c}{p}\|\mathcal T_{\omega,k}\hat Q_\omega - \hat Q_\omega\|_p^p +
    \varepsilon_k$$

    Args: mdp: finite MDP. q: `[S, A]`. eps_k: $\varepsilon_k \ge 0$; 0 is the limit $\mathcal T^*$. norm:
        as `residual_error`.
    Returns: $\varepsilon_{\omega,k} \ge \varepsilon_k$, reward units; rounding as `residual_error` on a
        residual that is (4 A + S + 18) u (max|q| + max|r|) off.
    Raises: InputError: on a table that is not finite, or a negative temperature.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> incremental_residual_error(mdp, [[2.0, 0.0]], eps_k=0.0)
        0.25
    """
    table = as_table(q, mdp, name="q")
    beta = bellman_residual(bellman_incremental(mdp, table, eps_k=eps_k), table)
    return residual_error(beta, **norm) + as_non_negative(eps_k, name="eps_k")


def _as_normalisation(value: Normalisation) -> Normalisation:
    """Return `value` as a `Normalisation`; its name as text is accepted too."""
    known = [kind.value for kind in Normalisation]
    require(is_one_of(value, known), "normalisation", value, f"must be one of {', '.join(known)}")
    return Normalisation(value)


def _as_pair_distribution(d: ArrayLike | None, exists: NDArray[np.bool_]) -> Array:
    """Return `d` as a distribution `[S, A]` over the state-action pairs that exist."""
    out = as_float_array(np.nan if d is None else d, exists.shape, name="d")
    first_bad(~(out >= 0), out, name="d", rule="must be non-negative")
    first_bad((out > 0) & ~exists, out, name="d", rule="must be 0 where the action does not exist")
    total = float(out.sum())
    require(abs(total - 1) <= row_sum_tolerance(out.size), "d", total, "must sum to 1")
    return out
