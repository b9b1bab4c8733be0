"""Figures as data: claims compute them, `verify.report.figures` draws them and writes them as CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from virel_theory.checks import Array

Scale = Literal["linear", "log"]


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve of a plot: `y [n]` over `x [n]`, its name in the legend, and how it is drawn."""

    label: str
    """Name in the legend, ASCII: `eps_k`, `x^2`."""
    x: Array
    """Abscissae `[n]`."""
    y: Array
    """Ordinates `[n]`."""
    kind: Literal["measured", "line", "predicted", "points"] = "measured"
    """Style of the curve: a line with markers, a line, dashes (a rate or a bound), or hollow markers."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One panel of a figure: a set of axes with its curves."""

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    xscale: Scale = "linear"
    yscale: Scale = "linear"


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure of a claim, in a file of its own: panels and caption.

    Labels are ASCII (`eps_k`, `x^2`) and are drawn as mathematics; `$...$` is left to matplotlib.
    """

    name: str
    """Name of the file: kebab-case, the claim's id first."""
    panels: Sequence[Panel]
    """Panels of the figure, each a set of axes."""
    caption: str
    """Sentence below the figure: the curves, the instance and the seed."""
    timed: bool = False
    """Whether the figure shows measured times, so that its data differ between two runs with one seed."""
