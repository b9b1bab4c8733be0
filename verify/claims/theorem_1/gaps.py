r"""Gap functions of Theorem 1, Eq. (12): as printed, corrected, and without each of its assumptions.

As printed, f has one maximum x*, is C2 near x* and bounded on a compact X; nothing is asked of f elsewhere.

Both sides: E[phi] by quadrature (`virel_theory`) against phi(x*).
Bounds (each written down before the first run; quadrature's own bound is added):
* removed point: $f = -(x^2-1)^2 - h\,1[x<0]$ on [-2, 2], its value at -1 lowered by 1, so x* = 1 is unique
  for every h >= 0. phi is the bump at 1 of radius 1. On x > 0, $y^2 \le -f \le 9y^2$, so $E[y^2] \le
  \tfrac32\varepsilon/\mathrm{erf}(3/\sqrt\varepsilon)$ and |phi - 1| <= 4y^2; the two halves have masses $1
  : e^{-h/\varepsilon}$.
* one-sided: $f = -(2x-1)^2$ on [0, 1], $-h-|x|^p$ on [-1, 0), x* = 1/2; bump of radius 1/2: |phi - 1| <=
  16y^2, E[y^2] <= eps/8; the left weighs at most $e^{-h/\varepsilon}$, the right
  $\tfrac12\sqrt{\pi\varepsilon}\,\mathrm{erf}(1/\sqrt\varepsilon)$. The printed theorem makes no difference
  between h = 0 and h = 1, so the bound taken is that of max(h, 1).
* polynomials (the corrected form): for all radii rho, delta, $|E\varphi-\varphi(x^*)| \le \rho\|\varphi'\|
  + \mathrm{osc}(\varphi)\,|X|\,e^{-(\Delta_\rho-\omega_\delta)/\varepsilon}/|B_\delta|$ (the derivation in
  `statement.py`).
* finite sets: $\mathrm{osc}(\varphi)(n-1)e^{-gap/\varepsilon}$, plus 8 (n + 8) ulps of max|phi| (1 +
  max|f|/eps).
Teeth: `perturb` turns f upside down (or drops the normalisation).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims.theorem_1 import peaks
from verify.engine.claim import Instance
from verify.engine.verdict import Gap, worst
from virel_theory.checks import U
from virel_theory.continuous.boltzmann import boltzmann_density, boltzmann_expectation
from virel_theory.operators.policies import boltzmann_policy

BOX = (-2.0, 2.0)
RADII = 2.0 ** np.arange(-10, 2)


def removed_point_gap(*, h: int, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1, one of two maxima removed: |E[phi] - phi(1)|, f = -(x^2 - 1)^2 - h 1[x < 0].

    The value of f at -1 is lowered, so that x* = 1 is the only maximum. Integrals do not see one point, so
    f is integrated without it.
    """
    sign = 1 - 2 * perturb
    got = boltzmann_expectation(
        lambda x: sign * (-((x**2 - 1) ** 2) - h * (x < 0)),
        lambda x: peaks.bump(x, centre=1.0, radius=1.0),
        interval=BOX,
        eps=eps,
        breakpoints=(-1.0, 0.0, 1.0),
    )
    other = math.exp(-max(h, 1) / eps) / (1 + math.exp(-max(h, 1) / eps))
    return Gap(abs(got.value - 1), 6 * eps / math.erf(3 / math.sqrt(eps)) + other + got.error_bound)


