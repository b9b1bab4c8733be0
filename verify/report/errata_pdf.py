"""Errata of the VIREL paper as a PDF for its authors, typeset by matplotlib without a browser or TeX."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from verify.engine.describe import in_short
from verify.engine.results import Row
from verify.report.latex import mathtext, pieces, upright
from verify.report.typeset import typeset
from virel_common.files import atomic_file
from virel_common.plot_style import style

WIDTH, HEIGHT = 595.3, 841.9  # points: A4
MARGIN, INDENT = 64.0, 14.0
SIZE, LEADING = 10.0, 14.0
STYLE: dict[Any, Any] = {"font.family": "STIXGeneral", "mathtext.fontset": "stix", "pdf.fonttype": 42}
TITLE = "Errata of VIREL's theory"
FALSE = ("REFUTED", "GAP")
OTHERS = "Marino"
"""Word in the sources of claims about a paper by other authors."""
_INLINE = re.compile(r"(\$\$[^$]+\$\$|\$[^$]+\$)")
_MARKS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|`([^`]*)`")


@dataclass(frozen=True)
class Block:
    """Paragraph of the errata PDF: text with formulas `$...$`, font size and weight, spacing, colour."""

    text: str
    size: float = SIZE
    weight: str = "normal"
    indent: float = 0.0
    above: float = 2.0
    colour: str = "#000000"
    keep: bool = False
    """Whether the paragraph must not be left alone at the foot of a page."""


@dataclass(frozen=True)
class _Word:
    text: str
    width: float
    height: float
    depth: float
    space: bool
    """Whether a space may stand before the word."""


def write_errata_pdf(document: dict[str, Any], path: Path) -> None:
    """Write the errata (claims found REFUTED or GAP) of a `results.json` document to the PDF file `path`."""
    with style(STYLE):
        metadata = {"Title": TITLE, "CreationDate": None, "Producer": None, "Creator": None}
        with atomic_file(path) as file, PdfPages(file, metadata=metadata) as pdf:
            for number, page in enumerate(_pages(list(_blocks(document))), start=1):
                _line(
                    page, [_word(str(number), Block("", size=8))], (WIDTH / 2, HEIGHT - 36), Block("", size=8)
                )
                pdf.savefig(page)


def _blocks(document: dict[str, Any]) -> Iterator[Block]:
    rows = [row for row in document["claims"] if row["verdict"] in FALSE and OTHERS not in row["source"]]
    yield Block(TITLE, size=17, weight="bold", above=0)
    yield Block(
        "Printed statements of “VIREL: A Variational Inference Framework for Reinforcement Learning” "
        "(Fellows, Mahajan, Rudner, Whiteson, 2019), of its appendix and of its talk, that are false "
        "(REFUTED), or whose printed proof has a false step although the conclusion holds (GAP). Each comes "
        "with the smallest counterexample that a search found, to be checked by hand, and with what holds "
        "instead, which is itself checked. Arrays: transition [state][action][next state], reward and tables "
        f"[state][action]. Made by the VIREL toolkit from seed {document['seed']}; {len(rows)} entries.",
        above=8,
    )
    for row in rows:
        yield from _entry(row)


def _entry(row: Row) -> Iterator[Block]:
    heading = f"{typeset(row['source'])}: {typeset(row['title'])} ({row['verdict']})"
    yield Block(heading, size=11.5, weight="bold", above=16, keep=True)
    if row["verdict"] == "REFUTED":
        yield from _statement("Printed.", row["statement"], row["counterexample"])
        yield from _instead("Instead.", row["corrected"])
    for step in row["steps"]:
        if not step["ok"]:
            words = f"Printed, step “{typeset(step['name'])}”."
            yield from _statement(words, step["statement"], step["counterexample"])
            yield from _instead("Instead.", step["repaired"])


def _statement(words: str, latex: str, instance: dict[str, Any] | None) -> Iterator[Block]:
    yield Block(words, colour="#8a3200", above=6, keep=True)
    yield Block(f"${latex}$", indent=INDENT, above=3, size=SIZE + 0.5)
    if instance is not None:
        yield Block(f"False on: {in_short(instance, width=700)}.", above=4, indent=INDENT, size=SIZE - 1)


def _instead(words: str, offered: Row | None) -> Iterator[Block]:
    if offered is None:
        return
    yield Block(words, colour="#00573f", above=6, keep=True)
    yield Block(f"${offered['statement']}$", indent=INDENT, above=3, size=SIZE + 0.5)
    for paragraph in re.split(r"\n\s*\n", offered["derivation"].strip()):
        for part in re.split(r"(\$\$[^$]+\$\$)", paragraph):
            if part.strip():
                yield Block(part.strip(), above=4, indent=INDENT * (2 if part.startswith("$$") else 1))


def _pages(blocks: Sequence[Block]) -> Iterator[Canvas]:
    page, y = _page(), MARGIN
    for i, block in enumerate(blocks):
        lines = list(_lines(block))
        needed = _line_height(lines[0]) + (5 * LEADING if block.keep else 0)
        if y + block.above + needed > HEIGHT - MARGIN and i > 0:
            yield page
            page, y = _page(), MARGIN
        y += block.above
        for line in lines:
            if y + _line_height(line) > HEIGHT - MARGIN:
                yield page
                page, y = _page(), MARGIN
            ascent = max(LEADING * 0.72, max(word.height - word.depth for word in line) + 2)
            _line(page, line, (MARGIN + block.indent, y + ascent), block)
            y += _line_height(line)
    yield page


def _line_height(line: Sequence[_Word]) -> float:
    above, below = max(w.height - w.depth for w in line), max(w.depth for w in line)
    return max(LEADING, max(LEADING * 0.72, above + 2) + max(LEADING * 0.28, below + 2))


def _lines(block: Block) -> Iterator[list[_Word]]:
    """Break a paragraph of the errata PDF into lines, no wider than the text area of the page."""
    room = WIDTH - 2 * MARGIN - block.indent
    line: list[_Word] = []
    used = 0.0
    for word in _words(block):
        gap = _space(block.size) if line and word.space else 0.0
        if line and used + gap + word.width > room:
            yield line
            line, used, gap = [], 0.0, 0.0
        line.append(word)
        used += gap + word.width
    if line:
        yield line


def _words(block: Block) -> Iterator[_Word]:
    space = False
    for part in _INLINE.split(block.text):
        if part.startswith("$"):
            formula = part.strip("$")
            for i, piece in enumerate(pieces(upright(formula))):
                yield _word(f"${mathtext(piece)}$", block, space=space if i == 0 else True)
            space = False
        elif part:
            space = space or part[0].isspace()
            for word in _MARKS.sub(r"\1\2", part).split():
                yield _word(word, block, space=space)
                space = True
            space = part[-1].isspace()


@cache
def _measure(text: str, size: float, weight: str) -> tuple[float, float, float]:
    font = FontProperties(family="STIXGeneral", size=size, weight=weight)
    shown = text if text.startswith("$") else text.replace("$", r"\$")
    width, height, depth = TextToPath().get_text_width_height_descent(
        shown, font, ismath=text.startswith("$")
    )
    return float(width), float(height), float(depth)


def _word(text: str, block: Block, *, space: bool = False) -> _Word:
    return _Word(text, *_measure(text, block.size, block.weight), space)


def _space(size: float) -> float:
    return 0.26 * size


def _page() -> Canvas:
    return Canvas(figsize=(WIDTH / 72, HEIGHT / 72))


def _line(page: Canvas, line: Sequence[_Word], at: tuple[float, float], block: Block) -> None:
    x, y = at
    for i, word in enumerate(line):
        x += _space(block.size) if i and word.space else 0.0
        style: dict[str, Any] = {
            "size": block.size,
            "weight": block.weight,
            "color": block.colour,
            "va": "baseline",
        }
        page.text(x / WIDTH, 1 - y / HEIGHT, word.text, parse_math=word.text.startswith("$"), **style)
        x += word.width
