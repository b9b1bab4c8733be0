"""Convergence plots of Theorem 1: measured errors beside Laplace's predictions, and the exponential rate on finite sets."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.polynomial import Polynomial
from scipy.special import gamma

from verify.plotdata import Curve, Figure, Panel
from virel_theory._quadrature import Function
from virel_theory._validate import Array
from virel_theory.continuous import boltzmann_expectation
from virel_theory.policies import boltzmann_policy

TEMPERATURES = 10.0 ** np.linspace(0, -8, 25)
PHI = Polynomial([0, 1, 1])  # x + x^2, x* = 0

# name, f, interval, predicted error
_Row = tuple[str, Function, tuple[float, float], Callable[[Array], Array]]
_ROWS: tuple[_Row, ...] = (
    # E[phi] - phi* ~ eps (phi''/(2|f''|) + phi' f'''/(2 f''^2)); f'' = -2, f''' = 3
    ("smooth, interior", Polynomial([0, 0, -1, 0.5]), (-1, 1), lambda e: e * (1 / 2 + 3 / 8)),
    (
        "kink, slopes 1 and 2",
        lambda x: -np.where(x < 0, 1, 2) * np.abs(x),
        (-1, 1),
        lambda e: e * (1 / 2 - 1),
    ),
    ("boundary, slope 1", Polynomial([0, -1]), (0, 1), lambda e: e),
    ("boundary, zero slope", Polynomial([0, 0, -1]), (0, 1), lambda e: np.sqrt(e / np.pi)),
    ("flat, -x^4", Polynomial([0, 0, 0, 0, -1]), (-1, 1), lambda e: np.sqrt(e) * gamma(3 / 4) / gamma(1 / 4)),
)


def figures(seed: int) -> Sequence[Figure]:
    """Error against temperature for each kind of maximum, and for a removed point. Nothing is random."""
    kinds = [curve for row in _ROWS for curve in _curves(row)]
    tied = [
        boltzmann_expectation(_two_wells, Polynomial([0, 1]), interval=(-2, 2), eps=e).value
        for e in TEMPERATURES
    ]
    failing = [
        Curve("f(-1) lowered to -1", TEMPERATURES, np.abs(np.array(tied) - 1)),
        Curve("limit |(phi(1) + phi(-1))/2 - phi(1)|", TEMPERATURES, np.ones_like(TEMPERATURES), "predicted"),
    ]
    panels = [
        _panel("unique maxima of a continuous f", kinds),
        _panel("-(x^2 - 1)^2 less a point: a unique maximum, no Dirac", failing),
    ]
    caption = f"phi = x + x^2 (left), x (right); dashed: leading term of Laplace's method. Not random (seed {seed} unused)."
    return [Figure("theorem-1-rates", panels, caption)]


def finite_figures(seed: int) -> Sequence[Figure]:
    """Error against 1/eps on a random finite action set, with the bound osc(phi) (n - 1) exp(-gap/eps)."""
    rng = np.random.default_rng(seed)
    q, phi = np.sort(rng.normal(size=6)), rng.normal(size=6)
    inverse = np.linspace(0, 30 / (q[-1] - q[-2]), 31)[1:]
    error = np.array([abs(boltzmann_policy(q[None], eps=1 / k)[0] @ (phi - phi[-1])) for k in inverse])
    bound = np.ptp(phi) * 5 * np.exp(-(q[-1] - q[-2]) * inverse)
    curves = [Curve("measured", inverse, error), Curve("bound, slope -gap", inverse, bound, "predicted")]
    panel = Panel("six actions", "1/eps", "|E[phi] - phi(a*)|", curves, yscale="log")
    return [
        Figure(
            "theorem-1-finite", [panel], f"q and phi standard normal, seed {seed}; gap {q[-1] - q[-2]:.3f}."
        )
    ]


def _curves(row: _Row) -> list[Curve]:
    name, f, interval, predicted = row
    got = [
        boltzmann_expectation(f, PHI, interval=interval, eps=e, breakpoints=(0.0,)).value
        for e in TEMPERATURES
    ]
    return [
        Curve(name, TEMPERATURES, np.abs(got)),
        Curve(f"{name}: predicted", TEMPERATURES, np.abs(predicted(TEMPERATURES)), "predicted"),
    ]


def _panel(title: str, curves: Sequence[Curve]) -> Panel:
    return Panel(title, "eps", "|E[phi] - phi(x*)|", curves, "log", "log")


def _two_wells(x: Array) -> Array:
    return -((x**2 - 1) ** 2)
