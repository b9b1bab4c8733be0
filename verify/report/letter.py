"""The letter to the authors, `docs/errata.md`: its entries as data, and as Markdown.

The texts are ordered by hand and stand in `verify/report/letter/*.toml`. Of the rows of `misprints.toml` the
letter has those of the kind `misprint`, and says how many more the full record has. What is claimed is
checked by the claims that are named, quotations and examples by tests. No verdict of the registry appears.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SOURCES = {"appendix": "App.", "talk": "Talk,", "poster": "Poster,", "design": "Section"}
"""Word before the place of a quotation or a misprint, by the source's name in the data."""


@dataclass(frozen=True)
class Quote:
    """Verbatim quotation: source, place in it, first line in the source's text, and what is printed there."""

    source: str
    place: str
    line: int
    text: str
    """Words as printed."""
    formula: str = ""
    """Formula in LaTeX, transcribed where the conversion of the PDF garbled it."""

    @property
    def where(self) -> str:
        """Place of the quotation for readers, with the line of the appendix's text layer."""
        line = f" [{self.line}]" if self.source == "appendix" else ""
        return f"{SOURCES[self.source]} {self.place}{line}"


@dataclass(frozen=True)
class Entry:
    """Entry of the letter: quotations, what is wrong, an example that runs, and what to write instead."""

    title: str
    claims: tuple[str, ...]
    quotes: tuple[Quote, ...]
    wrong: str
    example: str
    """Python with numpy and scipy alone, at most ten lines."""
    prints: str
    """What the example prints."""
    instead: str
    reading: str = ""
    """How the quotation is read, where that is not plain from it."""


@dataclass(frozen=True)
class Misprint:
    """Place in a source: where it is, what is printed there, how to read it, and its kind."""

    source: str
    place: str
    printed: str
    read: str
    kind: str
    note: str
    claims: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Place of the misprint for readers."""
        return f"{SOURCES[self.source]} {self.place}"


@dataclass(frozen=True)
class Letter:
    """The whole letter: to the authors of VIREL, and apart from it to those of the design paper."""

    title: str
    to: str
    summary: str
    counts: str
    """Sentences on what the summary counts, for readers who have the full record; the PDF leaves them out."""
    paragraphs: tuple[tuple[str, str], ...]
    corrections: tuple[Entry, ...]
    completions: tuple[Entry, ...]
    misprints: tuple[Misprint, ...]
    more: str
    """Sentence on the places that only the full record lists."""
    remarks: tuple[str, ...]
    remark_claims: tuple[str, ...]
    design_title: str
    design_text: str
    design: tuple[Entry, ...]
    design_misprints: tuple[Misprint, ...]


@cache
def letter() -> Letter:
    """The letter, read from its data files."""
    head, design = _data("preamble"), _data("design")
    corrections, completions = (tuple(map(_entry, _data(x)["entry"])) for x in ("corrections", "completions"))
    rows = tuple(row for row in misprints() if row.kind == "misprint")
    ours = tuple(row for row in rows if row.source != "design")
    more = sum(row.source != "design" for row in misprints()) - len(ours)
    counts = {"corrections": len(corrections), "completions": len(completions), "misprints": len(ours)}
    claims = {"correction_claims": _claims(corrections), "completion_claims": _claims(completions)}
    return Letter(
        title=head["title"],
        to=head["to"],
        summary=head["summary"].format(**counts),
        counts=head["counts"].format(**counts, **claims),
        paragraphs=tuple((x["title"], x["text"]) for x in head["paragraph"]),
        corrections=corrections,
        completions=completions,
        misprints=ours,
        more=head["more"].format(more=more),
        remarks=tuple(x["text"] for x in head["remark"]),
        remark_claims=tuple(claim for x in head["remark"] for claim in x.get("claims", ())),
        design_title=design["title"],
        design_text=design["text"],
        design=tuple(map(_entry, design["entry"])),
        design_misprints=tuple(row for row in rows if row.source == "design"),
    )


@cache
def misprints() -> tuple[Misprint, ...]:
    """All rows of `misprints.toml`, of every kind, in the order of the sources."""
    rows = _data("misprints")["entry"]
    return tuple(Misprint(**row | {"claims": tuple(row.get("claims", ()))}) for row in rows)


def _claims(entries: tuple[Entry, ...]) -> int:
    """Number of claims that entries gather."""
    return sum(len(entry.claims) for entry in entries)


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / "letter" / f"{name}.toml").read_text())


def _entry(data: dict[str, Any]) -> Entry:
    texts = {key: data[key].strip("\n") for key in ("example", "prints")}
    quotes = tuple(Quote(**quote) for quote in data["quote"])
    rest = {key: data[key] for key in ("title", "wrong", "instead")} | {"reading": data.get("reading", "")}
    return Entry(claims=tuple(data["claims"]), quotes=quotes, **texts, **rest)


def letter_markdown(found: Letter) -> str:
    """Markdown text of the letter, for docs/errata.md."""
    return "\n\n".join(_markdown(found)) + "\n"


def _markdown(found: Letter) -> Iterator[str]:
    yield f"# {found.title}"
    yield "<!-- Written by `virel explain --errata docs/errata.md` from verify/report/letter/. -->"
    yield f"{found.to} {found.summary}"
    yield f"**What is counted.** {found.counts}"
    for title, text in found.paragraphs:
        yield f"**{title}.** {text}"
    yield "## Corrections"
    for number, entry in enumerate(found.corrections, start=1):
        yield from _entry_markdown(entry, f"{number}. ")
    yield "## Conclusions that stand, with a hypothesis or a step to add"
    for number, entry in enumerate(found.completions, start=len(found.corrections) + 1):
        yield from _entry_markdown(entry, f"{number}. ")
    yield "## Misprints and notation"
    yield _table(found.misprints)
    yield found.more
    yield "## Remarks, not errors"
    yield "\n".join(f"- {text}" for text in found.remarks)
    yield f"## {found.design_title}"
    yield found.design_text
    for entry in found.design:
        yield from _entry_markdown(entry, "")
    yield _table(found.design_misprints)
    yield "The full record, with every check and derivation, is in [claims/](claims/README.md)."


def _entry_markdown(entry: Entry, number: str) -> Iterator[str]:
    yield f"### {number}{entry.title}"
    for quote in entry.quotes:
        yield f"> {quoted(quote)} ({quote.where})"
    if entry.reading:
        yield f"*Our reading.* {entry.reading}"
    yield entry.wrong
    yield f"```python\n{entry.example}\n```"
    yield f"```\n{entry.prints}\n```"
    yield f"*Instead.* {entry.instead}"


def quoted(quote: Quote) -> str:
    """Words and formula of a quotation, in this order; words in LaTeX, as on slides, become a formula."""
    words = f"${quote.text}$" if quote.text.startswith("\\") else f'"{quote.text}"' if quote.text else ""
    return f"{words} {quote.formula}".strip()


def _table(rows: tuple[Misprint, ...]) -> str:
    lines = ["| place | printed | read |", "| --- | --- | --- |"]
    for row in rows:
        cells = (row.where, row.printed, row.read)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)
