"""Paragraphs, code and table rows on A4 pages of a PDF, typeset by matplotlib without a browser or TeX."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

from verify.report.latex import mathtext, pieces, upright
from virel_common.files import atomic_file
from virel_common.plot_style import style

WIDTH, HEIGHT = 595.3, 841.9  # points: A4
MARGIN, TOP = 56.0, 46.0
SERIF, MONO = "STIXGeneral", "DejaVu Sans Mono"
STYLE: dict[Any, Any] = {"font.family": SERIF, "mathtext.fontset": "stix", "pdf.fonttype": 42}
_INLINE = re.compile(r"(\$\$[^$]+\$\$|\$[^$]+\$)")
_MARKS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|`([^`]*)`")


@dataclass(frozen=True)
class Block:
    """Paragraph with formulas `$...$`, or code, which is broken nowhere: font, indent, spacing, colour."""

    text: str
    size: float = 8.6
    weight: str = "normal"
    indent: float = 0.0
    above: float = 2.0
    colour: str = "#000000"
    keep: bool = False
    """Whether the paragraph must not be left alone at the foot of a page."""
    code: bool = False
    width: float = WIDTH - 2 * MARGIN
    """Room for indent and text, from the margin on."""
    page: bool = False
    """Whether a new page starts with the paragraph."""


@dataclass(frozen=True)
class Columns:
    """Row of a table: a paragraph for each cell, side by side, each with the indent of its column."""

    cells: tuple[Block, ...]
    above: float = 2.0
    keep: bool = False
    page: bool = False


@dataclass(frozen=True)
class _Word:
    text: str
    width: float
    height: float
    depth: float
    space: bool
    """Whether a space may stand before the word."""


_Strip = list[tuple[Block, list[_Word]]]
"""What stands on one baseline: a line of a paragraph, or one of each cell of a row."""


_Placed = tuple[Block, list[_Word], tuple[float, float]]
"""Line of a paragraph or cell, and where on the page its baseline starts, in points from the top left."""


def write_pages(blocks: Sequence[Block | Columns], path: Path, *, title: str) -> int:
    """Write paragraphs and table rows to the PDF file `path`; return its number of pages."""
    with style(STYLE):
        pages = layout(blocks)
        metadata = {"Title": title, "CreationDate": None, "Producer": None, "Creator": None}
        with atomic_file(path) as file, PdfPages(file, metadata=metadata) as pdf:
            for number, placed in enumerate(pages, start=1):
                page, foot = Canvas(figsize=(WIDTH / 72, HEIGHT / 72)), Block("", size=8)
                _draw(page, foot, [_word(str(number), foot)], (WIDTH / 2, HEIGHT - 28))
                for block, line, at in placed:
                    _draw(page, block, line, at)
                pdf.savefig(page)
    return len(pages)


def layout(blocks: Sequence[Block | Columns]) -> list[list[_Placed]]:
    """Break paragraphs and table rows into pages: for each, its lines and where they stand."""
    pages: list[list[_Placed]] = [[]]
    y = TOP
    for i, block in enumerate(blocks):
        strips = list(_strips(block))
        whole = isinstance(block, Block) and block.code
        needed = sum(map(_height, strips if whole else strips[:1])) + (60 if block.keep else 0)
        if i > 0 and (block.page or y + block.above + needed > HEIGHT - TOP):
            pages.append([])
            y = TOP
        y += block.above if y > TOP else 0
        for strip in strips:
            if y + _height(strip) > HEIGHT - TOP:
                pages.append([])
                y = TOP
            pages[-1] += [(cell, line, (MARGIN + cell.indent, y + _ascent(strip))) for cell, line in strip]
            y += _height(strip)
    return pages


def _strips(block: Block | Columns) -> Iterator[_Strip]:
    cells = block.cells if isinstance(block, Columns) else (block,)
    for lines in zip_longest(*(_lines(cell) for cell in cells), fillvalue=[]):
        yield list(zip(cells, lines, strict=True))


def _leading(block: Block) -> float:
    return (1.2 if block.code else 1.26) * block.size


def _ascent(strip: _Strip) -> float:
    inked = [word.height - word.depth + 1.5 for _, line in strip for word in line]
    return max([0.75 * _leading(cell) for cell, _ in strip] + inked)


def _height(strip: _Strip) -> float:
    depths = [word.depth + 1.5 for _, line in strip for word in line]
    leading = max(_leading(cell) for cell, _ in strip)
    return max(leading, _ascent(strip) + max([0.25 * leading, *depths]))


def _lines(block: Block) -> Iterator[list[_Word]]:
    """Break a paragraph into lines, no wider than its room."""
    if block.code:
        yield from ([_word(line or " ", block)] for line in block.text.split("\n"))
        return
    room = block.width - block.indent
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
def _measure(text: str, size: float, weight: str, family: str) -> tuple[float, float, float]:
    font = FontProperties(family=family, size=size, weight=weight)
    shown = text if text.startswith("$") else text.replace("$", r"\$")
    width, height, depth = TextToPath().get_text_width_height_descent(
        shown, font, ismath=text.startswith("$")
    )
    return float(width), float(height), float(depth)


def _family(block: Block) -> str:
    return MONO if block.code else SERIF


def _word(text: str, block: Block, *, space: bool = False) -> _Word:
    return _Word(text, *_measure(text, block.size, block.weight, _family(block)), space)


def _space(size: float) -> float:
    return 0.26 * size


def _draw(page: Canvas, block: Block, line: Sequence[_Word], at: tuple[float, float]) -> None:
    x, y = at
    for i, word in enumerate(line):
        x += _space(block.size) if i and word.space else 0.0
        look: dict[str, Any] = {
            "size": block.size,
            "weight": block.weight,
            "color": block.colour,
            "va": "baseline",
            "family": _family(block),
        }
        page.text(x / WIDTH, 1 - y / HEIGHT, word.text, parse_math=word.text.startswith("$"), **look)
        x += word.width
