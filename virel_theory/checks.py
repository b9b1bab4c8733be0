"""One place for input checks: every message names the argument, the rule and the value found."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError as InputError  # noqa: PLC0414
from virel_common.errors import require as require  # noqa: PLC0414

if TYPE_CHECKING:
    from virel_theory.mdp.tabular import TabularMDP

Array = NDArray[np.float64]


def as_real(x: ArrayLike, *, name: str) -> Array:
    """`x` as float64 of any shape (may share memory with `x`): no complex numbers, dates or text."""
    try:
        given = np.asarray(x)
        if given.dtype.kind not in "biufO":
            raise TypeError(f"found {given.dtype}")
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as err:
        raise InputError(f"`{name}` must be an array of real numbers; {err}") from None


def as_number(x: ArrayLike, *, name: str) -> float:
    """`x` as a float, `nan` and infinities included."""
    out = as_real(x, name=name)
    require(out.ndim == 0, name, out.shape, "must be a single number")
    return float(out)


def as_float_array(x: ArrayLike, shape: tuple[int, ...], *, name: str) -> Array:
    """`x` as float64 of exactly this shape (may share memory with `x`)."""
    out = as_real(x, name=name)
    require(out.shape == shape, name, out.shape, f"must have shape {list(shape)}")
    return out


def as_finite(x: ArrayLike, shape: tuple[int, ...], *, name: str) -> Array:
    """`x` as finite float64 of exactly this shape (may share memory with `x`)."""
    out = as_float_array(x, shape, name=name)
    first_bad(~np.isfinite(out), out, name=name, rule="must be finite")
    return out


def as_probabilities(p: ArrayLike, *, name: str) -> Array:
    """`p` as distributions over the last axis, of any shape."""
    out = as_real(p, name=name)
    require(out.ndim > 0 and out.size > 0, name, out.shape, "must have shape [..., n]")
    first_bad(~(out >= 0), out, name=name, rule="must be non-negative")
    sums = np.asarray(out.sum(axis=-1))
    bad = ~(np.abs(sums - 1) <= row_sum_tolerance(out.shape[-1]))
    first_bad(bad, sums, name=name, rule="must sum to 1 in every state")
    return out


def as_table(q: ArrayLike, mdp: "TabularMDP", *, name: str) -> Array:
    """`q` as an `[S, A]` float64 table, finite where the action exists and `-inf` where it does not."""
    out = as_float_array(q, mdp.shape, name=name)
    if mdp.mask is not None:
        out = np.where(mdp.mask, out, -np.inf)
    first_bad(~np.isfinite(out) & mdp.available, out, name=name, rule="must be finite")
    return out


def as_residual(beta: ArrayLike, mdp: "TabularMDP", *, name: str) -> Array:
    """`beta` as a finite `[S, A]` float64 table, 0 where the action does not exist (whatever stood there)."""
    out = as_float_array(beta, mdp.shape, name=name)
    first_bad(~np.isfinite(out) & mdp.available, out, name=name, rule="must be finite")
    return out if mdp.mask is None else np.where(mdp.mask, out, 0.0)


def as_values(v: ArrayLike, mdp: "TabularMDP", *, name: str) -> Array:
    """`v` as a finite `[S]` float64 vector."""
    out = as_float_array(v, (mdp.n_states,), name=name)
    first_bad(~np.isfinite(out), out, name=name, rule="must be finite")
    return out


def as_distribution(d: ArrayLike, size: int, *, name: str) -> Array:
    """`d` as a probability vector `[size]`: entries >= 0, sum 1 within rounding."""
    out = as_float_array(d, (size,), name=name)
    first_bad(~(out >= 0), out, name=name, rule="must be non-negative")
    total = float(out.sum())
    require(abs(total - 1) <= row_sum_tolerance(size), name, total, "must sum to 1")
    return out


def as_rows(pi: ArrayLike, table: Array, *, name: str) -> Array:
    """`pi` as distributions over the actions of an `[S, A]` table, zero where it is `-inf`."""
    out = as_float_array(pi, table.shape, name=name)
    first_bad(
        (out > 0) & np.isneginf(table), out, name=name, rule="must be 0 where the action does not exist"
    )
    return as_probabilities(out, name=name)


def as_policy(pi: ArrayLike, mdp: "TabularMDP", *, name: str) -> Array:
    """`pi` as an `[S, A]` policy: rows are distributions, zero on actions that do not exist."""
    out = as_float_array(pi, mdp.shape, name=name)
    first_bad((out > 0) & ~mdp.available, out, name=name, rule="must be 0 where the action does not exist")
    return as_probabilities(out, name=name)


def as_temperature(eps: float, *, name: str) -> float:
    """`eps` as a positive, finite float."""
    value = as_number(eps, name=name)
    require(0 < value < np.inf, name, eps, "must be positive and finite (the limit 0 is `greedy_policy`)")
    return value


def first_bad(bad: NDArray[np.bool_], values: Array, *, name: str, rule: str) -> None:
    """Raise for the first True in `bad`, naming its index and value."""
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), bad.shape)
        where = ", ".join(str(int(i)) for i in index)
        raise InputError(f"`{name}` {rule}; found {float(values[index])!r} at [{where}]")


def row_sum_tolerance(n_terms: int) -> float:
    """Largest |sum - 1| of `n_terms` correctly rounded probabilities, summed in float64 in any order.

    Each entry is rounded once (relative u = eps/2) and each of the n - 1 additions once: at most
    n u (1 + O(n u)) in total; 2 n eps + 4 eps leaves a factor of four, and 0.999 is 12 orders away.
    """
    return (2 * n_terms + 4) * float(np.finfo(np.float64).eps)
