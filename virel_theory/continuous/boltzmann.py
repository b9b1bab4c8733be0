"""Quadrature for Boltzmann distributions on an interval (Thm 1), and for the objective L there (Lemma 1).

The functions f, phi and Q(., s) are `numpy.polynomial.Polynomial`, whose quadrature error is bounded, or
functions of arrays, whose error is estimated. Write f about its maximum (no large constants) when eps is
tiny: it is evaluated with an error of a few ulps of its terms, which eps divides. The bound includes that.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_distribution,
    as_number,
    as_positive,
    as_real,
    as_temperature,
    first_bad,
    require_function,
)
from virel_theory.continuous.distributions import (
    Distribution,
    differential_entropy,
    expectation,
    require_distribution,
)
from virel_theory.continuous.quadrature import Function, Quadrature, boltzmann_panels, highest, refine

Interval = tuple[float, float]
FINEST = 1e-15
"""Smallest relative truncation error to aim at; below it panels would be halved for rounding's sake."""


def boltzmann_expectation(
    f: Function,
    phi: Function,
    *,
    interval: Interval,
    eps: float,
    breakpoints: Sequence[float] = (),
    rtol: float = 1e-13,
) -> Quadrature:
    r"""Expectation $\int_X\varphi(x)p_\varepsilon(x)dx$ under a Boltzmann distribution on X, Eq. (12).

    Args:
        f: the exponent, in units of `eps`; Boltzmann density proportional to exp(f / eps).
        phi: the test function.
        interval: the ends of X.
        eps: temperature > 0; 1e-8 times the range of f is fine.
        breakpoints: points where a function `f` or `phi` has a kink or a jump.
        rtol: truncation error aimed at, relative to max|phi|; at least 1e-15.

    Returns:
        The value with its error, truncation and rounding: a bound for polynomials, else an estimate.

    Raises:
        InputError: on an interval that is not finite and increasing, a temperature that is not positive, or
            an `rtol` that float64 can't reach.

    Example:
        >>> f, phi = Polynomial([0, 0, -1]), Polynomial([0, 0, 1])
        >>> round(boltzmann_expectation(f, phi, interval=(-1, 1), eps=1e-8).value, 12)
        5e-09
    """
    z, n = _moments(f, phi, interval=interval, eps=eps, breakpoints=breakpoints, rtol=rtol)
    value = n.value / z.value
    slack = n.error_bound + abs(value) * z.error_bound
    room = z.value - z.error_bound
    return Quadrature(value, slack / room if room > 0 else math.inf, z.is_bound)


def boltzmann_density(
    f: Function, x: ArrayLike, *, interval: Interval, eps: float, breakpoints: Sequence[float] = ()
) -> Array:
    r"""Boltzmann density $p_\varepsilon(x) = e^{f(x)/\varepsilon}/\int_X e^{f(x)/\varepsilon}dx$, Thm 1.

    Args:
        f: as in `boltzmann_expectation`.
        x: points of the interval.
        interval: the ends of X.
        eps: temperature > 0.
        breakpoints: points where a function `f` has a kink or a jump.

    Returns:
        Densities >= 0 in the shape of `x`; above 1 where the mass sits on less than unit length. Relative
        error: 1e-13 aimed at, and the rounding of f divided by eps.

    Raises:
        InputError: on a bad interval or temperature, or a point outside the interval.

    Example:
        >>> boltzmann_density(Polynomial([0.0]), [0.0, 1.0], interval=(0, 4), eps=1.0).round(12).tolist()
        [0.25, 0.25]
    """
    points, ends = as_real(x, name="x"), _as_interval(interval)
    outside = ~((points >= ends[0]) & (points <= ends[1]))
    first_bad(outside, points, name="x", rule=f"must lie in the interval {ends}")
    z, _ = _moments(f, Polynomial([0.0]), interval=interval, eps=eps, breakpoints=breakpoints, rtol=1e-13)
    out: Array = np.exp((f(points) - highest(f, ends)[0]) / as_number(eps, name="eps")) / z.value
    return out


