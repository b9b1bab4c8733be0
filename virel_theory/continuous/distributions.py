"""Distributions over a continuous action: uniform, truncated Gaussian, atoms and mixtures of these.

Each has a density (unless it has an atom), a differential entropy and expectations.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

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

FALLS = np.array([0.0, 1.0, 4.0, 12.0, 24.0, 45.0])
"""Edges of the panels of a Gaussian, as falls of its log density; e^-45 is below rounding."""
LAST_FALL = 745.0
"""Fall of the log density after which a density is 0 in float64, where expectations end."""


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
    return _log_density(p, 0.0, as_real(x, name="x"))


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
        return _mixture_entropy(p)
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
    return float(sum(_mean(lambda at, u: phi(at.actions(u)), piece).value for piece in _pieces(p)))


def has_atom(p: Distribution) -> bool:
    """Whether the distribution has an atom, hence no density and entropy `-inf`, Eq. (21).

    Example:
        >>> has_atom(Mixture((0.5, 0.5), (Atom(0.0), Uniform(0.0, 1.0))))
        True
    """
    if isinstance(p, Mixture):
        return any(has_atom(part) for _, part in p.support)
    return isinstance(p, Atom)


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


@lru_cache(maxsize=256)
def _z_and_mean_fall(p: Gaussian) -> tuple[float, float]:
    r"""Integral $Z = \int e^{-f(u)} du$, f the fall and $p = e^{-f}/(\sigma Z)$, and the mean of f."""
    if math.isinf(p.low) and math.isinf(p.high):
        return math.sqrt(2 * math.pi), 0.5
    nodes, weights = gauss_legendre(N_NODES)
    c, z, total = _start(p), 0.0, 0.0
    for _, u in _sides(p, FALLS):
        h = np.diff(u)[:, None] / 2
        fall = _fall(c, u[:-1, None] + h * (1 + nodes))
        tilt = h * weights * np.exp(-fall)
        z, total = z + float(tilt.sum()), total + float((tilt * fall).sum())
    return z, total / z


def _gaussian_entropy(p: Gaussian) -> list[float]:
    """Terms whose sum is the differential entropy of a Gaussian, truncated or not, in nats."""
    z, mean_fall = _z_and_mean_fall(p)
    return [math.log(p.sigma), math.log(z), mean_fall]


# Integrals are taken over the distance u, so that neither a far nor a narrow density falls between two
# panels or two float64 numbers. Where a density is needed at actions of another, as in a mixture, an action
# is a pair (origin, offset) for the same reason.


@dataclass(frozen=True, eq=False)
class _Piece:
    """One side of a density, as the density `mass(u)` of u >= 0, where the action is `origin + scale u`.

    `edges` are those of the first panels of u, from 0 to where the density ends.
    """

    of: Gaussian | Uniform
    origin: float
    scale: float
    edges: Array
    mass: Callable[[Array], Array]

    def offsets(self, u: Array) -> Array:
        """Distances of actions from `origin`, within the interval of the density."""
        out: Array = np.clip(self.scale * u, self.of.low - self.origin, self.of.high - self.origin)
        return out

    def actions(self, u: Array) -> Array:
        """Actions, rounded to float64 numbers of the interval."""
        out: Array = np.clip(self.origin + self.scale * u, self.of.low, self.of.high)
        return out


def _pieces(p: Gaussian | Uniform) -> Iterator[_Piece]:
    """Sides of a density whose integrals sum to the integral over the whole interval."""
    if isinstance(p, Uniform):
        yield _Piece(p, p.low, p.high - p.low, np.linspace(0.0, 1.0, 5), np.ones_like)
        return
    c, (z, _) = _start(p), _z_and_mean_fall(p)
    for side, edges in _sides(p, np.append(FALLS, LAST_FALL)):
        yield _Piece(p, _top(p), side * p.sigma, edges, lambda u: np.exp(-_fall(c, u)) / z)


def _mean(f: Callable[[_Piece, Array], Array], piece: _Piece, breaks: Array | None = None) -> Quadrature:
    """Integral of `f(piece, u)` times the density of u, on one piece; `breaks` are more edges of panels."""
    edges = piece.edges if breaks is None else np.union1d(piece.edges, breaks)
    panels = plain_panels(lambda u: f(piece, u) * piece.mass(u))
    totals, errors = refine(panels, edges, scale=np.ones(2), rtol=1e-13)
    return Quadrature(float(totals[1]), float(errors[1]), False)


def _log_density(p: Distribution, origin: float, offset: Array) -> Array:
    """Logarithm of the density at the actions `origin + offset`, a sum that is never rounded."""
    if isinstance(p, Mixture):
        mixed: Array = logsumexp(
            [math.log(w) + _log_density(part, origin, offset) for w, part in p.support], axis=0
        )
        return mixed
    require(not isinstance(p, Atom), "p", p, "must have a density, hence no atom")
    assert not isinstance(p, Atom)
    inside = (offset >= p.low - origin) & (offset <= p.high - origin)
    if isinstance(p, Uniform):
        return np.where(inside, -math.log(p.high - p.low), -np.inf)
    with np.errstate(over="ignore"):  # actions so far out that the density is 0
        fall = _fall(_start(p), abs((origin - _top(p)) + offset) / p.sigma)
    return np.where(inside, -fall - math.log(p.sigma) - math.log(_z_and_mean_fall(p)[0]), -np.inf)


def _mixture_entropy(p: Mixture) -> Quadrature:
    r"""Entropy $\sum_i w_i E_{p_i}[-\log p]$ of a mixture of densities $p_i$, each over its own u."""
    pieces = [(w, piece) for w, part in _leaves(p) for piece in _pieces(part)]
    value, error = 0.0, 0.0
    for w, piece in pieces:
        breaks = np.concatenate([_edges_within(piece, other) for _, other in pieces])
        found = _mean(lambda at, u: -_log_density(p, at.origin, at.offsets(u)), piece, breaks)
        value, error = value + w * found.value, error + w * found.error_bound
    return Quadrature(value, error, False)


def _leaves(p: Distribution) -> Iterator[tuple[float, Gaussian | Uniform]]:
    """Pairs (weight, density) of a mixture without atoms, the mixtures in it taken apart."""
    if isinstance(p, Mixture):
        for w, part in p.support:
            yield from ((w * inner, leaf) for inner, leaf in _leaves(part))
    elif not isinstance(p, Atom):
        yield 1.0, p


def _edges_within(piece: _Piece, other: _Piece) -> Array:
    """Distances u within a piece at which another density needs an edge: its ends, and its panels if narrow.

    A density that is at least a quarter as wide is smooth on the panels of the piece.
    """
    narrow = 4 * _width(other) < _width(piece)
    with np.errstate(over="ignore"):  # edges so far out that they lie within no piece
        panels = (other.origin - piece.origin) + other.scale * other.edges
        ends = np.array([other.of.low, other.of.high]) - piece.origin
        u = (panels if narrow else ends) / piece.scale
    out: Array = u[(u > piece.edges[0]) & (u < piece.edges[-1])]
    return out


def _width(piece: _Piece) -> float:
    """Width of the first panel of a piece, in units of the action."""
    return float(abs(piece.scale) * piece.edges[1])
