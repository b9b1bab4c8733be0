r"""Formulas as text for a terminal: `$\hat Q_\omega(h)$` becomes `Q̂_ω(h)`, by pylatexenc.

pylatexenc knows most symbols. Text on one line has no bars and no raised letters, so what it drops is put
back: brackets around the parts of a fraction, and around an index or exponent of more than one sign.
"""

import re
from functools import cache
from typing import Any

from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec, get_default_latex_context_db
from pylatexenc.latexwalker import LatexWalker
from pylatexenc.latexwalker import get_default_latex_context_db as get_walker_db
from pylatexenc.macrospec import MacroSpec

_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?")
_SIZES = re.compile(r"\\(?:[Bb]igg?[lr]?|left|right|displaystyle|textstyle|limits)(?![A-Za-z])")
_NAMES = ("log", "exp", "max", "min", "sup", "inf", "lim", "arg", "argmax", "argmin", "det", "tanh", "Var")
_SIGNS = {"nabla": "∇", "mathbf": "%s", "implies": "⟹", "iff": "⟺", "ne": "≠", "neq": "≠"}
_ATOM = re.compile(r"[\w.'*\u0302]+|\([^()]*\)|\|[^|]*\||‖[^‖]*‖")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(markdown: str) -> str:
    r"""Text whose formulas in dollars are written in Unicode; everything else stays as it is.

    Example:
        >>> plain(r"as $\varepsilon \to 0$, $\frac{a + b}{2}$ and $\gamma^{t-1}$")
        'as ε → 0, (a + b)/2 and γ^(t-1)'
    """
    return _FORMULA.sub(lambda found: formula(found[1]), markdown)


def formula(latex: str) -> str:
    r"""One formula of LaTeX, without dollars, as a line of Unicode; an unknown macro stays as it is.

    Example:
        >>> formula(r"\mathbb E_\omega[\nabla_\omega\hat Q_\omega(h)]^2 \leq \|Q - Q^*\|")
        '𝔼_ω[∇_ωQ̂_ω(h)]² ≤ ‖Q - Q*‖'
    """
    converter, walker_db = _tools()
    text = converter.nodelist_to_text(_nodes(_SIZES.sub("", latex), walker_db))
    text = _scripts(re.sub(r"\s+", " ", text))
    text = re.sub(r"\s*(:?=)\s*", r" \1 ", text.replace(" _", "_"))
    text = re.sub(r"\s*([≤≥≠→⇒⇔⟹⟺∈∝∼≈⊂⊆])\s*", r" \1 ", text)
    text = re.sub(r"([(\[{]) +| +([)\]},;.])", r"\1\2", text)
    return re.sub(r" +", " ", text).strip()


def _nodes(latex: str, walker_db: Any) -> Any:
    return LatexWalker(latex, latex_context=walker_db).get_latex_nodes()[0]


@cache
def _tools() -> tuple[LatexNodes2Text, Any]:
    """Converter and parser that know, beside pylatexenc's macros, those that the claims use."""
    db, walker_db = get_default_latex_context_db(), get_walker_db()
    texts = [MacroTextSpec(name, simplify_repl=_fraction) for name in ("frac", "tfrac", "dfrac")]
    texts += [MacroTextSpec(name, simplify_repl=f" {name} ") for name in _NAMES]
    texts += [
        MacroTextSpec("|", simplify_repl="‖"),
        MacroTextSpec("operatorname", simplify_repl=_last_argument),
    ]
    texts += [MacroTextSpec(name, simplify_repl=" ") for name in (",", ";", "!", "quad", "qquad", " ")]
    texts += [MacroTextSpec("mathrm", simplify_repl="%s"), MacroTextSpec("text", simplify_repl=" %s ")]
    texts += [MacroTextSpec(name, simplify_repl=sign) for name, sign in _SIGNS.items()]
    db.set_unknown_macro_spec(MacroTextSpec("", simplify_repl=lambda node: f"\\{node.macroname} "))
    parsed = [MacroSpec(name, "{{") for name in ("frac", "tfrac", "dfrac")]
    parsed += [MacroSpec("operatorname", "*{"), MacroSpec("mathrm", "{"), MacroSpec("text", "{")]
    db.add_context_category("virel", prepend=True, macros=texts)
    walker_db.add_context_category("virel", prepend=True, macros=parsed)
    return LatexNodes2Text(latex_context=db, keep_braced_groups=True, math_mode="text"), walker_db


def _fraction(node: Any, l2tobj: LatexNodes2Text) -> str:
    above, below = (l2tobj.nodelist_to_text([part]) for part in node.nodeargd.argnlist)
    return f"{_bracketed(above)}/{_bracketed(below)}"


def _last_argument(node: Any, l2tobj: LatexNodes2Text) -> str:
    return f" {_unbraced(l2tobj.nodelist_to_text([node.nodeargd.argnlist[-1]]))} "


def _bracketed(text: str) -> str:
    text = _unbraced(text)
    return text if _ATOM.fullmatch(text) else f"({text})"


def _unbraced(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if text.startswith("{") and text.endswith("}") else text


def _scripts(text: str) -> str:
    """Braces of indices and exponents as brackets where they hold several signs; other braces dropped."""
    text = re.sub(r"\^(?:\{\*\}|\*)", "*", text).replace("”", "''")
    while (found := re.search(r"([_^]?)\{([^{}]*)\}", text)) is not None:
        mark, inside = found[1], found[2].strip()
        kept = inside if not mark or len(inside) == 1 or inside.isalnum() else f"({inside})"
        text = text[: found.start()] + mark + kept + text[found.end() :]
    return re.sub(r"\^(\d)(?!\d)", lambda found: found[1].translate(_RAISED), text)
