"""Report page `report.html` of a `virel verify` run: all verdicts, readable offline, no JavaScript.

It is a function of `results.json`, of the figures beside it and of the certificates, if there are any.
"""

import base64
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from verify.engine.claim import Kind
from verify.engine.results import DOCUMENT, ERROR, SCHEMA, Row, as_recorded, misfit
from verify.engine.sources import on_record
from verify.engine.verdict import Verdict, Weight
from verify.report import instances
from verify.report.headline import FALSE, counted, headline, title, weights
from verify.report.mathml import formula, inline, paragraphs
from verify.report.tables import number
from verify.report.typeset import typeset
from virel_common.errors import InputError
from virel_common.files import atomic_file

MEANINGS = {str(verdict): verdict.meaning for verdict in Verdict} | {ERROR: "a check raised an exception"}
SYMBOLS = {"CERTIFIED": "✓✓", "HOLDS": "✓", "REFUTED": "✗", "GAP": "◐", ERROR: "!"}


def write_report(out: Path) -> Path:
    """Write the report page `out/report.html` on the verdicts in `out/results.json`; return its path.

    Raises:
        InputError: if there are no results, or they cannot be read.
    """
    path = out / "report.html"
    html = render(read_results(out), out)
    with atomic_file(path) as file:
        file.write(html.encode(errors="replace"))
    return path


def read_results(out: Path) -> dict[str, Any]:
    """Read `out/results.json`, the verdicts of a `virel verify` run, and check its structure.

    Raises:
        InputError: if the file is missing, damaged, or written by another version.
    """
    path = out / "results.json"
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; run virel verify --out {out} first") from None
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and document.get("schema", SCHEMA) != SCHEMA:
        raise InputError(
            f"{path}: results written by another version of virel; run virel verify --out {out} again"
        )
    if where := misfit(document, DOCUMENT):
        raise InputError(
            f"{path}: part missing or of a wrong type: not from virel verify, or damaged, at {where}"
        )
    return cast("dict[str, Any]", document)


def render(document: dict[str, Any], out: Path) -> str:
    """HTML text of the report page on the content of a `results.json`, with figures found in `out`."""
    rows = document["claims"]
    counts = Counter(row["verdict"] for row in rows)
    html: str = _template().render(
        document=document,
        rows=rows,
        counts={name: counts[name] for name in MEANINGS if counts[name]},
        n_recorded=sum(map(as_recorded, rows)),
        n_instances=sum(row["instances"] for row in rows),
        headline=headline(rows),
        heading=title(rows),
        recorded=any(on_record(row["id"]) for row in rows),
        printed=any(row["kind"] == str(Kind.SOURCE) for row in rows),
        errata={weight: _errata(rows, weight) for weight in weights(rows)},
        figures={
            figure["name"]: _images(figure, out / "figures") for row in rows for figure in row["figures"]
        },
        certificates={row["id"]: _certificates(row, out) for row in rows},
    )
    from verify.report.fonts import math_font  # noqa: PLC0415  (fontTools and matplotlib are slow to import)

    return html.replace("@MATH_FONT@", math_font(html))


def _errata(rows: list[Row], weight: Weight) -> list[Row]:
    """Rows of printed statements that were found REFUTED or GAP, of one weight."""
    of_weight = [row for row in rows if row["weight"] == weight and row["kind"] == str(Kind.SOURCE)]
    return [row for row in of_weight if row["verdict"] in FALSE]


def _images(figure: dict[str, Any], folder: Path) -> dict[str, str] | None:
    """Wide and narrow SVG drawings of a claim's figure as data URIs; None if the figure was not drawn.

    Without a narrow drawing the wide one stands in its place.
    """
    wide, narrow = (folder / f"{figure['name']}{suffix}.svg" for suffix in ("", "-narrow"))
    if not wide.is_file():
        return None
    return {"wide": _data_uri(wide), "narrow": _data_uri(narrow if narrow.is_file() else wide)}


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _certificates(row: Row, out: Path) -> list[Row]:
    """Certificates listed in a claim's row of `results.json` whose files exist in `out/certificates`."""
    written = [found for found in row.get("certificates", ()) if found["file"]]
    return [found for found in written if (out / "certificates" / found["file"]).is_file()]


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("verify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "formula": formula,
        "display": lambda latex: formula(latex, display=True),
        "inline": inline,
        "title": lambda text: inline(typeset(text)),
        "paragraphs": paragraphs,
        "number": _numeral,
        "instance": instances.layout,
        "badge": _badge,
        "as_recorded": as_recorded,
        "counted": counted,
    }
    environment.globals["meanings"] = MEANINGS
    return environment.get_template("report.html.jinja")


def _badge(verdict: str) -> Markup:
    return Markup('<span class="verdict {}"><span aria-hidden="true">{}</span> {}</span>').format(
        verdict.lower(), SYMBOLS[verdict], verdict
    )


def _numeral(value: Any) -> Markup:
    """HTML of an error or a bound, where `1.2e-13` is written as a multiple of a power of ten."""
    text = number(value)
    mantissa, e, exponent = text.partition("e")
    if not e:
        return Markup("{}").format(text)
    if int(exponent) == 0:
        return Markup("{}").format(f"{float(mantissa):g}")
    return Markup("{}×10<sup>{}</sup>").format(f"{float(mantissa):g}", str(int(exponent)).replace("-", "−"))
