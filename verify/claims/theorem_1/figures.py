"""Convergence plots of Theorem 1: errors beside Laplace's approximation, and the rate on finite sets."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.polynomial import Polynomial
from scipy.special import gamma

from verify.claims.theorem_1.peaks import bump
from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.continuous.boltzmann import boltzmann_expectation
from virel_theory.continuous.quadrature import Function
from virel_theory.operators.policies import boltzmann_policy

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
    """Figure of |E[phi] - phi(x*)| by temperature for each kind of maximum, and for counterexamples.

    The counterexamples refute (12).
    """
    panels = [
        _panel("rate eps", [curve for row in _ROWS[:3] for curve in _curves(row)]),
        _panel("rate sqrt(eps)", [curve for row in _ROWS[3:] for curve in _curves(row)]),
        _panel("a unique maximum that is no limit", _refuting_curves()),
    ]
    caption = (
        "First two panels: phi = x + x^2, unique maxima at 0, dashed: leading term of Laplace's method. Third: phi a bump "
        f"at the only maximum; f as in claim `theorem-1`. Not random (seed {seed} unused)."
    )
    return [Figure("theorem-1-rates", panels, caption)]


def finite_figures(seed: int) -> Sequence[Figure]:
    """Figure of |E[phi] - phi(a*)| against 1/eps on a random finite action set, with its bound.

    The bound is osc(phi) (n - 1) exp(-gap/eps).
    """
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


def _refuting_curves() -> list[Curve]:
    """Error curves that refute Theorem 1 as printed: two wells with limits 1/2 and 0, a jump with limit 1.

    The wells have h = 0 and h = 1; the jump is at 0, with -x^4 left of it.
    """

    def wells(h: int) -> Array:
        def f(x: Array) -> Array:
            return -((x**2 - 1) ** 2) - h * (x < 0)

        return _errors(f, (1.0, 1.0), (-2.0, 2.0))

    one_sided = _errors(lambda x: np.where(x < 0, -(x**4), -((2 * x - 1) ** 2)), (0.5, 0.5), (-1.0, 1.0))
    halves, ones = np.full_like(TEMPERATURES, 0.5), np.ones_like(TEMPERATURES)
    return [
        Curve("two wells, f(-1) lowered", TEMPERATURES, wells(0)),
        Curve("predicted 1/2", TEMPERATURES, halves, "predicted"),
        Curve("-x^4 left of a jump", TEMPERATURES, one_sided),
        Curve("predicted 1", TEMPERATURES, ones, "predicted"),
        Curve("left well lower by 1", TEMPERATURES, wells(1)),
        Curve("predicted eps/8", TEMPERATURES, TEMPERATURES / 8, "predicted"),
    ]


def _errors(f: Function, centre_and_radius: tuple[float, float], interval: tuple[float, float]) -> Array:
    centre, radius = centre_and_radius
    got = [
        boltzmann_expectation(
            f,
            lambda x: bump(x, centre=centre, radius=radius),
            interval=interval,
            eps=e,
            breakpoints=(-1.0, 0.0, centre),
        ).value
        for e in TEMPERATURES
    ]
    out: Array = np.abs(np.array(got) - 1)
    return out
