r"""Gap functions of the proof of Theorem 1, (12)-(19), and of its repaired steps.

Bounds (written down before the first run; u = 2.2e-16, "rounding" is Horner's for f, which eps divides):
* (12): f strongly concave with -M <= f'' <= -m, |f'''| <= L, interior x*. By parts, $\varepsilon(1 - [y p])
  = -E[y f'] \ge m E[y^2]$ with y = x - x*, and $[y p] \ge 0$, so $E[y^2] \le \varepsilon/m$; $E[f'] =
  \varepsilon(p(b) - p(a))$ and $|f' - f''(x^*)y| \le Ly^2/2$ give $|E\varphi - \varphi(x^*)| \le
  |\varphi'(x^*)|\big(\tfrac{L}{2m} + |p(b) - p(a)|\big)\tfrac{\varepsilon}{|f''(x^*)|} +
  \|\varphi''\|\tfrac{\varepsilon}{2m}$.
* (13)-(15): identities; the printed side is a fixed rule of 32 panels with 64 Gauss nodes, whose truncation
  is below $4^{-126} e^{Fh R/\varepsilon}$ with |f'| <= F = 120, h = 1/16, R = 2.125, eps >= 1/4: 1e-48. 64
  u (1 + max|f|/eps) and rounding remain.
* (16), (17): $|g/\varepsilon - \tfrac12 u^2 f''| \le \tfrac16 L|u|^3\sqrt\varepsilon$, and exp is
  1-Lipschitz below 0. L'Hopital's second and third displays differ from the limit by at most $\tfrac14
  L|u|^3\sqrt\varepsilon$ and $\tfrac12 L|u|^3\sqrt\varepsilon$.
* m and |f''(x*)| carry Horner's rounding of f'' relative to m.
* integrals over U: the two integrands differ by at most $e^{-mu^2/2}$ times the difference of exponents,
  Gaussian tails by erfc. 1e-10 allows for the quadrature, which aims at 1e-13 (the library's tests of it
  measure that).
Teeth: `perturb` shifts x*, flips a sign, or drops a Jacobian.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial

from verify.claims.theorem_1 import peaks
from verify.claims.theorem_1.peaks import SmoothPeak, smooth_peak
from verify.engine.verdict import Gap, worst
from virel_theory.checks import Array, U
from virel_theory.continuous.boltzmann import boltzmann_density, boltzmann_expectation
from virel_theory.continuous.quadrature import gauss_legendre

Coef = Sequence[int]


def rate_gap(
    *, coef: Coef, x_star: float, widths: Sequence[float], phi: Coef, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 1, (12), at a smooth peak: |E[phi] - phi(x*)| minus an O(eps) bound, at most 0."""
    peak, test = smooth_peak(coef, x_star, widths), Polynomial(phi)
    got = boltzmann_expectation(peak.f, test, interval=peak.ends, eps=eps)
    p_ends = boltzmann_density(peak.f, peak.ends, interval=peak.ends, eps=eps)
    first = (
        abs(test.deriv()(x_star))
        * (peak.third / (2 * peak.m) + abs(p_ends[1] - p_ends[0]))
        / abs(peak.curvature)
    )
    second = peaks.largest(test.deriv(2), peak.ends) / (2 * peak.m)
    noise = got.error_bound + 2 * peaks.rounding(test, peak.ends)
    slack = 1 + 64 * U + 2 * peaks.rounding(peak.f.deriv(2), peak.ends) / peak.m
    return Gap(abs(got.value - test(x_star + perturb)), (first + second) * eps * slack + noise)


