r"""Self-consistent temperatures: solutions of $\varepsilon = g(\omega,\varepsilon)$, g the temperature map.

$\pi_\omega$ has temperature $\varepsilon_\omega$, and $\varepsilon_\omega$ is the residual error of
$\mathcal T^{\pi_\omega}$. With
$g(\omega,\varepsilon) = \sum_h w_h |\mathcal T^{\pi_\varepsilon}\hat Q_\omega(h) - \hat Q_\omega(h)|^p$
the definition reads $\varepsilon = g(\omega, \varepsilon)$. On a finite MDP g is continuous on $[0, \infty]$
and bounded; $F = g - \varepsilon$ is $\ge 0$ at 0 and negative beyond $\sup g$. So a root always exists, and
$\varepsilon = 0$ is one iff $\hat Q_\omega = Q^*$. There may be several roots;
`self_consistent_temperatures` counts them with a proof.
"""

import math
from dataclasses import dataclass
from typing import Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import U, as_number
from virel_theory.mdp.tables import as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import P_NORM, NormOptions, residual_weights
from virel_theory.objective.temperature_map import TemperatureMap

RANGE = (1e-290, 1e290)
"""Range of max g, in units of the largest value, in which 1/eps and the terms of g stay within float64."""

Label = Literal["above", "below", "falls", "rises", "undecided"]


@dataclass(frozen=True)
class Root:
    r"""Self-consistent temperature, a fixed point of the temperature map g, and its enclosure, App. C.

    It is proved to be the only root in `[lower, upper]`.

    `slope` is $\partial_\varepsilon g$ at `eps`: below 1 where $g - \varepsilon$ falls through the root; 1
    at a fold.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
        >>> root = self_consistent_temperatures(mdp, [[208.0, 104.0]]).roots[-1]
        >>> root.lower <= root.eps <= root.upper, root.slope < 1
        (True, True)
    """

    eps: float
    lower: float
    upper: float
    slope: float


@dataclass(frozen=True)
class SelfConsistentTemperatures:
    r"""All fixed points of the temperature map, $\varepsilon = g(\omega,\varepsilon)$, rising, App. C.

    `undecided` lists intervals in which the count is open (a fold, closer than rounding can tell); if there
    is none, the count is proved. `n_boxes` is the number of boxes that the proof looked at.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
        >>> found = self_consistent_temperatures(mdp, [[208.0, 104.0]])
        >>> len(found.roots), found.complete
        (3, True)
    """

    roots: tuple[Root, ...]
    undecided: tuple[tuple[float, float], ...]
    n_boxes: int

    @property
    def complete(self) -> bool:
        """Whether the number of self-consistent temperatures is proved, App. C."""
        return not self.undecided


@dataclass(frozen=True)
class _Box:
    """Interval `[a, b]` of temperatures, labelled by what is proved there of temperature map minus eps."""

    a: float
    b: float
    label: Label


def temperature_map(mdp: TabularMDP, q: ArrayLike, *, eps: float, **norm: Unpack[NormOptions]) -> float:
    r"""Temperature map $g(\omega,\varepsilon)$: the residual error of $T^{\pi_\varepsilon}$, App. C.

    $$g(\omega,\varepsilon) = \tfrac{c}{p}\|\mathcal T^{\pi_\varepsilon}\hat Q_\omega - \hat Q_\omega\|_p^p$$

    Args: mdp: finite MDP. q: `[S, A]`, reward units. eps: temperature in [0, inf]; 0 is the greedy limit
        (ties do not matter: their mean is their maximum), inf the uniform policy. norm: as
        `residual_error`.
    Returns: g, reward units; relative rounding error (|H| + 8) u on a residual that is (5 A + S + 16) u
        (max|q| + max|r|) off.
    Raises: InputError: if `q` is not finite where the action exists, or `eps` is negative or NaN.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
        >>> [round(temperature_map(mdp, [[208.0, 104.0]], eps=e), 3) for e in (0, 100, np.inf)]
        [0.0, 92.205, 338.0]
    """
    return _map(mdp, q, norm).value(_as_any_temperature(eps))


