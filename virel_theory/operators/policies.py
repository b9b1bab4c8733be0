r"""Policies over finite action sets: the Boltzmann policy, its greedy limit, entropy and KL divergence.

A table `q` is `[S, A]`; an action that does not exist holds `-inf` and gets probability 0.
"""

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax, xlogy

from virel_common.errors import require
from virel_theory.checks import (
    Array,
    Mask,
    as_non_negative,
    as_probabilities,
    as_real,
    as_temperature,
    first_bad,
)

TERMS = 18
"""Terms of the series of `_minus_log1p`: the next is below 9^-18 = 7e-18 of the sum."""


def as_action_values(q: ArrayLike, *, name: str = "q") -> Array:
    """Return action values `q` as float64 `[S, A]`: no NaN or `+inf`, at least one finite value per row."""
    out = as_real(q, name=name)
    require(out.ndim == 2 and out.size > 0, name, out.shape, "must have shape [S, A]")
    first_bad(
        ~(out < np.inf),  # NaN or +inf
        out,
        name=name,
        rule="must be finite (or -inf where the action does not exist)",
    )
    best: Array = out.max(axis=1)
    first_bad(~(best > -np.inf), best, name=name, rule="must have a finite value in every state")
    return out


def log_boltzmann_policy(q: ArrayLike, *, eps: float) -> Array:
    r"""Logarithm of the Boltzmann policy, $\log\pi_\omega(a|s)$, Eq. (3).

    Args: q: `[S, A]`, reward units. eps: temperature $\varepsilon_\omega > 0$, reward units.
    Returns: `[S, A]` in nats, `-inf` where the action does not exist or the value is below float64's range;
        error of (A + 8) ulps of 1 + |log pi|.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> log_boltzmann_policy([[0.0, 0.0]], eps=1.0).round(4).tolist()
        [[-0.6931, -0.6931]]
    """
    scaled = scaled_differences(as_action_values(q), as_temperature(eps, name="eps"))
    out: Array = scaled - logsumexp(scaled, axis=1, keepdims=True)
    return out


def boltzmann_policy(q: ArrayLike, *, eps: float) -> Array:
    r"""Boltzmann policy $\pi_\omega(a|s)$ of an action-value table, Eq. (3).

    $$\pi_\omega(a|s) = \frac{\exp(\hat Q_\omega(h)/\varepsilon_\omega)}
        {\sum_a \exp(\hat Q_\omega(h)/\varepsilon_\omega)}$$

    Deviation: 1. the integral over A is a sum over a finite action set; 2. `eps = 0` is not accepted: the
        limit is `greedy_policy`.

    Args: q: `[S, A]`, reward units. eps: temperature $\varepsilon_\omega > 0$, reward units.
    Returns: `[S, A]` probabilities; rows sum to 1 within A ulps.
    Raises: InputError: if `eps` is not positive and finite, or `q` is not a table of action values.

    Example:
        >>> boltzmann_policy([[1.0, 0.0]], eps=1.0).round(4).tolist()
        [[0.7311, 0.2689]]
    """
    scaled = scaled_differences(as_action_values(q), as_temperature(eps, name="eps"))
    return np.asarray(softmax(scaled, axis=1), dtype=np.float64)


def greedy_policy(q: ArrayLike, *, tie_tol: float = 0.0) -> Array:
    r"""Limit of the Boltzmann policy as $\varepsilon_\omega \to 0$: uniform over the best actions, Eq. (22).

    Deviation: 1. where the maximum is tied the paper's Dirac is not defined; the limit of (3) is uniform over
        the ties.

    Args: q: `[S, A]`. tie_tol: actions within this distance (reward units) of the maximum count as tied.
    Returns: `[S, A]` probabilities.
    Raises: InputError: if `tie_tol` is negative or not finite, or `q` is not a table of action values.

    Example:
        >>> greedy_policy([[1.0, 0.0], [2.0, 2.0]]).tolist()
        [[1.0, 0.0], [0.5, 0.5]]
    """
    tolerance, table = as_non_negative(tie_tol, name="tie_tol"), as_action_values(q)
    ties = table >= table.max(axis=1, keepdims=True) - tolerance
    out: Array = ties / ties.sum(axis=1, keepdims=True)
    return out