def auxiliary_gap(
    *, coef: Coef, x_star: float, widths: Sequence[float], offset: int, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 1's proof, (13): density of f = g + f(x*) by its definition minus that of g, zero."""
    peak = smooth_peak(coef, x_star, widths)
    x = np.linspace(*peak.ends, 5)
    z = _fixed_rule(lambda t: np.exp((peak.f(t) + offset) / eps), peak.ends)
    left = np.exp((peak.f(x) + offset) / eps) / z
    right = boltzmann_density(peak.f, x, interval=peak.ends, eps=eps) * (1 + perturb)
    return Gap(float(np.abs(left - right).max()), _noise(peak, offset, eps) * float(right.max()))


def expectation_gap(
    *,
    coef: Coef,
    x_star: float,
    widths: Sequence[float],
    offset: int,
    phi: Coef,
    eps: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Theorem 1's proof, (14): expectation under f minus that under g, written with (13)."""
    peak, test = smooth_peak(coef, x_star, widths), Polynomial(phi)
    z = _fixed_rule(lambda t: np.exp(peak.f(t) / eps), peak.ends)
    right = _fixed_rule(lambda t: test(t) * np.exp(peak.f(t) / eps) / z, peak.ends)
    left = boltzmann_expectation(peak.f + offset, test, interval=peak.ends, eps=eps).value + perturb
    return Gap(abs(left - right), _noise(peak, offset, eps) * (1 + peaks.largest(test, peak.ends)))


def substitution_gap(
    *, coef: Coef, x_star: float, widths: Sequence[float], phi: Coef, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 1's proof, (15): E[phi] minus a quotient of integrals in u = (x* - x)/sqrt(eps).

    The integrals are over U = (x* - X)/sqrt(eps).
    """
    peak, test, root = smooth_peak(coef, x_star, widths), Polynomial(phi), math.sqrt(eps)
    ends = ((x_star - peak.ends[1]) / root, (x_star - peak.ends[0]) / root)
    denominator = _fixed_rule(lambda u: np.exp(peak.f(x_star - root * u) / eps), ends)
    numerator = _fixed_rule(lambda u: test(x_star - root * u) * np.exp(peak.f(x_star - root * u) / eps), ends)
    left = boltzmann_expectation(peak.f, test, interval=peak.ends, eps=eps).value + perturb
    return Gap(
        abs(left - numerator / denominator), _noise(peak, 0, eps) * (1 + peaks.largest(test, peak.ends))
    )


def pointwise_gap(
    *,
    coef: Coef,
    x_star: float,
    widths: Sequence[float],
    u: float,
    phi: Coef,
    eps: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Theorem 1's proof, (16), (17): integrand exp(g/eps) phi at a fixed u minus its limit."""
    peak, test, root = smooth_peak(coef, x_star, widths), Polynomial(phi), math.sqrt(eps)
    x = x_star - root * u
    got = test(x) * math.exp(min(peak.f(x) / eps, 0.0))
    limit = test(x_star) * math.exp(u * u * peak.curvature / 2) + perturb
    shift = root * abs(u) * peaks.largest(test.deriv(), peak.ends) if len(phi) > 1 else 0.0
    bend = abs(test(x_star)) * peak.third * abs(u) ** 3 * root / 6
    noise = _noise(peak, 0, eps) * (1 + peaks.largest(test, peak.ends))
    return Gap(abs(got - limit), shift + bend + noise)


def boundary_pointwise_gap(*, u: float, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 1's proof, (17), at a boundary maximum: integrand minus its printed limit 1.

    An ablation: f = -x on [0, 1], x* = 0 and u <= 0. f'' = f''' = 0, so the bound is rounding alone.
    """
    return Gap(abs(math.exp(u / math.sqrt(eps)) - 1) + perturb, 64 * U)


def lhopital_gap(
    *, coef: Coef, x_star: float, widths: Sequence[float], u: float, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 1's proof, before (16): three expressions minus their limit u^2 f''(x*)/2.

    They are g/eps, -u f'/(2 sqrt eps) and u^2 f''/2.
    """
    peak, root = smooth_peak(coef, x_star, widths), math.sqrt(eps)
    x, limit = x_star - root * u, u * u * peak.curvature / 2 + perturb
    displays = (peak.f(x) / eps, -u * peak.f.deriv()(x) / (2 * root), u * u * peak.f.deriv(2)(x) / 2)
    size = peak.third * abs(u) ** 3 * root
    noise = _noise(peak, 0, eps)
    return worst(*(Gap(abs(v - limit), size / k + noise) for v, k in zip(displays, (6, 4, 2), strict=True)))


def dominated_gap(
    *,
    coef: Coef,
    x_star: float,
    widths: Sequence[float],
    offset: int,
    phi: Coef,
    eps: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Theorem 1's proof, (18), and (19) with phi = 1: largest integrand on U, at most sup|phi|.

    f has the maximum `offset`, and the integrand is that of g = f - f(x*), at 65 values of u and at u = 0. There
    it must be |phi(x*)|: for phi = 1 the bound of (19) is attained.
    """
    peak, test, root = smooth_peak(coef, x_star, widths), Polynomial(phi), math.sqrt(eps)
    f = peak.f + offset
    u = np.append((x_star - np.linspace(*peak.ends, 65)) / root, 0.0)
    g = f(x_star - root * u) - f(x_star)
    integrand = np.abs(test(x_star - root * u) * np.exp((g + perturb * (1 + eps)) / eps))
    noise = 4 * peaks.rounding(test, peak.ends) + peaks.largest(test, peak.ends) * _noise(peak, offset, eps)
    return worst(
        Gap(integrand.max(), peaks.largest(test, peak.ends) + noise),
        Gap(abs(integrand[-1] - abs(test(x_star))), noise),
    )


def split_gap(*, b: int, h: int, eps: float, perturb: float = 0.0) -> Gap:
    r"""Gap of Theorem 1's repaired step: integral over U minus limit, f = -y^2((y - b)^2 + h) on [-4, 4].

    delta = b/2, kappa = delta^2 + h. $e^{g/\varepsilon} \le e^{-\kappa u^2}$ where $|y| \le \delta$
    (checked at 65 points), mass at most $8e^{-h\delta^2/\varepsilon}$ elsewhere, and so $|\int_U
    e^{g/\varepsilon}du - \sqrt{\pi/(b^2+h)}|$ is at most $2b\sqrt\varepsilon/\kappa^2 +
    \tfrac34\sqrt\pi\,\varepsilon\kappa^{-5/2}$ + the Gaussian's tail +
    $8e^{-h\delta^2/\varepsilon}/\sqrt\varepsilon$.
    """
    f = -Polynomial([0, 0, 1]) * (Polynomial([-b, 1]) ** 2 + h)
    delta, kappa, steep, root = b / 2, b * b / 4 + h, b * b + h, math.sqrt(math.pi)
    y = np.linspace(-delta, delta, 65)
    excess = float((f(y) + kappa * y * y).max())
    limit = math.sqrt(math.pi / steep) * (1 + perturb)
    near = 2 * b * math.sqrt(eps) / kappa**2 + 0.75 * root * eps * kappa**-2.5
    far = math.sqrt(math.pi / steep) * math.erfc(delta * math.sqrt(steep / eps)) + 8 * math.exp(
        -h * delta**2 / eps
    ) / math.sqrt(eps)
    return worst(Gap(abs(_scaled_mass(f, (-4, 4), eps) - limit), near + far + 1e-10), Gap(excess, 1e-12))


def denominator_gap(*, p: int, c: int, n: int, perturb: float = 0.0) -> Gap:
    r"""Gap of Theorem 1's last display: its denominator over |u| <= n minus 2, at most 0 if it has a value.

    f = -c x^p on [-1, 1], x* = 0. Where f''(0) = -2c, the integral of exp(u^2 f'') is at most $\sqrt{\pi/(2c)}$,
    below 2; where f''(0) = 0 it is 2n and grows with U.
    """
    curvature = float(Polynomial([0] * p + [-c]).deriv(2)(0.0))
    mass = _fixed_rule(lambda u: np.exp(u * u * curvature), (-n, n)) + 2 * n * perturb
    return Gap(mass, 2.0)


def second_order_gap(*, p: int, c: int, strict: bool = True, perturb: float = 0.0) -> Gap:
    """Gap of step "second-order sufficient conditions": u^T f''(x*) u for f = -c x^p, below 0.

    u = 1. Integers, so below 0 means at most -1; with `strict=False`, at most 0.
    """
    curvature = float(Polynomial([0] * p + [-c]).deriv(2)(0.0))
    return Gap(curvature + perturb * (1 - 2 * curvature), -1.0 if strict else 0.0)


def last_display_gap(
    *,
    coef: Coef,
    x_star: float,
    widths: Sequence[float],
    eps: float,
    perturb: float = 0.0,
) -> Gap:
    r"""Gap of the integral in Theorem 1's proof: $\int_U e^{g/\varepsilon}du - \int e^{u^2 f''/2}du$, zero."""
    peak = smooth_peak(coef, x_star, widths)
    limit = math.sqrt(2 * math.pi / -peak.curvature) * (1 + 4 * perturb)
    near = 2 / 3 * peak.third * math.sqrt(eps) / peak.m**2
    tails = [math.erfc(w * math.sqrt(peak.m / (2 * eps))) for w in widths]
    bound = near + math.sqrt(2 * math.pi / peak.m) * sum(tails) / 2
    mass = _scaled_mass(peak.f, peak.ends, eps, at=x_star)
    return Gap(abs(mass - limit), bound + (1e-12 + 4 * _noise(peak, 0, eps)) * mass)


def _scaled_mass(f: object, ends: tuple[float, float], eps: float, *, at: float = 0.0) -> float:
    """Integral of exp(g/eps) over U, by the Boltzmann density at the maximum: 1/(sqrt(eps) p_eps(x*))."""
    density = boltzmann_density(f, [at], interval=ends, eps=eps, breakpoints=(0.0, at))  # type: ignore[arg-type]
    return 1 / (math.sqrt(eps) * float(density[0]))


def _fixed_rule(integrand: object, ends: tuple[float, float]) -> float:
    """Integral of a function over an interval by 32 panels of 64 Gauss-Legendre nodes, not adaptive.

    It is independent of `virel_theory`'s rule.
    """
    nodes, weights = gauss_legendre(64)
    edges = np.linspace(*ends, 33)
    h = np.diff(edges)[:, None] / 2
    values: Array = integrand(edges[:-1, None] + h * (1 + nodes))  # type: ignore[operator]
    return float((h * values * weights).sum())


def _noise(peak: SmoothPeak, offset: int, eps: float) -> float:
    scale = 1 + (peaks.largest(peak.f, peak.ends) + abs(offset)) / eps
    return 64 * U * scale + 2 * peaks.rounding(peak.f, peak.ends) / eps
