"""Convergence plots as data, computed by claims; `verify.report.figures` draws them and writes CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from virel_theory.checks import Array

Scale = Literal["linear", "log"]


@dataclass(frozen=True, eq=False)
class Curve:
    """Curve of a plot: points `x [n]`, `y [n]`, the name in the legend, and the style of drawing.

    Example:
        >>> import numpy as np
        >>> k = np.arange(1.0, 4.0)
        >>> Curve("1/k", k, 1 / k, "predicted").y.round(2).tolist()
        [1.0, 0.5, 0.33]
    """

    label: str
    """Name in the legend, ASCII: `eps_k`, `x^2`."""
    x: Array
    """Abscissae `[n]` of the points."""
    y: Array
    """Ordinates `[n]` of the points."""
    kind: Literal["measured", "line", "predicted", "points"] = "measured"
    """Style of the curve: a line with markers, a line, dashes (a rate or a bound), or hollow markers."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Panel of a figure: one pair of axes with title, labels, scales (linear or log) and curves.

    Example:
        >>> import numpy as np
        >>> k = np.arange(1.0, 4.0)
        >>> Panel("rate", "k", "error", [Curve("1/k", k, 1 / k)], yscale="log").xscale
        'linear'
    """

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    xscale: Scale = "linear"
    yscale: Scale = "linear"


@dataclass(frozen=True, eq=False)
class Figure:
    """Figure that illustrates a claim, such as a convergence plot: its file name, panels and caption.

    Labels are ASCII (`eps_k`, `x^2`) and are drawn as mathematics; `$...$` is left to matplotlib.

    Example:
        >>> import numpy as np
        >>> k = np.arange(1.0, 4.0)
        >>> panel = Panel("rate", "k", "error", [Curve("1/k", k, 1 / k)])
        >>> Figure("my-claim-rate", [panel], "One instance, seed 0.").timed
        False
    """

    name: str
    """Name of the file: kebab-case, the claim's id first."""
    panels: Sequence[Panel]
    """Panels of the figure, each a set of axes."""
    caption: str
    """Sentence below the figure: the curves, the instance and the seed."""
    timed: bool = False
    """Whether the figure shows measured times, so that its data differ between two runs with one seed."""
