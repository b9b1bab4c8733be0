"""Input checks on numbers and arrays. Every message names the argument, the rule and the value found.

What must fit an MDP is checked in `mdp.tables`. `require`, `shown` and `InputError` come from
`virel_common.errors`, paths and whole numbers are checked in `virel_common.arguments`.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError as InputError  # noqa: PLC0414  # public: `virel_theory.InputError`
from virel_common.errors import in_one_line, require, shown

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

U = float(np.finfo(np.float64).eps)
"""Distance from 1 to the next float64, 2.2e-16: an ulp of 1, twice the unit roundoff."""


def as_array(x: Any, *, name: str) -> NDArray[Any]:
    """Return `x` as an array of any type, which may share memory with `x`.

    Masked entries are refused: an array without a mask would hold whatever lies below it. So are lists of
    rows of different lengths.
    """
    require(not _has_masked(x), name, x, "must have no masked entries; fill or remove them first")
    try:
        return np.asarray(x)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"`{name}` must be an array, its rows of one length; found {shown(x)}") from None
    except RuntimeError as err:  # a tensor that carries a gradient, or is on a GPU
        raise InputError(
            f"`{name}` must be an array; found {type(x).__name__} ({in_one_line(err)})"
        ) from None


def as_real(x: ArrayLike, *, name: str) -> Array:
    """Return `x` as a float64 array of any shape, which may share memory with `x`.

    Complex numbers, dates, text, None and masked entries are refused.
    """
    given = as_array(x, name=name)
    try:
        if given.dtype.kind not in "biufO":
            raise TypeError
        if given.dtype.kind == "O" and any(one is None or isinstance(one, str | bytes) for one in given.flat):
            raise TypeError
        return np.asarray(given, dtype=np.float64)
    except OverflowError:
        raise InputError(f"`{name}` must be of numbers that fit into float64; found {shown(x)}") from None
    except (TypeError, ValueError):
        raise InputError(f"`{name}` must be an array of real numbers; found {shown(x)}") from None


def read_only_copy(x: Array) -> Array:
    """Return a copy of `x` that refuses to be written to: neither shares memory with the other."""
    out = np.array(x)
    out.flags.writeable = False
    return out


def as_number(x: ArrayLike, *, name: str) -> float:
    """Return `x` as a float; `nan` and infinities are accepted, truth values are not."""
    if isinstance(x, float):
        return float(x)
    try:
        given = as_array(x, name=name)
        if given.ndim > 0 or given.dtype.kind not in "iufO":
            raise TypeError
        return float(given)
    except OverflowError:
        raise InputError(f"`{name}` must fit into float64; found {shown(x)}") from None
    except (TypeError, ValueError) as err:
        if isinstance(err, InputError):
            raise
        raise InputError(f"`{name}` must be a single number; found {shown(x)}") from None


def as_finite_number(x: ArrayLike, *, name: str) -> float:
    """Return `x` as a finite float."""
    value = as_number(x, name=name)
    require(bool(np.isfinite(value)), name, x, "must be finite")
    return value


def as_probability(x: ArrayLike, *, name: str) -> float:
    """Return `x` as a float in [0, 1]."""
    value = as_number(x, name=name)
    require(0 <= value <= 1, name, x, "must lie in [0, 1]")
    return value


def as_non_negative(x: ArrayLike, *, name: str) -> float:
    """Return `x` as a non-negative, finite float: a tolerance, or a temperature that may be 0."""
    value = as_number(x, name=name)
    require(0 <= value < np.inf, name, x, "must be non-negative and finite")
    return value


def as_positive(x: ArrayLike, *, name: str) -> float:
    """Return `x` as a positive, finite float."""
    value = as_number(x, name=name)
    require(0 < value < np.inf, name, x, "must be positive and finite")
    return value


def is_one_of(value: object, names: Collection[str]) -> bool:
    """Whether a value is one of several names; what is no text is none of them."""
    return isinstance(value, str) and value in names


def as_sign(sense: str) -> float:
    """The sign of rewards in a maximisation problem: 1 for "max", -1 for "min" (costs)."""
    known = is_one_of(sense, ("max", "min"))
    require(known, "sense", sense, "must be 'max' (rewards) or 'min' (costs)")
    return 1.0 if sense == "max" else -1.0


def as_generator(rng: Any, *, name: str = "rng") -> np.random.Generator:
    """Return the source of randomness `rng`, a numpy `Generator`."""
    is_one = isinstance(rng, np.random.Generator)
    require(is_one, name, rng, "must be a numpy Generator, such as np.random.default_rng(0)")
    out: np.random.Generator = rng
    return out


def require_function(f: object, *, name: str, of: str) -> None:
    """Raise `InputError` unless `f`, the argument called `name`, can be called; `of` says with what."""
    require(callable(f), name, f, f"must be a function of {of}")


def require_kind(value: object, kind: type | tuple[type, ...], *, name: str) -> None:
    """Raise `InputError` unless `value`, the argument called `name`, is of a class, or of one of several."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    wanted = " or ".join(one.__name__ for one in kinds)
    require(isinstance(value, kinds), name, value, f"must be of the class {wanted}")


