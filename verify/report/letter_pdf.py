"""The letter as a PDF: to the authors of VIREL, and on a page of its own to those of the design paper."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from verify.report.letter import Entry, Letter, Misprint, quoted
from verify.report.pdf_pages import Block, Columns, write_pages
from verify.report.typeset import typeset

RUST, GREEN = "#8a3200", "#00573f"
SMALL = 6.8
COLUMNS = ((0.0, 112.0), (116.0, 302.0), (306.0, 483.0))
"""Left and right ends of the columns of the table of misprints, in points from the margin."""


def write_letter_pdf(found: Letter, path: Path) -> int:
    """Write the letter to the PDF file `path`; return its number of pages."""
    return write_pages(list(blocks(found)), path, title=found.title)


def blocks(found: Letter) -> Iterator[Block | Columns]:
    """Paragraphs, code and table rows of the letter, in order."""
    yield Block(found.title, size=16, weight="bold", above=0)
    yield Block(f"{found.to} {found.summary}", above=6)
    for title, text in found.paragraphs:
        yield Block(f"{title}. {text}", above=4)
    yield _heading("Corrections")
    for number, entry in enumerate(found.corrections, start=1):
        yield from _entry(entry, f"{number}. ")
    yield _heading("Conclusions that stand, with a hypothesis or a step to add")
    for number, entry in enumerate(found.completions, start=len(found.corrections) + 1):
        yield from _entry(entry, f"{number}. ")
    yield _heading("Misprints and notation")
    yield from _table(found.misprints)
    yield _heading("Remarks, not errors")
    for text in found.remarks:
        yield Block(f"- {text}", above=2)
    yield Block(found.design_title, size=12.5, weight="bold", page=True)
    yield Block(found.design_text, above=4)
    for entry in found.design:
        yield from _entry(entry, "")
    yield _heading("Misprints and notation")
    yield from _table(found.design_misprints)


def _heading(text: str) -> Block:
    return Block(text, size=12, weight="bold", above=11, keep=True)


def _entry(entry: Entry, number: str) -> Iterator[Block]:
    yield Block(f"{number}{typeset(entry.title)}", size=9.5, weight="bold", above=6, keep=True)
    for quote in entry.quotes:
        yield Block(f"{quoted(quote)} ({quote.where})", indent=10, colour=RUST, above=2)
    if entry.reading:
        yield Block(f"Our reading. {entry.reading}", above=2)
    yield Block(entry.wrong, above=2)
    yield Block(entry.example, size=6.3, code=True, indent=10, above=3)
    yield Block(entry.prints, size=6.3, code=True, indent=10, above=2, colour="#555555")
    yield Block(f"Instead. {entry.instead}", colour=GREEN, above=3)


def _table(rows: Sequence[Misprint]) -> Iterator[Columns]:
    yield _row(("place", "printed", "read"), weight="bold")
    for row in rows:
        yield _row((row.where, row.printed, row.read))


def _row(texts: Sequence[str], *, weight: str = "normal") -> Columns:
    cell = Block("", size=SMALL, weight=weight)
    cells = (
        replace(cell, text=text, indent=left, width=right)
        for text, (left, right) in zip(texts, COLUMNS, strict=True)
    )
    return Columns(tuple(cells), above=0.4)
