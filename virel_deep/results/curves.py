"""Learning curves as a figure: one panel per environment, one colour and dash pattern per algorithm.

Dashes tell the curves apart in grey. The same runs give the same bytes.
"""

import csv
import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
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


Style = tuple[str, Any]
"""Colour and dash pattern of an algorithm's curves."""


def draw(named: Sequence[Entry], folder: Path, *, styles: Mapping[str, Style] | None = None) -> list[Path]:
    """Draw the learning curves: write `curves.svg`, `curves.png` and `curves.csv`; return the paths.

    A curve is the IQM over seeds, smoothed over windows of 5 % of the curve; its band is the pointwise
    bootstrap interval. The bars beside the curves are the final returns of each curve's end.

    Args:
        named: what is drawn.
        folder: where the files are written.
        styles: colour and dashes of each label, for several figures that share them; None: `styles_of` these.

    Raises:
        StorageError: a file in `folder` can't be written.
    """
    bands = [band_of(entry.run) for entry in named]
    styles = styles or styles_of(entry.label for entry in named)
    paths = [folder / "curves.csv"]
    write_atomically(paths[0], csv_of(named, bands).encode())
    with style(STYLE):
        figure = _figure(named, bands, styles)
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


def _figure(named: Sequence[Entry], bands: Sequence[Band], shared: Mapping[str, Style]) -> Figure:
    groups = environments(named)
    styles = {entry.label: shared[entry.label] for entry in named}
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
    axes: Axes, env: str, here: Sequence[Entry], bands: Sequence[Band], styles: Mapping[str, Style]
) -> None:
    axes.set_title(_plain(env), loc="left")
    axes.set_xlabel("environment steps (thousands)")
    axes.set_ylabel("return")
    end = max(entry.run.at[-1] for entry in here) / 1000
    for i, (entry, band) in enumerate(zip(here, bands, strict=True)):
        colour, dash = styles[entry.label]
        x = entry.run.at / 1000
        axes.fill_between(x, band.low, band.high, color=colour, alpha=0.12, linewidth=0)
        marker = "o" if len(x) == 1 else None  # a line through one point is invisible
        axes.plot(x, band.value, color=colour, linestyle=dash, marker=marker, markersize=3.2)
        place, final = end * (1.03 + 0.025 * i), iqm_interval([entry.run.final()])
        axes.vlines(place, final.low, final.high, color=colour, linewidth=1.6)
        axes.plot(place, final.value, color=colour, marker="o", markersize=3.2)
    axes.set_xlim(0, end * (1.03 + 0.025 * len(here)))
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, end)
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= end])


def _plain(text: str) -> str:
    """Escape dollar signs in a text, which Matplotlib would otherwise typeset as a formula."""
    return text.replace("$", r"\$")


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """Assign a colour and a dash pattern to each algorithm, the same in every panel and figure.

    Example:
        >>> styles_of(["sac", "td3", "sac"])["td3"] == styles_of(["sac", "td3"])["td3"]
        True
    """
    different = dict.fromkeys(labels)
    return dict(zip(different, zip(cycle(OKABE_ITO), cycle(DASHES), strict=False), strict=False))


def _caption(named: Sequence[Entry]) -> str:
    counts = sorted({len(entry.run.seeds) for entry in named})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    fewer = ", or of all where there are fewer" if min(len(entry.run.at) for entry in named) < LAST else ""
    bars = "; curves end at different steps, and their bars with them" if _ends_differ(named) else ""
    return (
        f"{_acting(named)} Unscaled returns. Line: interquartile mean over {seeds} "
        f"seed{'' if seeds == '1' else 's'}, smoothed over windows of {100 // SMOOTHED} % of the curve. "
        f"Bar on the right: final return, the mean of the last {LAST} evaluations{fewer}{bars}. "
        "Band and bar: 95 % bootstrap interval, pointwise."
    )


def _ends_differ(named: Sequence[Entry]) -> bool:
    """Whether curves in one environment end at different steps."""
    return any(len({int(one.run.at[-1]) for one in here}) > 1 for here in environments(named).values())


def _acting(named: Sequence[Entry]) -> str:
    """Sentence on how the policies of the runs acted when they were evaluated, as far as the runs tell."""
    ways: dict[str, list[str]] = {}
    for entry in named:
        labels = ways.setdefault(_way(entry.run), [])
        labels += [entry.label] * (entry.label not in labels)
    if len(ways) == 1:
        return f"{next(iter(ways))}."
    return "; ".join(f"{way}: {', '.join(labels)}" for way, labels in ways.items()) + "."


def _way(run: Run) -> str:
    """How a run's policy acted when it was evaluated."""
    if not isinstance(run.settings.get("algorithm"), dict):
        return "Evaluation as in its own library"
    if run.settings.get("eval_stochastic"):
        return "Evaluation with exploring actions"
    planned = run.settings.get("posterior") == "smc"
    return "Evaluation by planning with random numbers" if planned else "Deterministic evaluation"
