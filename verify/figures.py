"""Drawing `plotdata.Figure`: PNG and SVG in one style, and a CSV file of the data beside them.

Colours are Okabe and Ito's (2008, colour-blind safe); markers and dashes tell the curves apart in grey. One
panel is as wide as a journal column. The same data give the same bytes, whatever the date.
"""

import csv
import io
import math
import re
import textwrap
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from verify.plotdata import Curve, Figure, Panel, Scale
from verify.results import atomic_file
from virel_theory._validate import Array, require

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "X", "P")
DASHES = ((0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)))
DPI = 150
PANEL_WIDTH, PANEL_HEIGHT = 3.5, 2.5  # inches: one journal column
LINE_HEIGHT = 0.14  # inches a line of legend or caption
CHARACTERS_PER_INCH = 16  # of the caption's font
MAX_MARKERS = 16

STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.06,
    "svg.hashsalt": "virel",  # element ids of the SVG; random otherwise
    "path.simplify": False,
}


def draw(figure: Figure, folder: Path, *, command: str = "") -> list[Path]:
    """Write `NAME.png`, `NAME.svg` and `NAME.csv` into `folder` (each all or nothing); return their paths.

    Args:
        figure: what to draw.
        folder: must exist.
        command: how to make the figure again; the last line of the caption.
    """
    require(
        re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", figure.name) is not None,
        "name",
        figure.name,
        "must be kebab-case",
    )
    require(len(figure.panels) > 0, "panels", figure.panels, "must not be empty")
    paths = {suffix: folder / f"{figure.name}.{suffix}" for suffix in ("png", "svg", "csv")}
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's matplotlibrc says
        mpl.rcParams.update(STYLE)
        canvas = _canvas(figure, command)
        with atomic_file(paths["png"]) as file:
            canvas.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
        with atomic_file(paths["svg"]) as file:
            canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    with atomic_file(paths["csv"]) as file:
        file.write(csv_of(figure).encode())
    return list(paths.values())


def csv_of(figure: Figure) -> str:
    """The data in long form, one row a point: panel, curve, kind, x, y; floats read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("panel", "curve", "kind", "x", "y"))
    for panel in figure.panels:
        for curve in panel.curves:
            for x, y in zip(*_points(curve), strict=True):
                writer.writerow((panel.title, curve.label, curve.kind, repr(float(x)), repr(float(y))))
    return out.getvalue()


def _canvas(figure: Figure, command: str) -> Canvas:
    n_panels = len(figure.panels)
    width = PANEL_WIDTH * n_panels
    caption = _caption(figure.caption, command, n_characters=int(width * CHARACTERS_PER_INCH))
    n_legend = max(len(panel.curves) for panel in figure.panels)
    height = PANEL_HEIGHT + LINE_HEIGHT * (n_legend + caption.count("\n") + 2)
    canvas = Canvas(figsize=(width, height))
    for axes, panel in zip(canvas.subplots(1, n_panels, squeeze=False)[0], figure.panels, strict=True):
        _panel(axes, panel)
    canvas.supxlabel(caption, wrap=False, x=0.02, ha="left", fontsize=6.5, color="#444444", linespacing=1.25)
    return canvas


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set_title("\n".join(_wrap(panel.title, 50)), loc="left")
    axes.set_xlabel(panel.xlabel)
    axes.set_ylabel(panel.ylabel)
    axes.set_xscale(_usable(panel.xscale, [curve.x for curve in panel.curves]))
    axes.set_yscale(_usable(panel.yscale, [curve.y for curve in panel.curves]))
    styles = cycle(zip(OKABE_ITO, MARKERS, strict=True))
    dashes = cycle(DASHES)
    for curve, (colour, marker) in zip(panel.curves, styles, strict=False):
        x, y = _points(curve)
        on_axes = (x > 0) | (axes.get_xscale() == "linear")
        on_axes &= (y > 0) | (axes.get_yscale() == "linear")
        x, y = np.where(on_axes, x, np.nan), np.where(on_axes, y, np.nan)
        axes.plot(x, y, label=curve.label, color=colour, **_line(curve, marker, dashes))
    _whole_ticks(axes, panel)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0.0, -0.24), borderaxespad=0.0, frameon=False, handlelength=3.2
    )


def _line(curve: Curve, marker: str, dashes: "cycle[Any]") -> dict[str, Any]:
    """Measured: line and markers; predicted: dashes; points: hollow markers that show what they lie on."""
    if curve.kind == "predicted":
        return {"linestyle": next(dashes)}
    n_points = max(len(curve.x), 1)
    every = {"marker": marker, "markevery": math.ceil(n_points / MAX_MARKERS)}
    if curve.kind == "measured":
        return every | {"linestyle": "-"}
    return every | {"linestyle": "none", "markerfacecolor": "none", "markersize": 7.0, "markeredgewidth": 1.1}


def _whole_ticks(axes: Axes, panel: Panel) -> None:
    """Iterations have no fractions: whole-numbered data on a linear axis get whole-numbered ticks."""
    x = np.concatenate([_points(curve)[0] for curve in panel.curves]) if panel.curves else np.empty(0)
    if axes.get_xscale() == "linear" and x.size and np.all(x == np.round(x)):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _usable(scale: Scale, values: list[Array]) -> Scale:
    """`linear` where a log axis would have nothing to show."""
    return scale if any(np.any(np.asarray(value) > 0) for value in values) else "linear"


def _points(curve: Curve) -> tuple[Array, Array]:
    x, y = np.asarray(curve.x, dtype=np.float64), np.asarray(curve.y, dtype=np.float64)
    require(
        x.ndim == 1 and x.shape == y.shape,
        curve.label,
        (x.shape, y.shape),
        "must have x and y of one shape [n]",
    )
    return x, y


def _caption(text: str, command: str, *, n_characters: int) -> str:
    return "\n".join([*_wrap(text, n_characters), *_wrap(command, n_characters)])


def _wrap(text: str, n_characters: int) -> list[str]:
    """Lines of at most this many characters; never broken inside `$...$`."""
    glued = re.sub(r"\$[^$]*\$", lambda math: math.group().replace(" ", "\0"), text)
    return [line.replace("\0", " ") for line in textwrap.wrap(glued, n_characters, break_long_words=False)]
