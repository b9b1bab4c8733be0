"""Style of every figure: colours that the colour-blind can tell apart, thin grids, reproducible bytes.

Matplotlib is imported only when a style is applied. The same data give the same bytes, whatever the date and
the user's own settings.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
"""Colours of Okabe and Ito (2008), in the order in which curves take them."""
DPI = 200
"""Resolution of PNG files, in dots per inch."""
STYLE: dict[str, Any] = {
    "font.size": 8.0,
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "virel",  # ids of SVG elements; random otherwise
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
    "path.simplify": False,
}
"""Matplotlib settings that all plots share."""
UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
"""Metadata by file format: without date and program, so that equal figures have equal bytes."""


@contextmanager
def style(settings: Mapping[Any, Any]) -> Iterator[None]:
    """Draw inside the block with exactly the given Matplotlib settings, whatever the user's own are."""
    import matplotlib as mpl  # noqa: PLC0415  (slow to import)

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield
