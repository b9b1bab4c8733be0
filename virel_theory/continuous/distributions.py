"""Distributions over a continuous action: uniform, truncated Gaussian, atoms and mixtures of these.

Each has a density (unless it has an atom), a differential entropy and expectations.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from virel_common.errors import require
from virel_theory.checks import Array, as_distribution, as_finite_number, as_number, as_real, require_function
from virel_theory.continuous.quadrature import (
    N_NODES,
    Function,
    Quadrature,
    gauss_legendre,
    plain_panels,
    refine,
)

REACH = 40.0  # standard deviations after which a Gaussian's tail is below 1e-349
LOG_2PI = math.log(2 * math.pi)
FALLS = np.array([0.0, 1.0, 4.0, 12.0, 24.0, 45.0])
"""Edges of the panels of a truncated Gaussian, as falls of its log density; e^-45 is below rounding."""


@dataclass(frozen=True)
class Gaussian:
    """Gaussian density on the real line, or truncated to `[low, high]` and renormalised.

    Example:
        >>> round(expectation(lambda x: x, Gaussian(1.0, 0.5)), 6)
        1.0
    """

    mean: float = 0.0
    sigma: float = 1.0
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        """Check that sigma is positive, the mean finite, and the ends in order."""
        _set_numbers(self)
        require(0 < self.sigma < math.inf, "sigma", self.sigma, "must be positive and finite")
        require(math.isfinite(self.mean), "mean", self.mean, "must be finite")
        require(self.low < self.high, "high", self.high, f"must be above `low` = {self.low}")
        start, width = _start(self), (self.high - self.low) / self.sigma
        rule = (
            "must be so large that the interval, in units of it, is wider than 0 and not infinitely far off"
        )
        require(width > 0 and math.isfinite(start), "sigma", self.sigma, rule)


@dataclass(frozen=True)
class Uniform:
    """Uniform density on `[low, high]`.

    Example:
        >>> round(expectation(lambda x: x, Uniform(0.0, 4.0)), 6)
        2.0
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        """Check that the ends of the interval are finite and in order."""
        _set_numbers(self)
        ok = -math.inf < self.low < self.high < math.inf
        require(ok, "high", self.high, f"must be finite and above `low` = {self.low}")
        require(self.high - self.low < math.inf, "high", self.high, "must be less than 1.8e308 above `low`")


@dataclass(frozen=True)
class Atom:
    """Dirac delta at `point`: a distribution without a density.

    Example:
        >>> from numpy.polynomial import Polynomial
        >>> expectation(Polynomial([0.0, 1.0]), Atom(3.0))
        3.0
    """

    point: float

    def __post_init__(self) -> None:
        """Check that the point is a finite number."""
        object.__setattr__(self, "point", as_finite_number(self.point, name="point"))


@dataclass(frozen=True)
class Mixture:
    """Mixture of the distributions `parts` with probabilities `weights`; parts may be atoms or mixtures.

    Example:
        >>> from numpy.polynomial import Polynomial
        >>> expectation(Polynomial([0.0, 1.0]), Mixture((0.25, 0.75), (Atom(0.0), Atom(4.0))))
        3.0
    """

    weights: tuple[float, ...]
    parts: tuple["Distribution", ...]

    def __post_init__(self) -> None:
        """Check that the parts are distributions, and the weights non-negative, one per part, of sum 1."""
        is_list = isinstance(self.parts, tuple | list)
        fits = is_list and all(isinstance(part, Distribution) for part in self.parts)
        require(fits, "parts", self.parts, "must be a tuple of distributions")
        as_distribution(self.weights, len(self.parts), name="weights")

    @property
    def support(self) -> list[tuple[float, "Distribution"]]:
        """Pairs (weight, distribution) of the mixture, without those of weight 0."""
        return [(w, part) for w, part in zip(self.weights, self.parts, strict=True) if w > 0]


Distribution = Gaussian | Uniform | Atom | Mixture


def _set_numbers(p: Gaussian | Uniform) -> None:
    """Store the parameters of a distribution as floats; raise `InputError` for one that is no number."""
    for name, value in vars(p).items():
        object.__setattr__(p, name, as_number(value, name=name))


def require_distribution(p: Distribution, *, name: str = "p") -> None:
    """Raise `InputError` unless `p`, the argument called `name`, is a distribution over the action."""
    require(isinstance(p, Distribution), name, p, "must be a Gaussian, Uniform, Atom or Mixture")


def log_density(p: Distribution, x: ArrayLike) -> Array:
    r"""Logarithm of a policy's density $\log\pi_\theta(a|s)$, Eq. (4).

    Args: p: a distribution without atoms. x: actions.
    Returns: nats, in the shape of `x`; `-inf` outside the support.
    Raises: InputError: if `p` has an atom, hence no density.

    Example:
        >>> log_density(Uniform(0.0, 2.0), [0.5, 3.0]).round(4).tolist()
        [-0.6931, -inf]
    """
    require_distribution(p)
    points = as_real(x, name="x")
    if isinstance(p, Mixture):
        terms = [math.log(w) + log_density(part, points) for w, part in p.support]
        mixed: Array = logsumexp(terms, axis=0)
        return mixed
    require(not isinstance(p, Atom), "p", p, "must have a density, hence no atom")
    assert not isinstance(p, Atom)
    inside = (points >= p.low) & (points <= p.high)
    if isinstance(p, Uniform):
        return np.where(inside, -math.log(p.high - p.low), -np.inf)
    with np.errstate(over="ignore"):  # points so far out that the density is 0
        fall = _fall(_start(p), abs(points - _top(p)) / p.sigma)
    return np.where(inside, -fall - math.log(p.sigma) - _log_z_and_mean_fall(p)[0], -np.inf)


def differential_entropy(p: Distribution) -> Quadrature:
    r"""Differential entropy $\mathcal H(p) = -\int p\log p$ in nats, Eq. (21).

    Returns: `-inf` as soon as there is an atom; closed forms for uniform and Gaussian densities (rounding is
        bounded), quadrature for mixtures (the error is estimated).

    Example:
        >>> round(differential_entropy(Gaussian()).value, 4), differential_entropy(Atom(0.0)).value
        (1.4189, -inf)
    """
    require_distribution(p)
    if has_atom(p):
        return Quadrature(-math.inf, 0.0, True)
    if isinstance(p, Mixture):
        panels = plain_panels(lambda x: _minus_p_log_p(p, x))
        totals, errors = refine(panels, _edges(p), scale=np.ones(2), rtol=1e-13)
        return Quadrature(float(totals[1]), float(errors[1]), False)
    assert isinstance(p, Uniform | Gaussian)
    terms = [math.log(p.high - p.low)] if isinstance(p, Uniform) else _gaussian_entropy(p)
    return Quadrature(sum(terms), 1e-15 * (8 + sum(map(abs, terms))), True)


def expectation(phi: Function, p: Distribution) -> float:
    r"""Expectation $E_{a\sim p}[\varphi(a)]$ of a function of the action, Eq. (4).

    Args: phi: a function of arrays, or a polynomial. p: a distribution.
    Returns: the mean; its error is estimated: 1e-13 of E|phi|.

    Example:
        >>> from numpy.polynomial import Polynomial
        >>> expectation(Polynomial([0.0, 0.0, 1.0]), Atom(3.0))
        9.0
    """
    require_function(phi, name="phi", of="arrays")
    require_distribution(p)
    if isinstance(p, Atom):
        return float(phi(np.array([p.point]))[0])
    if isinstance(p, Mixture):
        return float(sum(w * expectation(phi, part) for w, part in p.support))
    if isinstance(p, Gaussian) and math.isfinite(p.low) and math.isfinite(p.high):
        return _truncated_expectation(phi, p)
    panels = plain_panels(lambda x: phi(x) * np.exp(log_density(p, x)))
    return float(refine(panels, _edges(p), scale=np.ones(2), rtol=1e-13)[0][1])


def has_atom(p: Distribution) -> bool:
    """Whether the distribution has an atom, hence no density and entropy `-inf`, Eq. (21).

    Example:
        >>> has_atom(Mixture((0.5, 0.5), (Atom(0.0), Uniform(0.0, 1.0))))
        True
    """
    if isinstance(p, Mixture):
        return any(has_atom(part) for _, part in p.support)
    return isinstance(p, Atom)


def _minus_p_log_p(p: Distribution, x: Array) -> Array:
    """Integrand `-p log p` of the differential entropy at the points `x`, 0 outside the support."""
    log_p = log_density(p, x)
    finite = np.where(np.isneginf(log_p), 0.0, log_p)
    return np.where(np.isneginf(log_p), 0.0, -np.exp(finite) * finite)


# A truncated Gaussian is written about the point x0 of its interval that is nearest its mean: at a distance
# of u sigma from x0, log p is lower than at x0 by c u + u^2 / 2, c = |x0 - mean| / sigma. All terms are
# positive, so that nothing cancels on an interval far out in the tail, or narrower than its ends' rounding.


def _top(p: Gaussian) -> float:
    """Point x0 of the interval at which the density is largest."""
    return min(max(p.mean, p.low), p.high)


def _start(p: Gaussian) -> float:
    """Distance c of x0 from the mean, in standard deviations."""
    return abs(_top(p) - p.mean) / p.sigma


def _fall(c: float, u: Array) -> Array:
    """Fall of the log density from x0 to a distance of u standard deviations from it."""
    return (c + u / 2) * u


def _sides(p: Gaussian, falls: Array) -> list[tuple[float, Array]]:
    """Sides of x0, -1 or 1, with edges of panels on it: the u at which log p has fallen by `falls`."""
    c, top = _start(p), _top(p)
    with np.errstate(invalid="ignore"):  # 0 / 0 where there is no fall
        u = np.where(falls > 0, 2 * falls / (c + np.hypot(c, np.sqrt(2 * falls))), 0.0)
    widths = {-1.0: (top - p.low) / p.sigma, 1.0: (p.high - top) / p.sigma}
    return [(side, np.append(u[u < width], min(width, u[-1]))) for side, width in widths.items() if width > 0]


def _log_z_and_mean_fall(p: Gaussian) -> tuple[float, float]:
    r"""Logarithm of $Z = \int e^{-f(u)} du$, f the fall and $p = e^{-f}/(\sigma Z)$, and the mean of f."""
    if math.isinf(p.low) and math.isinf(p.high):
        return LOG_2PI / 2, 0.5
    nodes, weights = gauss_legendre(N_NODES)
    c, z, total = _start(p), 0.0, 0.0
    for _, u in _sides(p, FALLS):
        h = np.diff(u)[:, None] / 2
        fall = _fall(c, u[:-1, None] + h * (1 + nodes))
        tilt = h * weights * np.exp(-fall)
        z, total = z + float(tilt.sum()), total + float((tilt * fall).sum())
    return math.log(z), total / z


def _gaussian_entropy(p: Gaussian) -> list[float]:
    """Terms whose sum is the differential entropy of a Gaussian, truncated or not, in nats."""
    return [math.log(p.sigma), *_log_z_and_mean_fall(p)]


def _truncated_expectation(phi: Function, p: Gaussian) -> float:
    """Expectation of a function under a Gaussian on a finite interval, by quadrature over u."""
    c, top, (log_z, _) = _start(p), _top(p), _log_z_and_mean_fall(p)
    mean = 0.0
    for side, edges in _sides(p, np.append(FALLS, 745.0)):

        def integrand(u: Array, side: float = side) -> Array:
            return phi(np.clip(top + side * p.sigma * u, p.low, p.high)) * np.exp(-_fall(c, u) - log_z)

        mean += float(refine(plain_panels(integrand), edges, scale=np.ones(2), rtol=1e-13)[0][1])
    return mean


def _edges(p: Distribution) -> Array:
    """Edges of a density's first quadrature panels: ends of its parts, multiples of sigma about a mean."""
    if isinstance(p, Mixture):
        return np.unique(np.concatenate([_edges(part) for _, part in p.support]))
    if isinstance(p, Uniform):
        return np.linspace(p.low, p.high, 5)
    assert isinstance(p, Gaussian)
    grid = p.mean + p.sigma * np.array([-REACH, -10, -5, -2, 0, 2, 5, 10, REACH])
    inside = grid[(grid > p.low) & (grid < p.high)]
    ends = [end for end in (p.low, p.high) if math.isfinite(end)]
    return np.unique(np.concatenate([inside, ends]))
