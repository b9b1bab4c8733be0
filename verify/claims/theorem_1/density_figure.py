"""Figure of Theorem 1: the Boltzmann density collapses onto a unique maximum, and splits over tied ones."""

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.continuous.boltzmann import boltzmann_density, boltzmann_expectation
from virel_theory.continuous.quadrature import Function

TEMPERATURES = (1.0, 0.1, 0.01, 0.001)
UNIQUE, TIED = Polynomial([0, 0, -1, 0.5]), Polynomial([-1, 0, 2, 0, -1])


def figures(seed: int) -> Sequence[Figure]:
    """Figure of the Boltzmann density for one and for two tied maxima, and of the mass near a maximum."""
    panels = [
        _densities("unique maximum: -x^2 + x^3/2", UNIQUE, (-1.0, 1.0), (0.0,)),
        _densities("tied maxima: -(x^2 - 1)^2", TIED, (-2.0, 2.0), (-1.0, 1.0)),
        _masses(),
    ]
    caption = (
        f"Unique: a Dirac in the limit. Tied: half a Dirac at each maximum. Not random (seed {seed} unused)."
    )
    return [Figure("theorem-1-density", panels, caption)]


def _densities(title: str, f: Function, interval: tuple[float, float], peaks: tuple[float, ...]) -> Panel:
    near = np.concatenate([peak + side * np.geomspace(1e-3, 1, 150) for peak in peaks for side in (-1, 1)])
    inside = near[(near >= interval[0]) & (near <= interval[1])]
    x: Array = np.unique(np.concatenate([inside, np.linspace(*interval, 201), peaks]))
    curves = [
        Curve(f"eps = {eps:g}", x, boltzmann_density(f, x, interval=interval, eps=eps), "line")
        for eps in TEMPERATURES
    ]
    return Panel(title, "x", "density p_eps(x)", curves)


def _masses() -> Panel:
    """Panel of the mass within 0.1 of x = 0 and of x = 1, which tends to 1 and to 1/2."""
    eps = np.geomspace(1, 1e-5, 26)
    curves = [
        Curve("unique, |x| < 0.1", eps, np.array([_mass(UNIQUE, 0.0, (-1.0, 1.0), e) for e in eps])),
        Curve("tied, |x - 1| < 0.1", eps, np.array([_mass(TIED, 1.0, (-2.0, 2.0), e) for e in eps])),
        Curve("limit 1", eps, np.ones_like(eps), "predicted"),
        Curve("limit 1/2", eps, np.full_like(eps, 0.5), "predicted"),
    ]
    return Panel("mass near a maximum", "eps", "mass", curves, "log")


def _mass(f: Function, centre: float, interval: tuple[float, float], eps: float) -> float:
    edges = (centre - 0.1, centre + 0.1)

    def inside(x: Array) -> Array:
        return np.where(np.abs(x - centre) < 0.1, 1.0, 0.0)

    return boltzmann_expectation(f, inside, interval=interval, eps=eps, breakpoints=edges).value
