"""Draw the convergence plots of claims as SVG, PNG and PDF in one style, with their data as CSV.

Colours are those of Okabe and Ito (2008, safe for colour-blind readers); markers and dashes tell the curves
apart in grey. One panel is as wide as a journal column. Several stand two abreast, and once more below each
other in `NAME-narrow.svg`, for one column and for phones. The same data give the same bytes, whatever the
date.
"""

import csv
import io
import math
import re
import textwrap
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, NullFormatter

from verify.engine.plotdata import Curve, Figure, Panel, Scale
from verify.report.typeset import typeset
from virel_common.errors import require
from virel_common.files import atomic_file
from virel_common.plot_style import DPI, OKABE_ITO, UNDATED, style
from virel_common.plot_style import STYLE as SHARED_STYLE
from virel_theory.checks import Array

MARKERS = ("o", "s", "^", "D", "v", "X", "P")
DASHES = ((0, (5, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)))
PANEL_WIDTH, PANEL_HEIGHT = 3.5, 2.5  # inches: one journal column
LAYOUT = ConstrainedLayoutEngine(wspace=0.06, hspace=0.1)
LINE_HEIGHT = 0.14  # inches per line of legend or caption
CHARACTERS_PER_INCH = 16  # of the caption's font
MAX_MARKERS = 16

STYLE = SHARED_STYLE | {
    "axes.titlesize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "figure.constrained_layout.use": False,  # `_canvas` lays out once; saving would for each format
}


def draw(figure: Figure, folder: Path, *, command: str = "", pdf: bool = False) -> list[Path]:
    """Draw a claim's figure as SVG and PNG, write its data as CSV in `folder`; return the files' paths.

    The files are `NAME.svg`, `.png`, `.csv` and, for several panels, `NAME-narrow.svg`; each is written whole
    or not at all. The CSV of a figure with measured times is `NAME.times.csv`: it alone may differ between
    two runs with one seed.

    Args:
        figure: the figure to draw.
        folder: folder for the files; it must exist.
        command: how to make the figure again, shown as the last line of the caption.
        pdf: whether to write `NAME.pdf` too.

    Raises: InputError: the figure's name is not kebab-case, it has no panels, or a curve's x and y differ
        in shape.
    """
    require(
        re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", figure.name) is not None,
        "name",
        figure.name,
        "must be kebab-case, such as theorem-2-rate",
    )
    require(len(figure.panels) > 0, "panels", figure.panels, "must not be empty")
    with style(STYLE):
        canvas = _canvas(figure, command, n_columns=min(len(figure.panels), 2))
        suffixes = ("svg", "png", "pdf") if pdf else ("svg", "png")
        paths = [_save(canvas, folder / f"{figure.name}.{suffix}") for suffix in suffixes]
        if len(figure.panels) > 1:
            narrow = _canvas(figure, command, n_columns=1)
            paths.append(_save(narrow, folder / f"{figure.name}-narrow.svg"))
    table = folder / f"{figure.name}.{'times.' if figure.timed else ''}csv"
    with atomic_file(table) as file:
        file.write(csv_of(figure).encode())
    return [*paths, table]


def _save(canvas: Canvas, path: Path) -> Path:
    kind = path.suffix[1:]
    with atomic_file(path) as file:
        canvas.savefig(file, format=kind, dpi=DPI, metadata=UNDATED[kind])
    return path


