"""Write a study's report: `index.html`, readable without network or scripts, and the same as Markdown."""

import base64
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from virel_common.files import storing, write_atomically
from virel_deep.results.curves import draw, styles_of
from virel_deep.results.names import environments
from virel_deep.results.tables import as_markdown
from virel_deep.study.report import Contents, Part, scores_csv
from virel_deep.study.scores import entries_of

MARKS = {"supported": "✓", "contradicted": "✗", "not decided": "○", "not decided yet": "…"}


def write_report(contents: Contents, folder: Path) -> list[Path]:
    """Write a study's report (HTML, Markdown, tables, curves) into a folder; return the main files' paths.

    `table.md` and `scores.csv` depend on scores alone: a study that was interrupted and continued gives the
    same bytes as one that was not. `report.md` and `index.html` add cost and circumstances.

    Raises:
        StorageError: the folder can't be written.
    """
    _make(folder)
    figures = {}
    entries = entries_of(contents.results)
    drawn = {entry.label for entry in entries}
    styles = styles_of(arm for arm in contents.study.arms if arm in drawn)  # there are seven colours
    for env, here in environments(entries).items():
        place = folder / re.sub(r"[/, =]+", "-", env)
        _make(place)
        draw(here, place, styles=styles)
        figures[env] = place / "curves.svg"
    texts = {
        "table.md": markdown(contents, contents.parts),
        "scores.csv": scores_csv(contents.study, contents.results),
        "report.md": markdown(contents, (*contents.parts, *contents.circumstances)),
        "index.html": html(contents, {env: _data_uri(path) for env, path in figures.items()}),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in texts]


def markdown(contents: Contents, parts: tuple[Part, ...]) -> str:
    """Format sections of a study's report as Markdown."""
    pieces = [f"# {contents.study.title}", contents.progress]
    for part in parts:
        pieces += [f"## {part.title}", part.lead, as_markdown(part.tables, part.remarks).strip()]
    return "\n\n".join(filter(None, pieces)) + "\n"


def html(contents: Contents, figures: dict[str, str]) -> str:
    """Format a study's report as one HTML page; `figures` maps environments to data URIs of their curves."""
    page: str = _template().render(
        study=contents.study,
        contents=contents,
        decisions=contents.decisions,
        figures=figures,
        marks=MARKS,
        sha256=contents.record.plans[-1].sha256,
    )
    return page


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _make(folder: Path) -> None:
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("virel_deep.study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")