def entropy(pi: ArrayLike) -> Array:
    r"""Entropy $\mathcal H(\pi(\cdot|s)) = -\sum_a \pi(a|s)\log\pi(a|s)$ of every row, in nats, Eq. (4).

    Args: pi: `[S, A]` probabilities.
    Returns: `[S]`, with 0 log 0 = 0.
    Raises: InputError: if a row is not a distribution.

    Example:
        >>> entropy([[0.5, 0.5], [1.0, 0.0]]).round(4).tolist()
        [0.6931, 0.0]
    """
    p = as_probabilities(pi, name="pi")
    out: Array = 0.0 - xlogy(p, p).sum(axis=-1)
    return out


def kl_divergence(p: ArrayLike, q: ArrayLike) -> Array:
    r"""Kullback-Leibler divergence $KL(p \| q) = \sum_x p(x)\log(p(x)/q(x))$ over the last axis, Eq. (5).

    Deviation: 1. summed as $p\log(p/q) - p + q \ge 0$, which has the same sum, as p and q sum to 1, and
    neither cancels nor turns negative where they are close.

    Args: p, q: `[..., n]` probabilities.
    Returns: `[...]` nats, >= 0; `inf` where p > 0 = q, and 0 log 0 = 0. Relative error of that sum: (n + 16)
        ulps times 1 + max|log(p/q)|.
    Raises: InputError: if a row is not a distribution, or the shapes differ.

    Example:
        >>> kl_divergence([1.0, 0.0], [0.5, 0.5]).round(4).item()
        0.6931
    """
    a, b = as_probabilities(p, name="p"), as_probabilities(q, name="q")
    require(a.shape == b.shape, "q", b.shape, f"must have the shape of `p` {a.shape}")
    on = a > 0
    u = _ratio(b - a, a, on)
    close = np.abs(u) <= 0.5
    apart = (b - a) - a * _log_ratio(b, a, on)
    terms = np.where(close, a * _minus_log1p(np.where(close, u, 0.0)), apart)
    out: Array = np.where(on, terms, b).sum(axis=-1)
    return out


def _ratio(x: Array, y: Array, on: Mask) -> Array:
    """Quotients x / y where `on`, else 0; infinite where they overflow."""
    with np.errstate(over="ignore"):
        out: Array = np.divide(x, y, out=np.zeros_like(y), where=on)
    return out


def _log_ratio(x: Array, y: Array, on: Mask) -> Array:
    """Logarithms of x / y where `on`, else 0, for x >= 0 and y > 0, also if the quotient leaves float64."""
    quotient = _ratio(x, y, on)
    normal = (quotient > 1e-300) & (quotient < 1e300)
    above, below = np.where(normal, quotient, x), np.where(normal, 1.0, y)
    with np.errstate(divide="ignore"):  # log 0, which is -inf
        out: Array = np.log(np.where(on, above, 1.0)) - np.log(np.where(on, below, 1.0))
    return out


def _minus_log1p(u: Array) -> Array:
    r"""Function $u - \log(1 + u) \ge 0$ for $|u| \le 1/2$, to a few ulps, by a series.

    It is $\log(1 + u) = 2\sum_k w^{2k+1}/(2k+1)$ for $w = u/(2 + u)$, whose first term is $u - uw$.
    """
    w = u / (2 + u)
    odd = 2 / np.arange(3.0, 3.0 + 2 * TERMS, 2)
    out: Array = w * (u - w * w * polyval(w * w, odd))
    return out


def scaled_differences(table: Array, eps: float | Array) -> Array:
    r"""Exponents $(Q - \max_a Q)/\varepsilon \le 0$ of the Boltzmann policy, `[S, A]`.

    Dividing before subtracting would overflow where the differences do not, and round them to ulps of
    max|q|/eps. What is out of range becomes `-inf`. Halves are exact, and their differences never overflow.
    """
    top = table.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        plain, halved = (table - top) / eps, 2 * ((table / 2 - top / 2) / eps)
    out: Array = np.where(np.isfinite(plain), plain, halved)
    return out
