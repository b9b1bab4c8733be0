"""Font inside the report page: mathematical glyphs that a reader's machine may lack, a subset of STIX.

STIX, which has script letters among others, is the font that matplotlib ships.
"""

import base64
import io
import re
from functools import cache

import matplotlib as mpl
from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

_RANGES = ((0x20, 0x7F), (0x391, 0x3F6), (0x210E, 0x210F), (0x1D434, 0x1D468), (0x1D6E2, 0x1D71C))
LETTERS = tuple(code for first, end in _RANGES for code in range(first, end))
"""Code points of upright Latin and Greek, and of the italics that browsers draw for one-letter names."""


def math_font(html: str) -> str:
    """TrueType font, in base64, with mathematical letters and all symbols that an HTML page contains.

    The same page gives the same font.
    """
    named = {chr(int(code, 16)) for code in re.findall(r"&#x([0-9A-F]+);", html)}
    symbols = {char for char in {*html, *named} if ord(char) >= 0x2000}
    return _subset(frozenset(symbols | set(map(chr, LETTERS))))


@cache
def _subset(characters: frozenset[str]) -> str:
    options = subset.Options(notdef_outline=True, recalc_timestamp=False, layout_features=[])
    options.drop_tables += ["FFTM"]
    options.name_IDs = [0, 13, 14]  # copyright and licence stay with the font
    font = TTFont(f"{mpl.get_data_path()}/fonts/ttf/STIXGeneral.ttf", recalcTimestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=sorted(map(ord, characters)))
    cutter.subset(font)
    out = io.BytesIO()
    font.save(out)
    return base64.b64encode(out.getvalue()).decode()
