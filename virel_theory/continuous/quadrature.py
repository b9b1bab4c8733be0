r"""Composite Gauss-Legendre quadrature of $e^{(f - c)/\varepsilon}$ and $\varphi e^{(f - c)/\varepsilon}$.

Panels are halved until they resolve the integrand.

Polynomials: the truncation error of a panel is bounded. The n-point rule on [-1, 1] errs by at most
$64 M \rho^{-2(n-1)} / (15 (1 - \rho^{-2}))$ if $|F| \le M$ on the Bernstein ellipse of parameter rho
(Trefethen 2013, Theorem 19.3). There $|z| \le R = (\rho + 1/\rho)/2$, so the Taylor coefficients b_k of f
and p_k of phi about the panel's centre give
$M \le \exp((b_0 - c + \sum_{k>0} |b_k| R^k)/\varepsilon) \sum |p_k| R^k$. Where that is useless (far below
the maximum) the integrand itself is bounded by the same sums with R = 1. The least of these bounds counts,
doubled for its own rounding.

Callables: |G_32 - G_20|, the difference of two rules, is an estimate of the error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.polynomial import polyder, polyval
from numpy.polynomial.polyutils import trimseq
from numpy.typing import NDArray
from scipy.special import factorial

from virel_theory.checks import Array, U

Function = Callable[[Array], Array] | Polynomial
N_NODES = 32
N_NODES_LOW = 20
RHOS = np.array([1.5, 2.0, 3.0, 4.0, 6.0])
MAX_HALVINGS = 60
SHARE = 256.0  # the truncation of a panel may use 1/SHARE of the tolerance


@dataclass(frozen=True)
class Quadrature:
    """Value of an integral with an error bound, which is only an estimate if `is_bound` is False."""

    value: float
    error_bound: float
    is_bound: bool


@dataclass(frozen=True, eq=False)
class Panels:
    """Values and errors `[k, n]` of k integrals on n quadrature panels; `unresolved` ones must be halved."""

    value: Array
    truncation: Array
    rounding: Array
    unresolved: NDArray[np.bool_]


@cache
def gauss_legendre(n: int) -> tuple[Array, Array]:
    """Nodes and weights of the n-point Gauss-Legendre rule on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights


def refine(
    evaluate: Callable[[Array, Array], Panels], edges: Array, *, scale: Array, rtol: float
) -> tuple[Array, Array]:
    """Integrals of `k` functions over an interval, by halving panels: values `[k]` and error bounds `[k]`.

    Each panel is halved until its truncation is at most `rtol * scale * Z / SHARE`, Z the running value of
    the first integral. What `MAX_HALVINGS` levels do not reach is left in the bound.
    """
    left, right = edges[:-1], edges[1:]
    value, error = np.zeros(len(scale)), np.zeros(len(scale))
    for level in range(MAX_HALVINGS + 1):
        panels = evaluate(left, right)
        total = abs(value[0] + panels.value[0].sum())
        bad = panels.unresolved | (panels.truncation > rtol * total * scale[:, None] / SHARE).any(axis=0)
        bad &= right - left > 8 * U * np.maximum(np.abs(left), np.abs(right))
        good = ~bad if level < MAX_HALVINGS else np.ones_like(bad)
        value += panels.value[:, good].sum(axis=1)
        error += (panels.truncation + panels.rounding)[:, good].sum(axis=1)
        if good.all():
            break
        left, right = _halve(left[bad], right[bad])
    return value, error


def boltzmann_panels(
    f: Function, phi: Function, *, eps: float, shift: float
) -> Callable[[Array, Array], Panels]:
    """Rule for `refine`: panel integrals of the weight `e^{(f - shift)/eps}` and of phi times it."""
    polynomial = isinstance(f, Polynomial) and isinstance(phi, Polynomial)

    def evaluate(left: Array, right: Array) -> Panels:
        x, h, w = _place(left, right, N_NODES)
        exponent = (f(x) - shift) / eps
        tilt = np.exp(np.minimum(exponent, 700.0))
        rows = np.stack([tilt, phi(x) * tilt])
        value = h * (rows @ w)
        noise = np.stack([tilt, np.abs(phi(x)) * tilt]) * (size(f, x) / eps + np.abs(exponent) + 8) + [
            np.zeros_like(tilt),
            size(phi, x) * tilt,
        ]
        rounding = U * h * (noise @ w)
        if isinstance(f, Polynomial) and isinstance(phi, Polynomial):
            truncation = _bernstein(coefficients(f), coefficients(phi), (left, right), eps=eps, shift=shift)
        else:
            truncation = np.abs(value - _low_order(f, phi, left, right, eps=eps, shift=shift))
        unresolved = np.zeros(len(left), bool) if polynomial else _hides_a_peak(f(x), eps=eps, shift=shift)
        return Panels(value, truncation, rounding, unresolved)

    return evaluate


def plain_panels(integrand: Callable[[Array], Array]) -> Callable[[Array, Array], Panels]:
    """Rule for `refine`: integrals of |integrand|, which scales the error, and of the integrand, by panel."""

    def evaluate(left: Array, right: Array) -> Panels:
        value, low = (_plain(integrand, left, right, n) for n in (N_NODES, N_NODES_LOW))
        rounding = 8 * U * np.stack([value[0], value[0]])
        return Panels(value, np.abs(value - low), rounding, np.zeros(len(left), bool))

    return evaluate