def one_sided_gap(*, h: int, p: int, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 for f with a jump at 0: |E[phi] - phi(1/2)|, to be 0, f = -(2x - 1)^2 right of 0.

    Left of it, f = -h - |x|^p. For h = 0 the supremum is approached at 0 but not attained there.
    """
    sign = 1 - 2 * perturb
    got = boltzmann_expectation(
        lambda x: sign * np.where(x < 0, -h - np.abs(x) ** p, -((2 * x - 1) ** 2)),
        lambda x: peaks.bump(x, centre=0.5, radius=0.5),
        interval=(-1.0, 1.0),
        eps=eps,
        breakpoints=(0.0, 0.5),
    )
    other = math.exp(-max(h, 1) / eps) / (math.sqrt(math.pi * eps) / 2 * math.erf(1 / math.sqrt(eps)))
    return Gap(abs(got.value - 1), 2 * eps + other + got.error_bound)


def printed_gap(*, family: str, perturb: float = 0.0, **parts: Any) -> Gap:
    """Gap of Theorem 1, (12), as printed: |E[phi] - phi(x*)|, to be 0, on a family of counterexamples."""
    if family == "removed-point":
        return removed_point_gap(**parts, perturb=perturb)
    return one_sided_gap(**parts, perturb=perturb)


def tied_gap(*, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 without a unique maximum: |E[phi] - phi(x*)|, to be 0, f with two equal maxima."""
    return removed_point_gap(h=0, eps=eps, perturb=perturb)


def continuous_gap(*, coef: Sequence[int], phi: Sequence[int], eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 corrected, polynomials on [-2, 2]: |E[phi] - phi(x*)| minus its bound, at most 0."""
    f, test = Polynomial([0, *coef]), Polynomial(phi)
    got = boltzmann_expectation(f * (1 - 2 * perturb), test, interval=BOX, eps=eps)
    x_star = _argmax(f)
    low, high = peaks.extremes(test, BOX)
    slope = peaks.largest(test.deriv(), BOX) if len(phi) > 1 else 0.0
    far = np.array([_drop_outside(f, x_star, rho) for rho in RADII])
    near = np.array([_drop_inside(f, x_star, delta) for delta in RADII])
    size = np.minimum(x_star + RADII, BOX[1]) - np.maximum(x_star - RADII, BOX[0])
    tails = np.exp(np.minimum(-(far[:, None] - near) / eps, 500.0)) * 4.0 / size
    bound = min(high - low, float(np.min(RADII[:, None] * slope + (high - low) * tails)))
    return Gap(abs(got.value - test(x_star)), bound + got.error_bound + 2 * peaks.rounding(test, BOX))


def finite_gap(*, f: Sequence[int], phi: Sequence[int], eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 on n actions with one best: |E[phi] - phi(a*)| minus its exponential bound."""
    values, test = np.array(f, float), np.array(phi, float)
    best = int(values.argmax())
    got = boltzmann_policy(values[None] * (1 - 2 * perturb), eps=eps)[0] @ test
    others = np.delete(values, best)
    tail = (len(f) - 1) * math.exp(-(values[best] - others.max()) / eps) if len(f) > 1 else 0.0
    noise = 8 * (len(f) + 8) * U * np.abs(test).max() * (1 + np.abs(values).max() / eps)
    return Gap(abs(got - test[best]), float(np.ptp(test)) * tail + noise)


def finite_gap_first(*, f: Sequence[int], phi: Sequence[int], eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 for n actions with ties: |E[phi] - phi(a*)|, to be 0, a* the first best action.

    The bound is that of a gap of 1 (integers).
    """
    values, test = np.array(f, float), np.array(phi, float)
    got = boltzmann_policy(values[None], eps=eps)[0] @ test
    bound = float(np.ptp(test)) * (len(f) - 1) * math.exp(-1 / eps) + 1e-12 / eps
    return Gap(abs(got - test[int(values.argmax())]) + perturb, bound)


def finite_instances(*, unique: bool) -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws integer f and phi on up to six actions; one is best if `unique`."""
    table = st.lists(st.integers(-4, 4), min_size=1, max_size=6)
    pairs: st.SearchStrategy[Instance] = table.flatmap(
        lambda f: st.fixed_dictionaries(
            {
                "f": st.just(f),
                "phi": st.lists(st.integers(-4, 4), min_size=len(f), max_size=len(f)),
                "eps": st.sampled_from((1.0, 0.5, 0.25, 0.1, 0.01, 1e-4)),
            }
        )
    )
    return pairs.filter(lambda x: x["f"].count(max(x["f"])) == 1) if unique else pairs


def power_gap(*, p: int, slopes: Sequence[int], phi: Sequence[int], eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 at a kink, flat or boundary maximum: |E[phi] - phi(0)| minus an O(eps^(1/p)) bound."""
    left, right = slopes
    got = boltzmann_expectation(
        lambda x: -np.where(x < 0, left, right) * np.abs(x) ** p * (1 - 2 * perturb),
        Polynomial(phi),
        interval=(-1.0 if left else 0.0, 1.0),
        eps=eps,
        breakpoints=(0.0,),
    )
    return Gap(
        abs(got.value - phi[0]),
        peaks.power_rate(phi, p=p, slopes=slopes, eps=eps) + got.error_bound + 8 * U * abs(phi[0]),
    )


def power_constant_gap(
    *, p: int, slopes: Sequence[int], phi: Sequence[int], eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of E[phi] under exp(-c |x|^p / eps): quadrature minus closed form by incomplete gamma functions.

    The closed form is good to 64 ulps of sum|phi|.
    """
    left, right = slopes
    got = boltzmann_expectation(
        lambda x: -np.where(x < 0, left, right) * np.abs(x) ** p,
        Polynomial(phi),
        interval=(-1.0 if left else 0.0, 1.0),
        eps=eps,
        breakpoints=(0.0,),
    )
    closed = peaks.power_mean(phi, p=p, slopes=slopes, eps=eps * (1 + perturb))
    return Gap(abs(got.value - closed), got.error_bound + 64 * U * sum(abs(c) for c in phi))


def unbounded_domain_gap(*, eps: float, perturb: float = 0.0) -> Gap:
    r"""Gap of Theorem 1 without a compact domain: |E[phi] - phi(0)|, to be 0, for f = -x^2/(1 + x^2).

    The domain is cut at $R = 8e^{1/\varepsilon}$. The bound is the one that holds on [-1, 1], where $x^2/2
    \le -f \le x^2$: $4E[x^2] \le 4\sqrt2\,\varepsilon/\mathrm{erf}(1/\sqrt\varepsilon)$. On [-R, R] the mass
    of [-1, 1] is at most 2 of at least $2Re^{-1/\varepsilon} = 16$.
    """
    reach = 8 * math.exp(1 / eps)
    got = boltzmann_expectation(
        lambda x: -(x**2) / (1 + x**2),
        lambda x: peaks.bump(x, centre=0.0, radius=1.0),
        interval=(-reach, reach),
        eps=eps,
        breakpoints=[sign * 4.0**k for sign in (-1, 1) for k in range(-2, 14)],
    )
    return Gap(
        abs(got.value - 1) + perturb, 4 * math.sqrt(2) * eps / math.erf(1 / math.sqrt(eps)) + got.error_bound
    )


def unbounded_range_gap(*, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1 without a bounded range: E[x^2] for f = log(1 - x^2), at most 1/(3 + 2/eps).

    X = [-1, 1], and f is -inf at its ends; the bound is the value of a Beta integral.
    """
    got = boltzmann_expectation(
        lambda x: np.log1p(-(x**2)), Polynomial([0, 0, 1]), interval=(-1 + U, 1 - U), eps=eps * (1 + perturb)
    )
    return Gap(got.value, 1 / (3 + 2 / eps) + got.error_bound + 64 * U)


def density_range_gap(*, c: int, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1's density range [0, 1] as printed: largest density for f = -c x^2, at most 1.

    X = [-1, 1].
    """
    density = boltzmann_density(Polynomial([0, 0, -c]), [0.0], interval=(-1.0, 1.0), eps=eps)
    return Gap(float(density[0]) + perturb, 1 + 1e-12)


def density_gap(*, c: int, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1's density range corrected: the density is exp(f/eps)/Z >= 0 and has mass 1.

    Z comes from erf, and the mass from 64 Gauss nodes per panel, on panels [2^k, 2^(k + 1)] widths of the
    peak: exp(-t^2) is entire, so that they are exact to rounding, and beyond 8 widths it is below 1e-27.
    """
    width = math.sqrt(eps / c)
    z = math.sqrt(math.pi * eps / c) * math.erf(1 / width)
    x = np.array([0.0, 0.5, 1.0])
    edges = np.unique(np.clip(width * np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 1 / width]), 0.0, 1.0))
    nodes, weights = np.polynomial.legendre.leggauss(64)
    half, middle = np.diff(edges) / 2, (edges[:-1] + edges[1:]) / 2
    points = (middle[:, None] + half[:, None] * nodes).ravel()
    density = boltzmann_density(
        Polynomial([0, 0, -c]), np.concatenate((x, points)), interval=(-1.0, 1.0), eps=eps
    )
    mass = 2 * float((half[:, None] * weights).ravel() @ density[3:])
    error = np.abs(density[:3] - np.exp(-c * x**2 / eps) / z * (1 + perturb)).max() * z
    bound = 64 * U * (1 + c / eps)
    return worst(
        Gap(float(error) if (density >= 0).all() else math.inf, bound),
        Gap(abs(mass - 1 - perturb), bound + 512 * U),
    )


def _argmax(f: Polynomial) -> float:
    roots = np.real(np.asarray(f.deriv().roots())) if f.trim().degree() > 1 else np.empty(0)
    points = np.clip(np.concatenate([np.array(BOX), roots]), *BOX)
    return float(points[int(np.argmax(f(points)))])


def _drop_outside(f: Polynomial, x_star: float, rho: float) -> float:
    """Drop `Delta_rho = f(x*) - sup f` over |x - x*| >= rho of f with maximum x* (inf if that is empty)."""
    parts = [(BOX[0], x_star - rho), (x_star + rho, BOX[1])]
    tops = [peaks.extremes(f, part)[1] for part in parts if part[0] < part[1]]
    return float(f(x_star)) - max(tops) if tops else math.inf


def _drop_inside(f: Polynomial, x_star: float, delta: float) -> float:
    """Drop `omega_delta = f(x*) - inf f` over |x - x*| <= delta of f with maximum x*."""
    part = (max(BOX[0], x_star - delta), min(BOX[1], x_star + delta))
    return float(f(x_star)) - peaks.extremes(f, part)[0]
