r"""Stein variational gradient descent on an interval of actions, as in soft Q-learning's sampler.

The actions are $a \in (-1, 1)$ and the target density is $p(a) \propto e^{Q(a)/\alpha}$, Q a polynomial. The
sampler works on $u = \operatorname{artanh} a$, where the same target has the density
$p(a)(1 - a^2)$ and the score

$$\frac{d}{du}\Big[\frac{Q(\tanh u)}\alpha + \log(1 - \tanh^2 u)\Big]
= (1 - a^2)\frac{Q'(a)}\alpha - 2a, \qquad a = \tanh u.$$

A known error is to take the same log-density as a function of a and move the actions themselves along its
derivative $Q'(a)/\alpha - 2a/(1 - a^2)$: the particles then target $e^{Q(a)/\alpha}(1 - a^2)$.

Integrals over actions: with $a = \tanh u$ they become integrals over the real line, for which the trapezoidal
rule converges exponentially (see `tanh_rule`).
"""

from typing import Literal

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_distribution,
    as_finite,
    as_positive,
    as_real,
    as_temperature,
    first_bad,
    is_one_of,
    require_kind,
)

Space = Literal["u", "a"]
STEP = 1 / 16
REACH = 20.0


def stein_direction(
    particles: ArrayLike,
    *,
    score: ArrayLike,
    bandwidth: float,
    at: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> Array:
    r"""Stein variational direction $\phi(y)$ of weighted particles on a line, Haarnoja et al. 2017, Eq. (13).

    $$\phi(y) = \sum_j w_j\big[\kappa(x_j, y)\,\nabla\log p(x_j) + \partial_{x_j}\kappa(x_j, y)\big],
    \quad \kappa(x, y) = e^{-(x - y)^2/(2h^2)}$$

    Deviation: 1. divided by the temperature, so that the score of $e^{Q/\alpha}$ stands where (13) has
    $\nabla Q$.

    Args:
        particles: `[N]` positions x.
        score: `[N]` derivatives of the target's log-density at the particles.
        bandwidth: width h > 0 of the Gaussian kernel, in the unit of x.
        at: `[K]` positions y at which the direction is wanted; None means the particles.
        weights: `[N]` probabilities w of the particles; None means 1/N each.

    Returns: `[K]` directions; error (N + 8) ulps of sum_j w_j |score_j| + 1/h.
    Raises: InputError: if the arrays do not fit, are empty or not finite, the weights are no distribution, or
        h is not positive and finite.

    Example:
        >>> stein_direction([0.5], score=[-2.0], bandwidth=1.0).tolist()
        [-2.0]
    """
    x = _as_line(particles, name="particles")
    y = x if at is None else _as_line(at, name="at")
    slope, h = as_finite(score, x.shape, name="score"), as_positive(bandwidth, name="bandwidth")
    w = np.full(x.shape, 1 / x.size) if weights is None else as_distribution(weights, x.size, name="weights")
    apart = (x[:, None] - y[None, :]) / h
    kernel = np.exp(-(apart**2) / 2)
    out: Array = w @ (kernel * (slope[:, None] - apart / h))
    return out


def squashed_score(u: ArrayLike, *, q: Polynomial, alpha: float) -> Array:
    r"""Score of $u = \operatorname{artanh} a$ where $a \sim e^{Q(a)/\alpha}$, Haarnoja et al. 2017, Sec. 3.3.

    $$(1 - a^2)\,Q'(a)/\alpha - 2a, \quad a = \tanh u$$

    Args: u: `[N]` positions. q: polynomial Q on [-1, 1], reward units. alpha: temperature > 0, reward units.
    Returns: `[N]` derivatives of the log-density; error (degree + 8) ulps of sum_k k|q_k|/alpha + 2.
    Raises: InputError: if `u` is not a finite vector, or `alpha` is not positive and finite.

    Example:
        >>> squashed_score([0.0], q=Polynomial([0.0, 3.0]), alpha=2.0).tolist()
        [1.5]
    """
    require_kind(q, Polynomial, name="q")
    a = np.tanh(_as_line(u, name="u"))
    out: Array = (1 - a**2) * q.deriv()(a) / as_temperature(alpha, name="alpha") - 2 * a
    return out


def misplaced_score(a: ArrayLike, *, q: Polynomial, alpha: float) -> Array:
    r"""Score of u's density taken as one of a, targeting $e^{Q/\alpha}(1 - a^2)$, Haarnoja et al. 2017.

    $$Q'(a)/\alpha - 2a/(1 - a^2)$$

    The error of softlearning, issue 143, a public code by the authors.

    Args: a: `[N]` actions in (-1, 1). q: polynomial Q, reward units. alpha: temperature > 0, reward units.
    Returns: `[N]` derivatives; relative error 16 ulps/(1 - max|a|), plus (degree + 8) ulps of
        sum_k k|q_k|/alpha.
    Raises: InputError: if an action lies outside (-1, 1), or `alpha` is not positive and finite.

    Example:
        >>> misplaced_score([0.5], q=Polynomial([0.0, 3.0]), alpha=2.0).round(4).tolist()
        [0.1667]
    """
    require_kind(q, Polynomial, name="q")
    x = _as_line(a, name="a")
    first_bad(np.abs(x) >= 1, x, name="a", rule="must lie in (-1, 1)")
    out: Array = q.deriv()(x) / as_temperature(alpha, name="alpha") - 2 * x / (1 - x**2)
    return out


def stein_flow(
    particles: ArrayLike, *, q: Polynomial, alpha: float, space: Space, step: float, n_steps: int
) -> Array:
    r"""Actions after steps of Stein variational gradient descent, Haarnoja et al. 2017, Eq. (13).

    `space="u"` moves $u = \operatorname{artanh} a$ along its own score (`squashed_score`); `space="a"` moves
    the actions along `misplaced_score`, and cuts them at $\pm(1 - 10^{-6})$. Each step is $x \leftarrow x +$
    step $\phi(x)$ with the bandwidth of median heuristics, $h^2 = m^2/(2\log(N + 1))$, m the median distance
    of two particles ($h = 1$ if m = 0).

    Args:
        particles: `[N]` actions in (-1, 1) to start from.
        q: polynomial Q on [-1, 1], reward units.
        alpha: temperature > 0, reward units.
        space: `"u"` (right) or `"a"` (the known error).
        step: step size > 0.
        n_steps: number of steps >= 0.

    Returns: `[N]` actions in (-1, 1).
    Raises: InputError: if an action lies outside (-1, 1), or a number is not as said.

    Example:
        >>> flat = Polynomial([0.0])
        >>> stein_flow([0.9], q=flat, alpha=1.0, space="u", step=0.5, n_steps=200).round(4).tolist()
        [0.0]
    """
    a = _as_line(particles, name="particles")
    first_bad(np.abs(a) >= 1, a, name="particles", rule="must lie in (-1, 1)")
    require_kind(q, Polynomial, name="q")
    size, temperature = as_positive(step, name="step"), as_temperature(alpha, name="alpha")
    n = as_whole(n_steps, name="n_steps")
    require(is_one_of(space, ("u", "a")), "space", space, "must be 'u' or 'a'")
    x = np.arctanh(a) if space == "u" else a
    score = squashed_score if space == "u" else misplaced_score
    for _ in range(n):
        slope = score(x, q=q, alpha=temperature)
        x = x + size * stein_direction(x, score=slope, bandwidth=_median_bandwidth(x))
        x = x if space == "u" else np.clip(x, -1 + 1e-6, 1 - 1e-6)
    return np.tanh(x) if space == "u" else x


def tanh_rule() -> tuple[Array, Array]:
    r"""Trapezoidal rule for $\int_{-1}^1 f(a)\,da$ with $a = \tanh u$, Trefethen and Weideman 2014.

    $$\int_{-1}^1 f(a)\,da = \int_{-\infty}^\infty f(\tanh u)(1 - \tanh^2u)\,du
    \approx \sum_k w_k f(\tanh u_k)$$

    Error: if the integrand g in u is analytic for $|Im\,u| \le \pi/4$ with $\int|g(u \pm iy)|du \le M$ there,
    at most $2M/(e^{2\pi(\pi/4)/\text{step}} - 1) < 10^{-33} M$ by the step 1/16 (Trefethen and Weideman 2014,
    Theorem 5.1), plus the integral beyond $|u| = 20$, where $1 - a^2 < 4e^{-40}$.

    Args: none.
    Returns: `[K]` nodes u and `[K]` weights, relative error of each 16 ulps.
    Raises: nothing.

    Example:
        >>> u, w = tanh_rule()
        >>> round(float(w @ np.tanh(u) ** 2), 12)
        0.666666666667
    """
    n = int(REACH / STEP)
    u: Array = STEP * np.arange(-n, n + 1, dtype=np.float64)
    return u, np.asarray(STEP / np.cosh(u) ** 2, dtype=np.float64)


def action_weights(*, q: Polynomial, alpha: float, power: int = 0) -> Array:
    r"""Probabilities of the nodes of `tanh_rule` under $e^{Q(a)/\alpha}(1 - a^2)^n$, Haarnoja et al. 2017.

    `power=0` is the target policy, `power=1` what particles with the `misplaced_score` target.

    Args: q: polynomial Q on [-1, 1], reward units. alpha: temperature > 0, reward units. power: exponent n >=
        0.
    Returns: `[K]` probabilities; relative error 64 ulps times 1 + sum_k|q_k|/alpha.
    Raises: InputError: if `alpha` is not positive and finite, or `power` is negative.

    Example:
        >>> u, _ = tanh_rule()
        >>> p = action_weights(q=Polynomial([0.0, 1.0]), alpha=1.0)
        >>> round(float(p @ np.tanh(u)), 6)  # coth(1) - 1
        0.313035
    """
    require_kind(q, Polynomial, name="q")
    power = as_whole(power, name="power")
    u, w = tanh_rule()
    values = q(np.tanh(u))
    with np.errstate(over="ignore"):  # of a density that is 0
        log_density = (values - values.max()) / as_temperature(alpha, name="alpha")
    mass = w * np.exp(log_density) * np.cosh(u) ** (-2.0 * power)
    out: Array = mass / mass.sum()
    return out


def _median_bandwidth(x: Array) -> float:
    apart = np.abs(x[:, None] - x[None, :])[np.triu_indices(len(x), 1)]
    median = float(np.median(apart)) if apart.size else 0.0
    return median / np.sqrt(2 * np.log(len(x) + 1)) if median > 0 else 1.0


def _as_line(x: ArrayLike, *, name: str) -> Array:
    out = as_real(x, name=name)
    require(out.ndim == 1 and out.size > 0, name, out.shape, "must have shape [N], N at least 1")
    return as_finite(out, out.shape, name=name)