def elbo_continuous(
    q: Sequence[Function], *, pi_theta: Sequence[Distribution], d: ArrayLike, eps: float
) -> float:
    r"""VIREL's objective $L(\omega,\theta)$ on finitely many states and a continuous action set, Eq. (4).

    $$L = E_{s\sim d(s)}\big[E_{a\sim\pi_\theta}[\hat Q_\omega(h)/\varepsilon_\omega]
        + \mathcal H(\pi_\theta(a|s))\big]$$

    Args:
        q: `[S]` functions of the action, reward units.
        pi_theta: `[S]` distributions over the action.
        d: `[S]` sampling distribution over states.
        eps: temperature > 0, reward units.

    Returns:
        L in nats, `-inf` if a state with d(s) > 0 has a policy with an atom. Estimated error: 1e-12 of
        1 + max|q|/eps.

    Raises:
        InputError: on lengths, a non-distribution, or a temperature that is not positive.

    Example:
        >>> from virel_theory.continuous.distributions import Uniform
        >>> elbo_continuous([Polynomial([1.0])], pi_theta=[Uniform(0.0, 1.0)], d=[1.0], eps=0.5)
        2.0
    """
    temperature = as_temperature(eps, name="eps")
    for name, given in {"q": q, "pi_theta": pi_theta}.items():
        require(isinstance(given, Sequence), name, given, "must be a list with one entry per state")
    weights = as_distribution(d, len(q), name="d")
    require(len(pi_theta) == len(q), "pi_theta", len(pi_theta), f"must have one entry per state, {len(q)}")
    for s, (q_s, p) in enumerate(zip(q, pi_theta, strict=True)):
        require_function(q_s, name=f"q[{s}]", of="arrays")
        require_distribution(p, name=f"pi_theta[{s}]")
    states = [(w, q_s, p) for w, q_s, p in zip(weights, q, pi_theta, strict=True) if w > 0]
    terms = [w * (expectation(q_s, p) / temperature + differential_entropy(p).value) for w, q_s, p in states]
    return float(sum(terms))


def _moments(
    f: Function, phi: Function, *, interval: Interval, eps: float, breakpoints: Sequence[float], rtol: float
) -> tuple[Quadrature, Quadrature]:
    """Integrals of the weight `exp((f - max f)/eps)` and of phi times it, by adaptive quadrature."""
    for name, function in {"f": f, "phi": phi}.items():
        require_function(function, name=name, of="arrays")
    ends, temperature = _as_interval(interval), as_temperature(eps, name="eps")
    low, high = ends[0], ends[1]
    share = as_positive(rtol, name="rtol")
    require(share >= FINEST, "rtol", rtol, f"must be at least {FINEST:g}, as float64 can tell no less")
    shift, peaks = highest(f, (low, high))
    inner = [x for x in (*_as_points(breakpoints), *peaks) if low < x < high]
    edges = np.unique(np.concatenate([np.linspace(low, high, 9), inner]))
    size = float(np.abs(phi(np.linspace(low, high, 257))).max())
    scale = np.array([1.0, size if size > 0 else 1.0])
    panels = boltzmann_panels(f, phi, eps=temperature, shift=shift)
    (z, n), (dz, dn) = refine(panels, edges, scale=scale, rtol=share)
    rigorous = isinstance(f, Polynomial) and isinstance(phi, Polynomial)
    return Quadrature(float(z), float(dz), rigorous), Quadrature(float(n), float(dn), rigorous)


def _as_interval(interval: Interval) -> Interval:
    """Return the ends of an interval as two floats."""
    ends = as_real(interval, name="interval")
    ok = ends.shape == (2,) and bool(-np.inf < ends[0] < ends[1] < np.inf)
    require(ok, "interval", interval, "must be finite and increasing, (low, high)")
    return float(ends[0]), float(ends[1])


def _as_points(breakpoints: Sequence[float]) -> list[float]:
    """Return the breakpoints as a list of floats."""
    points = as_real(breakpoints, name="breakpoints")
    require(points.ndim == 1, "breakpoints", breakpoints, "must be a list of numbers")
    out: list[float] = points.tolist()
    return out