def as_float_array(x: ArrayLike, shape: tuple[int, ...], *, name: str) -> Array:
    """Return `x` as a float64 array of shape `shape`, which may share memory with `x`."""
    out = as_real(x, name=name)
    require(out.shape == shape, name, out.shape, f"must have shape {list(shape)}")
    return out


def as_finite(x: ArrayLike, shape: tuple[int, ...], *, name: str) -> Array:
    """Return `x` as a finite float64 array of shape `shape`, which may share memory with `x`."""
    out = as_float_array(x, shape, name=name)
    first_bad(~np.isfinite(out), out, name=name, rule="must be finite")
    return out


def as_mask(mask: ArrayLike, shape: tuple[int, ...] | None = None) -> Mask:
    """Return `mask` as booleans `[..., S, A]`, True where the action exists: at least one action per state.

    `shape` is the required shape; None accepts any table `[S, A]`.
    """
    out = as_array(mask, name="mask")
    require(out.dtype == np.bool_, "mask", mask, "must be an array of booleans")
    if shape is None:
        require(out.ndim == 2 and out.size > 0, "mask", out.shape, "must have shape [S, A]")
    else:
        require(out.shape == shape, "mask", out.shape, f"must have shape {list(shape)}")
    empty = ~out.any(axis=-1)
    if empty.any():
        index = [int(i) for i in np.unravel_index(int(np.argmax(empty)), empty.shape)]
        where = f"no action in state {index[-1]}" + (f" of MDP {index[0]}" if len(index) > 1 else "")
        raise InputError(f"`mask` must leave at least one action in every state; found {where}")
    return out.astype(np.bool_)


def as_probabilities(p: ArrayLike, *, name: str) -> Array:
    """Return `p` as probability distributions over its last axis, of any shape `[..., n]`."""
    out = as_real(p, name=name)
    require(out.ndim > 0 and out.size > 0, name, out.shape, "must have shape [..., n] and not be empty")
    first_bad(~(out >= 0), out, name=name, rule="must be non-negative")
    sums = np.asarray(out.sum(axis=-1))
    bad = ~(np.abs(sums - 1) <= row_sum_tolerance(out.shape[-1]))
    first_bad(bad, sums, name=name, rule="must sum to 1 in every state")
    return out


def as_plain_policy(pi: ArrayLike, *, name: str) -> Array:
    """Return the policy `pi` as `[S, A]`, whatever actions exist: rows are distributions."""
    out = as_probabilities(pi, name=name)
    require(out.ndim == 2, name, out.shape, "must have shape [S, A]")
    return out


def as_distribution(d: ArrayLike, size: int, *, name: str) -> Array:
    """Return `d` as a probability vector `[size]`: entries >= 0 that sum to 1 within rounding."""
    out = as_float_array(d, (size,), name=name)
    first_bad(~(out >= 0), out, name=name, rule="must be non-negative")
    total = float(out.sum())
    require(abs(total - 1) <= row_sum_tolerance(size), name, total, "must sum to 1")
    return out


def as_rows(pi: ArrayLike, table: Array, *, name: str) -> Array:
    """Return the policy `pi [S, A]`: rows are distributions, 0 at actions whose entry in `table` is -inf."""
    out = as_float_array(pi, table.shape, name=name)
    first_bad(
        (out > 0) & np.isneginf(table), out, name=name, rule="must be 0 where the action does not exist"
    )
    return as_probabilities(out, name=name)


def as_temperature(eps: float, *, name: str) -> float:
    """Return the temperature `eps` as a positive, finite float."""
    value = as_number(eps, name=name)
    require(0 < value < np.inf, name, eps, "must be positive and finite (the limit 0 is `greedy_policy`)")
    return value


def first_bad(bad: Mask, values: Array, *, name: str, rule: str) -> None:
    """Raise `InputError` for the first entry of the array `values` that `bad` marks as breaking `rule`."""
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), bad.shape)
        where = ", ".join(str(int(i)) for i in index)
        raise InputError(f"`{name}` {rule}; found {float(values[index])!r} at [{where}]")


def row_sum_tolerance(n_terms: int) -> float:
    """Tolerance on `|sum - 1|` for `n_terms` correctly rounded probabilities, summed in float64 in any order.

    Each entry is rounded once (relative u = eps/2) and each of the n - 1 additions once: at most
    n u (1 + O(n u)) in total; 2 n eps + 4 eps leaves a factor of four, and 0.999 is 12 orders away.
    """
    return (2 * n_terms + 4) * U


def _has_masked(x: Any) -> bool:
    """Whether an array, or a list with arrays in it, has masked entries."""
    if isinstance(x, np.ma.MaskedArray):
        return bool(np.ma.getmaskarray(x).any())
    return isinstance(x, list | tuple) and any(
        _has_masked(one) for one in x if isinstance(one, list | tuple | np.ma.MaskedArray)
    )
