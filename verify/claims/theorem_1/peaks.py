r"""Functions on an interval with a known maximum (peaks), as plain data, and closed forms of their integrals.

* smooth peak: `coef = [c2, c3, c4]`, $f(x) = -c_2 y^2 + c_3 y^3 - c_4 y^4$, $y = x - x^*$, on $[x^* - w_0,
  x^* + w_1]$, strongly concave;
* power peak: $f(x) = -c_\pm |x|^p$ on $[-R, R]$, or on [0, R] only: kinks (p = 1), flat maxima (p = 4, 6),
  boundary maxima;
* bump: the test function $\varphi(x) = B((x - x_0)/r)$, $B(t) = e^{1 - 1/(1 - t^2)}$ for |t| < 1, else 0,
  of class $C_0^\infty$. $|B(t) - 1| \le 4 t^2$ for every t: $1 - e^{-t^2/(1-t^2)} \le t^2/(1-t^2) \le
  \tfrac43 t^2$ up to |t| = 1/2, and $\le 1 \le 4 t^2$ beyond.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial
from scipy.special import gamma, gammainc

from verify.engine.claim import Instance
from virel_theory.checks import Array, U

EPS = (1.0, 0.25, 0.0625, 1e-2, 1e-3, 1e-4, 1e-6)


@dataclass(frozen=True, eq=False)
class SmoothPeak:
    """Strongly concave polynomial with its maximum 0 at the interior point `x_star` of `ends`.

    On `ends`, `m <= -f''` and `|f'''| <= third`.
    """

    f: Polynomial
    x_star: float
    ends: tuple[float, float]
    m: float
    third: float

    @property
    def curvature(self) -> float:
        """Second derivative f''(x*) of a smooth peak at its maximum, below 0."""
        return float(self.f.deriv(2)(self.x_star))


def smooth_peak(coef: Sequence[int], x_star: float, widths: Sequence[float]) -> SmoothPeak:
    """Build a smooth peak from coefficients `coef` (module docstring) on [x_star - w_0, x_star + w_1].

    `widths` are w_0 and w_1.
    """
    ends = (x_star - widths[0], x_star + widths[1])
    f = Polynomial([0, 0, -coef[0], coef[1], -coef[2]])(Polynomial([-x_star, 1]))
    return SmoothPeak(f, x_star, ends, -extremes(f.deriv(2), ends)[1], largest(f.deriv(3), ends))


def extremes(p: Polynomial, ends: tuple[float, float]) -> tuple[float, float]:
    """Least and largest value of a polynomial on an interval, at its ends and critical points."""
    roots = np.real(np.asarray(p.deriv().roots())) if p.trim().degree() > 1 else np.empty(0)
    values = p(np.clip(np.concatenate([np.array(ends), roots]), *ends))
    return float(values.min()), float(values.max())


def largest(p: Polynomial, ends: tuple[float, float]) -> float:
    """Largest absolute value of a polynomial on an interval."""
    return max(abs(value) for value in extremes(p, ends))


def rounding(p: Polynomial, ends: tuple[float, float]) -> float:
    """Bound of twice the rounding error of Horner's rule for a polynomial on an interval."""
    coef = np.abs(p.coef)
    return float(4 * len(coef) * U * np.polynomial.polynomial.polyval(max(abs(e) for e in ends), coef))


def bump(x: Array, *, centre: float, radius: float) -> Array:
    """Smooth bump B((x - centre)/radius) of compact support, a test function of class C_0^inf."""
    t2 = np.minimum(((x - centre) / radius) ** 2, 1.0)
    with np.errstate(divide="ignore"):
        out: Array = np.exp(1 - 1 / (1 - t2))
    return out


def power_moment(k: int, *, p: int, c: float, reach: float, eps: float) -> float:
    r"""Moment $\int_0^R x^k e^{-c x^p/\varepsilon}dx$ of a power peak, by the incomplete gamma function.

    It is $\frac1p (\varepsilon/c)^{(k+1)/p}\,\gamma((k+1)/p, cR^p/\varepsilon)$.
    """
    a = (k + 1) / p
    return float((eps / c) ** a * gamma(a) * gammainc(a, c * reach**p / eps) / p)


def power_mean(
    phi: Sequence[float], *, p: int, slopes: Sequence[int], eps: float, reach: float = 1.0
) -> float:
    """Mean E[phi] of a polynomial phi under the density exp(-c|x|^p / eps), in closed form.

    `phi` holds coefficients, and `slopes = [c_left, c_right]`; c_left = 0 stands for X = [0, R].
    """

    def moment(k: int) -> float:
        left, right = (power_moment(k, p=p, c=c, reach=reach, eps=eps) if c else 0.0 for c in slopes)
        return right - left if k % 2 else right + left

    return float(sum(phi[k] * moment(k) for k in range(len(phi))) / moment(0))


def power_rate(phi: Sequence[float], *, p: int, slopes: Sequence[int], eps: float) -> float:
    r"""Bound of |E[phi] - phi(0)| for f = -c |x|^p with a slope c per side, by the smaller slope c.

    $\sum_{k \ge 1}|\varphi_k|(\varepsilon/c)^{k/p}\Gamma((k+1)/p)/\Gamma(1/p)$. On each side $E|x|^k$ is
    that expression times $P((k+1)/p, X)/P(1/p, X) \le 1$: the regularised incomplete gamma function P(a, X)
    decreases in a.
    """
    c = min(c for c in slopes if c)
    terms = [abs(phi[k]) * (eps / c) ** (k / p) * gamma((k + 1) / p) for k in range(1, len(phi))]
    return float(sum(terms) / gamma(1 / p))


@st.composite
def smooth_peaks(draw: st.DrawFn, /, **more: st.SearchStrategy[object]) -> Instance:
    """Hypothesis strategy that draws smooth peaks by `coef, x_star, widths`, with f'' <= -m < 0, and `more`.

    Small integers and simple fractions.
    """
    coef = [draw(st.integers(1, 4)), draw(st.integers(-3, 3)), draw(st.integers(0, 2))]
    x_star = draw(st.sampled_from((0.0, 1.0, -0.5)))
    widths = [draw(st.sampled_from((1.0, 0.5, 0.25, 2.0))) for _ in range(2)]
    while smooth_peak(coef, x_star, widths).m <= 0:
        coef[1] -= int(np.sign(coef[1]))
    return {"coef": coef, "x_star": x_star, "widths": widths} | {
        name: draw(part) for name, part in more.items()
    }


def coefficients(*, degree: int = 3, size: int = 3) -> st.SearchStrategy[list[int]]:
    """Hypothesis strategy that draws polynomial coefficients, lowest power first, in [-size, size].

    They are integers.
    """
    return st.lists(st.integers(-size, size), min_size=2, max_size=degree + 1)


def powers(*, both_sides: bool = True, p: Sequence[int] = (1, 2, 4, 6)) -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws power peaks -c |x|^p with test polynomials phi and temperatures."""
    left = st.integers(1, 4) if both_sides else st.just(0)
    return st.fixed_dictionaries(
        {
            "p": st.sampled_from(p),
            "slopes": st.tuples(left, st.integers(1, 4)).map(list),
            "phi": coefficients(),
            "eps": st.sampled_from(EPS),
        }
    )