def size(f: Function, x: Array) -> Array:
    r"""Rounding error allowed for f(x), in machine epsilons: $2 d \sum_k |c_k| |x|^k$, or 8 |f(x)|.

    The first is Horner's, for a polynomial with d coefficients $c_k$; the second is assumed of a callable.
    """
    if isinstance(f, Polynomial):
        coef = np.abs(coefficients(f))
        return np.asarray(2 * len(coef) * polyval(np.abs(x), coef), dtype=np.float64)
    return np.asarray(8 * np.abs(f(x)), dtype=np.float64)


def coefficients(p: Polynomial) -> Array:
    """Monomial coefficients of a numpy polynomial, lowest first, whatever its domain."""
    plain = np.array_equal(p.domain, p.window)
    return np.asarray(trimseq(p.coef) if plain else p.convert().coef, dtype=np.float64)


def highest(f: Function, interval: tuple[float, float], *, n_cells: int = 4096) -> tuple[float, Array]:
    """Largest value of f found on an interval, and the two best of the points that were tried.

    These are the ends and the critical points of a polynomial, or a grid for a callable.
    """
    low, high = interval
    if isinstance(f, Polynomial):
        roots = np.asarray(f.convert().deriv().roots())
        points = np.clip(np.real(roots), low, high) if roots.size else np.array([low])
        points = np.concatenate([[low, high], points])
    else:
        points = np.linspace(low, high, n_cells + 1)
    values = f(points)
    return float(values.max()), points[np.argsort(values)[-2:]]


def _bernstein(f: Array, phi: Array, ends: tuple[Array, Array], *, eps: float, shift: float) -> Array:
    """Truncation error bounds `[2, n]` of `boltzmann_panels` on n panels, f and phi being polynomials."""
    left, right = ends
    centre, h = (left + right) / 2, (right - left) / 2
    b = np.abs(_taylor(f, centre, h)) / eps
    top = np.asarray((polyval(centre, f) - shift) / eps, dtype=np.float64)
    p = np.abs(_taylor(phi, centre, h))
    bounds = [_sup(b, p, top, 1.0) * (4 * h)]  # integral and rule, each at most 2 h sup
    for rho in RHOS:
        factor = 64 / 15 * rho ** (-2 * (N_NODES - 1)) / (1 - rho**-2)
        bounds.append(_sup(b, p, top, (rho + 1 / rho) / 2) * factor * h)
    out: Array = 2 * np.min(bounds, axis=0)
    return out


def _sup(b: Array, p: Array, top: Array, radius: float) -> Array:
    """Bounds `[2, n]` on both integrands of `boltzmann_panels` for complex |z| <= radius, by Taylor series.

    b are the absolute Taylor coefficients of f/eps, p those of phi; `top` is the exponent at the
    centre.
    """
    tilt = np.exp(np.minimum(top + polyval(radius, b) - b[0], 690.0))
    return np.stack([tilt, tilt * polyval(radius, p)])


def _taylor(coef: Array, centre: Array, h: Array) -> Array:
    """Taylor coefficients `[degree + 1, n]` of `z -> f(centre + h z)`, f a polynomial in monomial form."""
    return np.stack([polyval(centre, polyder(coef, k)) * h**k / factorial(k) for k in range(len(coef))])


def _low_order(f: Function, phi: Function, left: Array, right: Array, *, eps: float, shift: float) -> Array:
    """Integrals `[2, n]` of the weight exp(f/eps) and of phi(x) exp(f/eps) by the lower-order Gauss rule."""
    x, h, w = _place(left, right, N_NODES_LOW)
    tilt = np.exp(np.minimum((f(x) - shift) / eps, 700.0))
    out: Array = h * (np.stack([tilt, phi(x) * tilt]) @ w)
    return out


def _hides_a_peak(values: Array, *, eps: float, shift: float) -> NDArray[np.bool_]:
    """Whether a quadrature panel may hide a peak of f between two nodes.

    It may if it can reach the top 40 eps of f and two neighbouring nodes differ by more than 30 eps.
    """
    jump = np.abs(np.diff(values, axis=1)).max(axis=1)
    out: NDArray[np.bool_] = (values.max(axis=1) + jump >= shift - 40 * eps) & (jump > 30 * eps)
    return out


def _plain(integrand: Callable[[Array], Array], left: Array, right: Array, n: int) -> Array:
    """Gauss-Legendre integrals `[2, panels]` of |integrand| and of the integrand, with n nodes per panel."""
    x, h, w = _place(left, right, n)
    values = integrand(x)
    out: Array = h * (np.stack([np.abs(values), values]) @ w)
    return out


def _place(left: Array, right: Array, n: int) -> tuple[Array, Array, Array]:
    """Gauss-Legendre nodes `[panels, n]`, half-widths of the panels, and weights of the n-point rule."""
    nodes, weights = gauss_legendre(n)
    h = (right - left) / 2
    return ((left + right) / 2)[:, None] + h[:, None] * nodes, h, weights


def _halve(left: Array, right: Array) -> tuple[Array, Array]:
    """Split every quadrature panel in two; return the left ends and the right ends of the halves."""
    middle = (left + right) / 2
    return np.concatenate([left, middle]), np.concatenate([middle, right])