def csv_of(figure: Figure) -> str:
    """Data of a claim's figure as CSV, a row per point: panel, curve, kind, x, y (exact to the last bit)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("panel", "curve", "kind", "x", "y"))
    for panel in figure.panels:
        for curve in panel.curves:
            for x, y in zip(*_points(curve), strict=True):
                writer.writerow((panel.title, curve.label, curve.kind, repr(float(x)), repr(float(y))))
    return out.getvalue()


def _canvas(figure: Figure, command: str, *, n_columns: int) -> Canvas:
    n_panels = len(figure.panels)
    n_rows = math.ceil(n_panels / n_columns)
    width = PANEL_WIDTH * n_columns
    caption = _caption(figure, command, n_characters=int(width * CHARACTERS_PER_INCH))
    legends = [
        max(len(p.curves) for p in figure.panels[i : i + n_columns]) for i in range(0, n_panels, n_columns)
    ]
    height = PANEL_HEIGHT * n_rows + LINE_HEIGHT * (sum(legends) + n_rows + caption.count("\n") + 1)
    canvas = Canvas(figsize=(width, height))
    cells = canvas.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, panel in zip(cells, figure.panels, strict=False):
        _panel(axes, panel)
    for axes in cells[n_panels:]:
        axes.remove()
    canvas.supxlabel(caption, wrap=False, x=0.02, ha="left", fontsize=6.5, color="#444444", linespacing=1.25)
    LAYOUT.execute(canvas)
    return canvas


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set_title("\n".join(map(typeset, _wrap(panel.title, 52))), loc="left")
    axes.set_xlabel(typeset(panel.xlabel))
    axes.set_ylabel(typeset(panel.ylabel))
    axes.set_xscale(_usable(panel.xscale, [curve.x for curve in panel.curves]))
    axes.set_yscale(_usable(panel.yscale, [curve.y for curve in panel.curves]))
    styles = cycle(zip(OKABE_ITO, MARKERS, strict=True))
    dashes = cycle(DASHES)
    for curve, (colour, marker) in zip(panel.curves, styles, strict=False):
        x, y = _points(curve)
        on_axes = (x > 0) | (axes.get_xscale() == "linear")
        on_axes &= (y > 0) | (axes.get_yscale() == "linear")
        x, y = np.where(on_axes, x, np.nan), np.where(on_axes, y, np.nan)
        axes.plot(x, y, label=typeset(curve.label), color=colour, **_line(curve, marker, dashes))
    _whole_ticks(axes, panel)
    _decades(axes)
    axes.legend(
        loc="upper left", bbox_to_anchor=(0.0, -0.24), borderaxespad=0.0, frameon=False, handlelength=3.2
    )


def _decades(axes: Axes) -> None:
    """Label a plot's log axes at powers of ten only (0.1 and 1, not 0.6), and show at least two of these."""
    for axis, limits, set_limits in (
        (axes.xaxis, axes.get_xlim(), axes.set_xlim),
        (axes.yaxis, axes.get_ylim(), axes.set_ylim),
    ):
        if axis.get_scale() != "log":
            continue
        low, high = limits
        if math.floor(math.log10(high)) <= math.ceil(math.log10(low)):  # fewer than two powers of ten in view
            set_limits(10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high)))
        axis.set_minor_formatter(NullFormatter())


def _line(curve: Curve, marker: str, dashes: "cycle[Any]") -> dict[str, Any]:
    """Matplotlib line style of a plotted curve, by its kind: measured, predicted, line or points.

    Measured: line and markers; predicted: dashes; line: no markers; points: hollow markers, over others.
    """
    if curve.kind == "predicted":
        return {"linestyle": next(dashes)}
    if curve.kind == "line":
        return {"linestyle": "-"}
    n_points = max(len(curve.x), 1)
    every = {"marker": marker, "markevery": math.ceil(n_points / MAX_MARKERS)}
    if curve.kind == "measured":
        return every | {"linestyle": "-"}
    return every | {"linestyle": "none", "markerfacecolor": "none", "markersize": 7.0, "markeredgewidth": 1.1}


def _whole_ticks(axes: Axes, panel: Panel) -> None:
    """Put integer ticks on a plot's linear x axis whose data are integers, such as iterations."""
    x = np.concatenate([_points(curve)[0] for curve in panel.curves]) if panel.curves else np.empty(0)
    if axes.get_xscale() == "linear" and x.size and np.all(x == np.round(x)):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _usable(scale: Scale, values: list[Array]) -> Scale:
    """Scale of a plot's axis: `scale` if any of its data `values` is positive, else `linear`."""
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


def _caption(figure: Figure, command: str, *, n_characters: int) -> str:
    timed = " Times were measured on one machine: they differ from run to run." if figure.timed else ""
    lines = map(typeset, _wrap(figure.caption.replace("`", "") + timed, n_characters))
    return "\n".join([*lines, *_wrap(command, n_characters)])


def _wrap(text: str, n_characters: int) -> list[str]:
    """Break a caption or title into lines of at most `n_characters`, never inside a formula `$...$`."""
    glued = re.sub(r"\$[^$]*\$", lambda math: math.group().replace(" ", "\0"), text)
    return [line.replace("\0", " ") for line in textwrap.wrap(glued, n_characters, break_long_words=False)]