def temperature_map_derivative(
    mdp: TabularMDP, q: ArrayLike, *, eps: float, **norm: Unpack[NormOptions]
) -> float:
    r"""Derivative of the temperature map, $\partial_\varepsilon g(\omega,\varepsilon)$, App. C.

    $$\partial_\varepsilon g = -\frac{\gamma}{\varepsilon^2}\sum_h
    w_h\,p\,\mathrm{sign}(\beta_h)|\beta_h|^{p-1}
    E_{p(s'|h)}[Var_{\pi_\varepsilon}(\hat Q_\omega(\cdot,s'))]$$

    Args: as `temperature_map`.
    Returns: the slope, 0 in the limits `eps = 0` and `eps = inf`; absolute rounding error 64 (A + 4)^2 u
        times $\gamma\sum w_h p|\beta_h|^{p-1}$. For p = 1, where $\beta_h = 0$, the value 0 inside the
        subdifferential.
    Raises: InputError: as `temperature_map`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
        >>> temperature_map_derivative(mdp, [[208.0, 104.0]], eps=0.0)
        0.0
    """
    return _map(mdp, q, norm).slope(_as_any_temperature(eps))


def self_consistent_temperatures(
    mdp: TabularMDP, q: ArrayLike, *, max_boxes: int = 20_000, **norm: Unpack[NormOptions]
) -> SelfConsistentTemperatures:
    r"""All self-consistent temperatures, the fixed points of the temperature map g, App. C.

    Bisects $[0, \sup g]$ until on each box $F = g - \varepsilon$ has one sign or is strictly monotone, by
    enclosures that include rounding (`temperature_map`). A maximal monotone stretch between signs that differ
    holds exactly one root. The unit is the largest value or reward. A root out of float64's range keeps its
    enclosure: one below 5e-324 reads [0, 5e-324], one above 1.8e308 reads [1.8e308, inf] with `eps = inf`.

    Args: mdp: finite MDP. q: `[S, A]`. max_boxes: boxes to look at before the rest is called undecided.
        norm: as `residual_error`.
    Returns: the roots in enclosures a few thousand ulps of $\max g$ wide, and whether the count is proved.
    Raises: InputError: as `temperature_map`, or if `max_boxes` is not positive.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
        >>> [round(root.eps, 2) for root in self_consistent_temperatures(mdp, [[208.0, 104.0]]).roots]
        [0.0, 130.51, 152.22]
    """
    most, table = as_whole(max_boxes, name="max_boxes", least=1), as_table(q, mdp, name="q")
    weights = residual_weights(mdp.available, **norm)
    g, unit = TemperatureMap.in_own_units(mdp, table, weights, float(norm.get("p_norm", P_NORM)))
    if g.eta_beta == 0:  # no value and no reward: every beta is 0
        return SelfConsistentTemperatures((Root(0.0, 0.0, 0.0, 0.0),), (), 0)
    with np.errstate(over="ignore", invalid="ignore"):
        supremum = g.value_range(0.0, np.inf)[1] * (1 + 1e-9)
    if not RANGE[0] < supremum < RANGE[1]:
        return SelfConsistentTemperatures((), ((0.0, np.inf),), 0)
    boxes, n_boxes = _subdivide(g, supremum, most)
    roots: list[Root] = []
    undecided: list[tuple[float, float]] = []
    for k, box in enumerate(boxes):
        if box.label == "undecided":
            undecided.append((box.a, box.b))
        elif box.label in ("falls", "rises"):
            _read_run(g, boxes, k, (roots, undecided))
    return SelfConsistentTemperatures(
        tuple(_root_in(root, unit) for root in roots),
        tuple((_times(a, unit, 0.0), _times(b, unit, np.inf)) for a, b in undecided),
        n_boxes,
    )


def _root_in(root: Root, unit: float) -> Root:
    """Convert a self-consistent temperature to another unit, its enclosure rounded outwards."""
    lower, upper = _times(root.lower, unit, 0.0), _times(root.upper, unit, np.inf)
    return Root(float(root.eps) * unit, lower, upper, root.slope)


def _times(x: float, unit: float, outwards: float) -> float:
    """Product `x * unit`, rounded towards `outwards` if it is inexact, as an under- or overflow makes it."""
    product = float(x) * unit
    return product if product / unit == x else math.nextafter(product, outwards)


