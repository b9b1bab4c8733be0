"""Learning curves as a figure: one panel per environment, one colour and dash pattern per algorithm.

Dashes tell the curves apart in grey. The same runs give the same bytes.
"""

import csv
import io
import math
import textwrap
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from virel_common.files import write_atomically
from virel_common.plot_style import DPI, OKABE_ITO, UNDATED, style
from virel_common.plot_style import STYLE as SHARED_STYLE
from virel_deep.results.names import Entry, environments
from virel_deep.results.read import LAST, Run
from virel_deep.results.statistics import Band, iqm_band, iqm_interval

DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
SMOOTHED = 20
"""Length of a curve in smoothing windows: a window is 5 % of the curve."""
PANEL_WIDTH, PANEL_HEIGHT = 3.6, 2.6  # inches
LINE_HEIGHT = 0.17  # inches per line of legend or caption
CAPTION_DENSITY, LEGEND_DENSITY = 21, 14  # characters per inch
STYLE = SHARED_STYLE | {
    "axes.titlesize": 9.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.4,
}


def draw(named: Sequence[Entry], folder: Path) -> list[Path]:
    """Draw the learning curves: write `curves.svg`, `curves.png` and `curves.csv`; return the paths.

    A curve is the IQM over seeds, smoothed over windows of 5 % of the curve; its band is the pointwise
    bootstrap interval. The bars beside the curves are the final returns of the table.

    Raises:
        StorageError: a file in `folder` can't be written.
    """
    bands = [band_of(entry.run) for entry in named]
    paths = [folder / "curves.csv"]
    write_atomically(paths[0], csv_of(named, bands).encode())
    with style(STYLE):
        figure = _figure(named, bands)
        for kind in ("svg", "png"):
            file = io.BytesIO()
            figure.savefig(file, format=kind, dpi=DPI, metadata=UNDATED[kind])
            paths.append(folder / f"curves.{kind}")
            write_atomically(paths[-1], file.getvalue())
    return paths


def band_of(run: Run) -> Band:
    """Interquartile mean return over seeds and its 95 % interval at each evaluation, lightly smoothed.

    Single evaluations are noisy, and wide windows blur the start.
    """
    return iqm_band(run.smooth(max(1, len(run.at) // SMOOTHED)))


def csv_of(named: Sequence[Entry], bands: Sequence[Band]) -> str:
    """Learning curves as CSV text in long form, one row per point; floats read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("environment", "algorithm", "seeds", "step", "iqm", "low", "high"))
    for entry, band in zip(named, bands, strict=True):
        for step, *values in zip(entry.run.at, *band, strict=True):
            place = (entry.run.env, entry.label, len(entry.run.seeds), int(step))
            writer.writerow((*place, *(repr(float(value)) for value in values)))
    return out.getvalue()


def _figure(named: Sequence[Entry], bands: Sequence[Band]) -> Figure:
    groups = environments(named)
    styles = _styles(named)
    n_columns = min(len(groups), 2)
    n_rows = math.ceil(len(groups) / n_columns)
    width = PANEL_WIDTH * n_columns
    caption = textwrap.wrap(_caption(named), int(width * CAPTION_DENSITY))
    characters = int(width * LEGEND_DENSITY)
    labels = [textwrap.wrap(label, characters - 6, subsequent_indent="   ") or [label] for label in styles]
    legend_columns = max(1, characters // (6 + max(len(line) for label in labels for line in label)))
    legend_rows = math.ceil(len(labels) / legend_columns) * max(map(len, labels))
    height = PANEL_HEIGHT * n_rows + LINE_HEIGHT * (legend_rows + len(caption))
    figure = Figure(figsize=(width, height))
    cells = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, (env, here) in zip(cells, groups.items(), strict=False):
        _panel(axes, env, here, [bands[named.index(entry)] for entry in here], styles)
    for axes in cells[len(groups) :]:
        axes.remove()
    handles = [Line2D([], [], color=colour, linestyle=dash) for colour, dash in styles.values()]
    figure.legend(
        handles,
        [_plain("\n".join(label)) for label in labels],
        loc="outside upper center",
        ncols=legend_columns,
        frameon=False,
        handlelength=2.6,
    )
    figure.supxlabel("\n".join(caption), x=0.01, ha="left", fontsize=6.5, color="#444444", linespacing=1.25)
    return figure


def _panel(
    axes: Axes, env: str, here: Sequence[Entry], bands: Sequence[Band], styles: dict[str, tuple[str, Any]]
) -> None:
    axes.set_title(_plain(env), loc="left")
    axes.set_xlabel("environment steps (thousands)")
    axes.set_ylabel("return")
    end = max(entry.run.at[-1] for entry in here) / 1000
    for i, (entry, band) in enumerate(zip(here, bands, strict=True)):
        colour, dash = styles[entry.label]
        x = entry.run.at / 1000
        axes.fill_between(x, band.low, band.high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(x, band.value, color=colour, linestyle=dash)
        place, final = end * (1.03 + 0.025 * i), iqm_interval([entry.run.final()])
        axes.vlines(place, final.low, final.high, color=colour, linewidth=1.6)
        axes.plot(place, final.value, color=colour, marker="o", markersize=3.2)
    axes.set_xlim(0, end * (1.03 + 0.025 * len(here)))
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, end)
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= end])


def _plain(text: str) -> str:
    """Escape dollar signs in a text, which Matplotlib would otherwise typeset as a formula."""
    return text.replace("$", r"\$")


def _styles(named: Sequence[Entry]) -> dict[str, tuple[str, Any]]:
    """Assign a colour and a dash pattern to each algorithm, the same in every panel."""
    labels = dict.fromkeys(entry.label for entry in named)
    return dict(zip(labels, zip(cycle(OKABE_ITO), cycle(DASHES), strict=False), strict=False))


def _caption(named: Sequence[Entry]) -> str:
    counts = sorted({len(entry.run.seeds) for entry in named})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    fewer = ", or of all where there are fewer" if min(len(entry.run.at) for entry in named) < LAST else ""
    return (
        f"Deterministic evaluation, unscaled returns. Line: interquartile mean over {seeds} "
        f"seed{'' if seeds == '1' else 's'}, smoothed over windows of {100 // SMOOTHED} % of the curve. "
        f"Bar on the right: final return, the mean of the last {LAST} evaluations{fewer}. "
        "Band and bar: 95 % bootstrap interval, pointwise."
    )
