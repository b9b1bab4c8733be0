"""Tables of claims and of the verdicts on them, for the terminal and for docs/claims.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from verify.engine.claim import Claim, Kind, expected_verdict, kind_of
from verify.engine.results import ERROR, Row, as_recorded
from verify.report.headline import headline, title
from verify.report.record import addresses
from verify.report.sentence import sentence

COLOURS = {"CERTIFIED": "green", "HOLDS": "green", "REFUTED": "magenta", "GAP": "yellow", ERROR: "red"}
LOUD = "bold white on red"
CORRECTION_FAILS = "its correction, or the repair of one of its steps, fails its own check"


def verdict_table(rows: Sequence[Row], *, details: bool) -> Table:
    """Terminal table of checked claims: claim, source, verdict and weight, within 80 columns.

    With `details` also instances, error, bound, seconds, and what holds instead.
    """
    return _detailed(rows) if details else _short(rows)


def _short(rows: Sequence[Row]) -> Table:
    table = Table(title=title(rows), title_justify="left")
    table.add_column("claim", overflow="fold", max_width=32)
    table.add_column("source", overflow="fold", max_width=20)
    table.add_column("verdict", overflow="fold", max_width=20)
    for row in rows:
        table.add_row(Text(row["id"]), Text(row["source"]), _verdict(row))
    return table


def _detailed(rows: Sequence[Row]) -> Table:
    table = Table(title=title(rows), title_justify="left")
    for name in ("claim", "source", "verdict"):
        table.add_column(name, overflow="fold")
    for name in ("instances", "worst error", "bound", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("instead", overflow="fold")
    for row in rows:
        numbers = (str(row["instances"]), number(row["error"]), number(row["bound"]), f"{row['seconds']:.1f}")
        table.add_row(Text(row["id"]), Text(row["source"]), _verdict(row), *numbers, _instead(row))
    return table


def claims_table(claims: Iterable[Claim], *, details: bool) -> Table:
    """Terminal table of claims within 80 columns: id, title, verdict on record with its weight.

    With `details` also each claim's source, and as what it is counted.
    """
    table = Table(title="Claims and their verdicts on record", title_justify="left")
    widths = {"claim": 30, "title": 26, "on record": 14}
    for name in (*widths, *(("source", "counted as") if details else ())):
        table.add_column(name, overflow="fold", max_width=None if details else widths[name])
    for claim in claims:
        verdict = Text(str(claim.expected), style=COLOURS[claim.expected])
        verdict.append(f" {claim.weight}" if claim.weight else "", style="dim").append(
            _how(claim), style="dim"
        )
        more = (Text(claim.source), str(kind_of(claim))) if details else ()
        table.add_row(Text(claim.id), Text(claim.title), verdict, *more)
    return table


COUNTED = """\
Each line counts claims, whatever paper they are about. Where a statement does not hold as printed, its
weight says how much that matters: a *correction* changes the substance, a *completion* adds a hypothesis or
a step, a *misprint* is notation or typography, and a *remark* asks for nothing. [The letter](errata.md) has
other numbers, because it counts its own entries: an entry may gather several claims, its summary is about
VIREL alone, and its misprints are places of the source, most of them too small for a claim."""
"""Paragraph of docs/claims.md on what its counts are of."""


def claims_markdown(claims: Iterable[Claim]) -> str:
    """Markdown tables of claims for docs/claims.md, one for each kind, with their counts above.

    The verdict is CERTIFIED where `--certify` proves the claim. A claim on record leads to its page.
    """
    claims, pages = list(claims), addresses()
    parts = ["# All claims", "", *(f"- {line}" for line in headline([_on_record(claim) for claim in claims]))]
    parts += ["", COUNTED]
    for kind in Kind:
        those = [claim for claim in claims if kind_of(claim) is kind]
        if those:
            parts += [f"\n## Each a {kind}\n", "| claim | source | title | verdict | weight |"]
            parts += ["| --- | --- | --- | --- | --- |", *(_markdown_row(one, pages) for one in those)]
    return "\n".join(parts) + "\n"


def _on_record(claim: Claim) -> dict[str, str | None]:
    verdict = str(expected_verdict(claim))
    return {"kind": str(kind_of(claim)), "verdict": verdict, "weight": claim.weight and str(claim.weight)}


def _markdown_row(claim: Claim, pages: Mapping[str, str]) -> str:
    cells = (
        f"[`{claim.id}`](claims/{pages[claim.id]})" if claim.id in pages else f"`{claim.id}`",
        claim.source,
        claim.title,
        expected_verdict(claim) + _how(claim),
        claim.weight or "",
    )
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _how(claim: Claim) -> str:
    return " (--deep)" if claim.deep else ""


def findings(rows: Sequence[Row]) -> RenderableType:
    """Terminal text below the verdicts: counterexamples in short, then verdicts that are not on record."""
    return Group(*_counterexamples(rows), *_trouble(rows))


def number(value: Any) -> str:
    """Text of a check's error or bound: three digits, `-` for None, words such as `nan` unchanged.

    Minus zero is shown as zero.
    """
    return "-" if value is None else f"{value + 0.0:.2e}" if isinstance(value, float) else str(value)


def _verdict(row: Row) -> Text:
    text = Text(row["verdict"], style=COLOURS[row["verdict"]] if as_recorded(row) else LOUD)
    if row["verdict"] != row["expected"]:
        text.append(f" (on record: {row['expected']})", style=LOUD)
    elif row["weight"] is not None:
        text.append(f" {row['weight']}", style="dim")
    return text


def _instead(row: Row) -> Text:
    """Table cell on what holds instead of a claim: corrected form and repaired steps, with their verdicts."""
    parts = []
    if row["corrected"] is not None:
        parts.append(_checked("corrected form", row["corrected"]))
    for step in row["steps"]:
        if not step["ok"]:
            parts.append(Text(f"step fails: {step['name']}"))
            if step["repaired"] is not None:
                parts.append(_checked("repaired", step["repaired"]))
    return Text("\n").join(parts)


def _checked(name: str, checked: Row) -> Text:
    style = "green" if checked["verdict"] == "HOLDS" else LOUD
    text = Text(f"{name} ") + Text(checked["verdict"], style=style)
    return text.append(
        f" {number(checked['error'])} <= {number(checked['bound'])}" if style == "green" else ""
    )


def _counterexamples(rows: Sequence[Row]) -> list[Text]:
    return [
        Text(f"{row['id']}: ", style="magenta").append(
            sentence(row["counterexample"], width=240), style="default"
        )
        for row in rows
        if row["verdict"] == "REFUTED" and row["counterexample"] is not None
    ]


def _trouble(rows: Sequence[Row]) -> list[Text]:
    out = []
    for row in rows:
        if row["verdict"] == ERROR:
            out.append(Text(f"{row['id']}: ERROR: {row['exception']}", style=LOUD))
            if row["counterexample"] is not None:
                out.append(Text(f"  on {sentence(row['counterexample'], width=240)}"))
        elif row["verdict"] != row["expected"]:
            out.append(Text(f"{row['id']}: {row['verdict']}, but on record as {row['expected']}", style=LOUD))
        elif not as_recorded(row):
            out.append(Text(f"{row['id']}: {_failure(row)}", style=LOUD))
    return out


def _failure(row: Row) -> str:
    """What fails in a row whose verdict is the one on record."""
    unproved = [found["form"] for found in row.get("certificates", ()) if not found["ok"]]
    checks = [] if as_recorded(row | {"certificates": []}) else [CORRECTION_FAILS]
    return "; ".join([*checks, *(f"its form {form} was not proved" for form in unproved)])