def _as_any_temperature(eps: float) -> float:
    """Return the temperature `eps` as a float in [0, inf]."""
    value = as_number(eps, name="eps")
    require(value >= 0, "eps", eps, "must lie in [0, inf]")
    return value


def _map(mdp: TabularMDP, q: ArrayLike, norm: NormOptions) -> TemperatureMap:
    """Temperature map of the action values `q`, checked, in the norm that the keywords select."""
    table = as_table(q, mdp, name="q")
    weights = residual_weights(mdp.available, **norm)
    return TemperatureMap.of(mdp, table, weights, float(norm.get("p_norm", P_NORM)))


def _subdivide(g: TemperatureMap, supremum: float, max_boxes: int) -> tuple[list[_Box], int]:
    """Bisect temperatures `[0, supremum]` into labelled boxes, equal neighbours merged; count all boxes."""
    stack, done, n_boxes = [(0.0, supremum)], list[_Box](), 0
    while stack:
        a, b = stack.pop()
        n_boxes += 1
        label = _classify(g, a, b)
        if label == "undecided" and b - a > 1e-13 * b and n_boxes < max_boxes:
            middle = np.sqrt(a) * np.sqrt(b) if a > 0 and b > 2 * a else 0.5 * (a + b)
            stack += [(middle, b), (a, middle)]
        elif done and done[-1].label == label:
            done[-1] = _Box(done[-1].a, b, label)
        else:
            done.append(_Box(a, b, label))
    return done, n_boxes


def _classify(g: TemperatureMap, a: float, b: float) -> Label:
    """Label of `[a, b]`: proved sign or monotonicity of the temperature map minus eps, else "undecided"."""
    low, high = g.value_range(a, b)
    if low > b:
        return "above"
    if high < a:
        return "below"
    slope_low, slope_high = g.slope_range(a, b)
    if slope_high < 1:
        return "falls"
    return "rises" if slope_low > 1 else "undecided"


def _read_run(
    g: TemperatureMap, boxes: list[_Box], k: int, found: tuple[list[Root], list[tuple[float, float]]]
) -> None:
    """Record the temperature proved in a monotone box; call it undecided if a sign at its ends is unproved.

    `found` holds both lists; box number `k` is read.
    """
    box = boxes[k]
    left = 1 if k == 0 else _sign(g, box.a)  # F(0) = g(omega, 0) >= 0
    right = -1 if k == len(boxes) - 1 else _sign(g, box.b)  # F < 0 at the supremum
    if 0 in (left, right):
        found[1].append((box.a, box.b))
    elif left > right if box.label == "falls" else left < right:
        found[0].append(_refine(g, box, left))


def _sign(g: TemperatureMap, eps: float) -> int:
    """Proved sign of the temperature map minus eps at the temperature `eps`; 0 if rounding hides it."""
    low, high = g.value_range(eps, eps)
    return 1 if low > eps else -1 if high < eps else 0


def _refine(g: TemperatureMap, box: _Box, left: int) -> Root:
    """Locate a self-consistent temperature in floating point, then widen until its enclosure is proved."""
    ends = g.value(box.a) - box.a, g.value(box.b) - box.b
    eps = box.a if ends[0] * left <= 0 else box.b if ends[1] * left >= 0 else _brent(g, box)
    slope = g.slope(eps)
    width = (g.value_range(eps, eps)[1] - g.value(eps) + 4 * U * eps) / max(abs(1 - slope), 1e-3)
    lower, upper = eps, eps
    while lower > box.a and _sign(g, lower) != left:
        lower, width = max(box.a, eps - width), 2 * width
    while upper < box.b and _sign(g, upper) != -left:
        upper, width = min(box.b, eps + width), 2 * width
    return Root(eps, lower, upper, slope)


def _brent(g: TemperatureMap, box: _Box) -> float:
    """Self-consistent temperature in a box, by Brent's method, rescaled so that nothing underflows.

    `brentq` multiplies values of F.
    """
    unit = float(np.ldexp(1.0, int(np.frexp(box.b)[1])))
    root, _ = brentq(
        lambda x: g.value(x * unit) / unit - x,
        box.a / unit,
        box.b / unit,
        xtol=1e-300,
        rtol=4 * U,
        full_output=True,
    )
    return float(root) * unit
