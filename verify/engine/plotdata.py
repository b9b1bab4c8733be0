"""What a figure shows, as data: claims compute it, `verify.report.figures` draws it, CSV files keep it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from virel_theory.checks import Array

Scale = Literal["linear", "log"]


@dataclass(frozen=True, eq=False)
class Curve:
    """`y [n]` over `x [n]`: `measured` (markers), `line`, `predicted` (dashed: rate, bound) or `points`."""

    label: str
    x: Array
    y: Array
    kind: Literal["measured", "line", "predicted", "points"] = "measured"


@dataclass(frozen=True, eq=False)
class Panel:
    """One set of axes."""

    title: str
    xlabel: str
    ylabel: str
    curves: Sequence[Curve]
    xscale: Scale = "linear"
    yscale: Scale = "linear"


@dataclass(frozen=True, eq=False)
class Figure:
    """One file: `name` (kebab-case, the claim's id first), panels, and a caption: instance and seed.

    `timed`: it holds measured times, so its data differ between two runs with one seed; all others' do not.
    Labels are ASCII (`eps_k`, `x^2`); they are drawn as mathematics. `$...$` is left to matplotlib.
    """

    name: str
    panels: Sequence[Panel]
    caption: str
    timed: bool = False
