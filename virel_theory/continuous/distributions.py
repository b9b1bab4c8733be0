"""Distributions over a continuous action: uniform, truncated Gaussian, atoms and mixtures of these.

Each has a density (unless it has an atom), a differential entropy and expectations.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, logsumexp

from virel_common.errors import require
from virel_theory.checks import Array, as_distribution, as_finite_number, as_number, as_real, require_function
from virel_theory.continuous.quadrature import Function, Quadrature, plain_panels, refine

REACH = 40.0  # standard deviations after which a Gaussian's tail is below 1e-349
LOG_2PI = math.log(2 * math.pi)


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
    log_p = -(((points - p.mean) / p.sigma) ** 2) / 2 - math.log(p.sigma) - LOG_2PI / 2 - _log_mass(p)
    return np.where(inside, log_p, -np.inf)


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
    value = math.log(p.high - p.low) if isinstance(p, Uniform) else _gaussian_entropy(p)
    return Quadrature(value, 1e-15 * (8 + abs(value)), True)


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


def _standard_ends(p: Gaussian) -> tuple[float, float]:
    """Truncation points of a Gaussian, in standard deviations from its mean."""
    return (p.low - p.mean) / p.sigma, (p.high - p.mean) / p.sigma


def _log_mass(p: Gaussian) -> float:
    """Log-probability `log P(low < X < high)` of a Gaussian before truncation, without cancellation."""
    a, b = _standard_ends(p)
    a, b = (-b, -a) if a > 0 else (a, b)
    upper, lower = float(log_ndtr(b)), float(log_ndtr(a))
    return upper + math.log1p(-math.exp(lower - upper))


def _gaussian_entropy(p: Gaussian) -> float:
    """Differential entropy of a Gaussian, truncated or not, in closed form, in nats."""
    log_mass = _log_mass(p)
    low, high = (
        0.0 if math.isinf(t) else t * math.exp(-t * t / 2 - LOG_2PI / 2 - log_mass) for t in _standard_ends(p)
    )
    return (1 + LOG_2PI) / 2 + math.log(p.sigma) + log_mass + (low - high) / 2


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
