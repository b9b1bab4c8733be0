"""Claims on continuous policies: the library's densities, entropies, means against plain quadrature.

Cut and uncut Gaussians, uniforms and mixtures (a weight may be 0), and the Boltzmann density of a polynomial.

Bound:  u = 2.2e-16. The rule here is Gauss-Legendre with 40 nodes on panels at most one standard deviation
        wide, cut at 12 of them (mass beyond: 2e-33). It is exact to rounding for these analytic integrands
        (Bernstein ellipse of parameter 8: 8^-78). A cut keeps at least 1/2 sigma within 3 sigma of the
        mean, so mass m > 1e-3, and erf's difference loses u/m: 4096 u, times 1 + |log p| <= 32 for
        entropies and 1 + |x|^3 <= 1e4 for means, plus the 1e-13 that the library's own rule aims at,
        relative to the same sizes. On an interval: 128 panels, on which an exponent changes by at most 68
        (|f'| <= 68, eps >= 1/32): degree 80 leaves e^-81.
Teeth:  `perturb` adds 1 on the side of this file.
"""

import math
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.engine.claim import ON_AN_INTERVAL, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import Array, U
from virel_theory.continuous.boltzmann import boltzmann_density, boltzmann_expectation
from virel_theory.continuous.distributions import (
    Distribution,
    Gaussian,
    Mixture,
    Uniform,
    differential_entropy,
    expectation,
    log_density,
)

NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)


def density_gap(*, p: Distribution, perturb: float = 0.0) -> Gap:
    """Gap of the library's action densities, entropies and third moments to formulas and quadrature, zero.

    Densities are compared at points inside and outside the support.
    """
    points = np.array([-7.25, -1.5, -0.5, 0.0, 0.75, 1.5, 8.0])
    wanted = density(p, points)
    found = np.exp(log_density(p, points))
    mean = integral(lambda x: x**3 * density(p, x), panels(p))
    entropy = integral(lambda x: _minus_x_log_x(density(p, x)), panels(p))
    rule = 4096 * U + 1e-13
    return worst(
        Gap(float(np.abs(found - wanted - perturb).max()), 4096 * U * (1 + float(wanted.max()))),
        Gap(abs(expectation(Polynomial([0, 0, 0, 1]), p) - mean), rule * 1e4),
        Gap(abs(differential_entropy(p).value - entropy), rule * 32),
    )


