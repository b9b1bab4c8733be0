"""Convert the claims' LaTeX to MathML, and their Markdown (`code`, *emphasis*, $formulas$) to HTML."""

import re
import unicodedata
from html import escape

from latex2mathml.converter import convert
from markupsafe import Markup

from verify.report.latex import pieces, upright

_VARIANT = re.compile(r'<m([in]) mathvariant="(script|double-struck)">(\w)</m[in]>')
_RELATION = re.compile(r"<mi>(&#x0(?:27F9|27FA|21D2|2192|2190|21A6|2208|220B|2203|2200|221D|2286);)</mi>")
_PUNCTUATION = re.compile(r"<mi>([:;]|&#x000B1;)</mi>")
_WORDS = re.compile(r"\\text\s*\{([^}]* [^}]*)\}")
_FUNCTION = re.compile(
    r"(?<!<msup>)(?<!<msub>)(<mi>(?:log|exp|det|sup|inf)</mi>)(?!<mo stretchy=\"false\">&#x00028;)"
)
_PRIME = re.compile(r"<msup>(<m[in]>[^<]*</m[in]>)<mi>(&#x0203[23];)</mi></msup>")
_PRIME_AND_INDEX = re.compile(
    r"<msubsup>(<m[in]>[^<]*</m[in]>)((?:(?!</?msub|</?msup).)*?)<mi>(&#x0203[23];)</mi></msubsup>"
)
_LIMIT = re.compile(r"<mo>(max|min|lim|sup|inf)</mo>")
_INLINE = re.compile(r"(\$\$[^$]+\$\$|\$[^$]+\$|`[^`]+`)")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])")


def formula(latex: str, *, display: bool = False) -> Markup:
    """Convert a LaTeX formula to MathML with places for line breaks, or show its LaTeX if that fails."""
    css = "formula display" if display else "formula"
    try:
        row = "<wbr>".join(_piece(piece, display=display) for piece in pieces(upright(latex)))
    except Exception:  # the converter's own kinds; a report with one formula in LaTeX is better than none
        row = f'<code class="latex">{escape(latex)}</code>'
    return Markup(f'<span class="{css}">{row}</span>')


def _piece(latex: str, *, display: bool) -> str:
    words = _WORDS.fullmatch(latex)
    return _math(latex, display=display) if words is None else f"<span>{escape(words[1])}</span>"


def _math(latex: str, *, display: bool) -> str:
    out: str = convert(latex, display="block" if display else "inline")
    if "\\" in out or "<merror" in out:
        raise ValueError(f"a LaTeX formula must be convertible to MathML; found {latex!r}")
    style = ' displaystyle="true"' if display else ""
    head = f'<math alttext="{escape(latex)}"{style}'
    out = re.sub(r'<math [^>]*display="\w+"', lambda _: head, out, count=1)
    out = _VARIANT.sub(_letter, out)
    out = _RELATION.sub(r"<mo>\1</mo>", out.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"))
    out = _PUNCTUATION.sub(
        r"<mo>\1</mo>", out.replace("<mo>&#x0005E;</mo>", '<mo stretchy="false">&#x0005E;</mo>')
    )
    out = _FUNCTION.sub(r'\1<mspace width="0.16em"/>', out)
    out = out.replace("<mo>&#x0221E;</mo>", "<mi>&#x0221E;</mi>")
    prime = '<mo class="prime" lspace="0" rspace="0">'
    out = _PRIME.sub(rf"<mrow>\1{prime}\2</mo></mrow>", out)
    out = _PRIME_AND_INDEX.sub(rf"<msub><mrow>\1{prime}\3</mo></mrow>\2</msub>", out)
    return _LIMIT.sub(r'<mo lspace="0" rspace="0.16em" movablelimits="true">\1</mo>', out)


def _letter(match: re.Match[str]) -> str:
    """Replace a MathML letter marked script or double-struck by its Unicode character.

    Browsers ignore the attribute `mathvariant`.
    """
    kind, variant, letter = match.groups()
    name = unicodedata.name(letter).replace("LATIN ", "").replace(" LETTER", "")
    try:
        char = unicodedata.lookup(f"MATHEMATICAL {variant.upper()} {name}")
    except KeyError:  # those that Unicode had before, such as the script L
        char = unicodedata.lookup(f"{variant.upper()} {name}")
    return f"<m{kind}>{char}</m{kind}>"


def inline(text: str) -> Markup:
    """Convert one paragraph of Markdown (`code`, *emphasis*, $formulas$) to HTML."""
    parts = (_part(part) for part in _INLINE.split(text))
    return Markup("".join(parts))


def paragraphs(text: str) -> Markup:
    """Convert Markdown, with blank lines between its paragraphs, to HTML paragraphs."""
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block]
    return Markup("").join(Markup("<p>{}</p>").format(inline(block)) for block in blocks)


def _part(part: str) -> str:
    if part.startswith("$$"):
        return str(formula(part[2:-2], display=True))
    if part.startswith("$"):
        return str(formula(part[1:-1]))
    if part.startswith("`"):
        return f"<code>{escape(part[1:-1])}</code>"
    return _EMPHASIS.sub(r"<em>\1</em>", escape(part, quote=False))