def boltzmann_gap(
    *, f: list[float], phi: list[float], ends: tuple[float, float], eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of the library's Boltzmann density `exp(f/eps)/Z` and its mean to plain quadrature's, zero.

    The library is given f as a polynomial, and as a function.
    """
    low, high = ends
    x = np.linspace(low, high, 9)
    grid = np.linspace(low, high, 129)
    top = float(np.polynomial.polynomial.polyval(grid, f).max())

    def tilt(points: Array) -> Array:
        out: Array = np.exp((np.polynomial.polynomial.polyval(points, f) - top) / eps)
        return out

    z = integral(tilt, grid)
    mean = integral(lambda y: np.polynomial.polynomial.polyval(y, phi) * tilt(y), grid) / z
    wanted = tilt(x) / z + perturb
    found = boltzmann_density(Polynomial(f), x, interval=ends, eps=eps)
    value = boltzmann_expectation(Polynomial(f), Polynomial(phi), interval=ends, eps=eps)
    called = boltzmann_expectation(Polynomial(f).__call__, Polynomial(phi), interval=ends, eps=eps)
    size = sum(abs(a) * 3**k for k, a in enumerate(f)) / eps  # of the exponent, |x| <= 3
    room = (64 * (8 + size) * U + 2e-13) * (1 + sum(abs(a) * 3**k for k, a in enumerate(phi)))
    return worst(
        Gap(float(np.abs(found - wanted).max()), room * float(wanted.max())),
        Gap(abs(value.value - mean), room),
        Gap(abs(called.value - mean), room),
    )


def density(p: Distribution, x: Array) -> Array:
    """Density at `x` of a uniform, truncated Gaussian or mixture distribution, by the error function."""
    if isinstance(p, Mixture):
        return sum(
            (w * density(part, x) for w, part in zip(p.weights, p.parts, strict=True)), np.zeros(x.shape)
        )
    assert isinstance(p, Uniform | Gaussian)
    inside = (x >= p.low) & (x <= p.high)
    if isinstance(p, Uniform):
        return inside / (p.high - p.low)
    mass = 0.5 * (
        math.erf((p.high - p.mean) / (p.sigma * 2**0.5)) - math.erf((p.low - p.mean) / (p.sigma * 2**0.5))
    )
    bell = np.exp(-(((x - p.mean) / p.sigma) ** 2) / 2) / (p.sigma * math.sqrt(2 * math.pi))
    return np.where(inside, bell / mass, 0.0)


def panels(p: Distribution) -> Array:
    """Ends of the quadrature panels of a distribution; its density is smooth and varies little on each."""
    if isinstance(p, Mixture):
        return np.unique(np.concatenate([panels(part) for part in p.parts]))
    assert isinstance(p, Uniform | Gaussian)
    if isinstance(p, Uniform):
        return np.linspace(p.low, p.high, 5)
    inner = p.mean + p.sigma * np.arange(-12.0, 13.0)
    ends = [x for x in (p.low, p.high) if math.isfinite(x)]
    return np.unique([*ends, *inner[(inner > p.low) & (inner < p.high)]])


def integral(f: Callable[[Array], Array], edges: Array) -> float:
    """Integral of `f` over the panels between `edges`, by a composite Gauss-Legendre rule."""
    half = (edges[1:] - edges[:-1]) / 2
    x = (edges[1:] + edges[:-1])[:, None] / 2 + half[:, None] * NODES
    return float(half @ (f(x) @ WEIGHTS))


def _minus_x_log_x(x: Array) -> Array:
    return -x * np.log(np.where(x > 0, x, 1.0))


_CUTS = st.sampled_from(
    ((-math.inf, math.inf), (-1.0, math.inf), (-math.inf, 0.5), (-0.5, 1.5), (1.0, 2.5), (-3.0, -1.0))
)
_SIGMA, _MEAN = st.sampled_from((1.0, 0.5, 2.0)), st.sampled_from((0.0, 1.0, -0.5, 2.0))


@st.composite
def _gaussians(draw: st.DrawFn) -> Gaussian:
    mean, sigma, (low, high) = draw(_MEAN), draw(_SIGMA), draw(_CUTS)
    return Gaussian(mean, sigma, mean + sigma * low, mean + sigma * high)


_UNIFORMS = st.builds(lambda low, width: Uniform(low, low + width), _MEAN, _SIGMA)
_PARTS = st.one_of(_gaussians(), _UNIFORMS)
_MIXTURES = st.builds(
    lambda w, a, b: Mixture((w, 1 - w), (a, b)), st.sampled_from((0.5, 0.25, 0.0)), _PARTS, _PARTS
)
_COEFFICIENTS = st.lists(st.integers(-2, 2).map(float), min_size=4, max_size=4)

CLAIMS = (
    Claim(
        id="def-densities",
        title="log-densities, entropies and means of continuous policies",
        source="Eq. (4), (21)",
        statement=r"\log\pi_\theta(a|s), \quad \mathcal H(p) = -\int p\log p, \quad E_{a \sim p}[\varphi(a)]",
        check=Check(density_gap, st.fixed_dictionaries({"p": st.one_of(_PARTS, _MIXTURES)})),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="def-boltzmann-density",
        title="Boltzmann densities and means on an interval",
        source="Thm 1, Eq. (12)",
        statement=r"p_\varepsilon(x) = \frac{e^{f(x)/\varepsilon}}{\int_X e^{f(x)/\varepsilon}dx}",
        check=Check(
            boltzmann_gap,
            st.fixed_dictionaries(
                {
                    "f": _COEFFICIENTS,
                    "phi": _COEFFICIENTS,
                    "ends": st.sampled_from(((-1.0, 1.0), (0.0, 2.0), (-3.0, 1.0), (1.0, 3.0))),
                    "eps": st.sampled_from((1.0, 0.03125, 0.125, 0.0625)),
                }
            ),
        ),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
)
