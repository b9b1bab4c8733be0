r"""ASCII labels of plots as formulas: `eps_k -> 0` becomes $\varepsilon_k \to 0$; CSV files keep the ASCII.

Text between dollar signs stays as it is, and so does whatever is not a symbol (a Greek name, a subscript, a
power).
"""

import re

_LETTERS = "alpha beta gamma delta zeta eta theta kappa lambda omega pi rho sigma tau psi Omega Gamma Delta"
GREEK = {name: rf"\{name}" for name in re.split(" ", _LETTERS)} | {"eps": r"\varepsilon", "phi": r"\varphi"}
_NAMES = "|".join(GREEK)
_SYMBOL = re.compile(
    rf"(?<![A-Za-z_\\])(?P<base>{_NAMES}|argmax|argmin|max|min|[A-Za-z]|\d+)"
    r"(?P<sub>_(?:\{[^}]*\}|\w+\*?))?"
    r"(?P<sup>\^(?:\{[^}]*\}|\([^)]*\)|[-+]?\w+(?:\.\d+)?))?(?![\w])"
)
_POWER_OF_BRACKET = re.compile(r"\)\^(?:\((?P<inner>\w+)\)|(?P<number>[-+]?\d+))")
_SIGNS = (("->", "→"), ("<=", "≤"), (">=", "≥"), ("||", "‖"), ("+inf", "+∞"), ("-inf", "−∞"))


def typeset(text: str) -> str:
    """Replace the ASCII symbols in a plot's label, such as `eps_k`, by matplotlib's mathtext."""
    parts = re.split(r"(\$[^$]*\$)", text)
    return "".join(part if part.startswith("$") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    for ascii_sign, sign in _SIGNS:
        text = text.replace(ascii_sign, sign)
    return _POWER_OF_BRACKET.sub(_power_of_bracket, _SYMBOL.sub(_symbol, text))


def _power_of_bracket(match: re.Match[str]) -> str:
    return f")$^{{{match['inner'] or match['number']}}}$"


def _symbol(match: re.Match[str]) -> str:
    base, sub, sup = match["base"], match["sub"], match["sup"]
    if base not in GREEK and sub is None and (sup is None or len(base) > 1):
        return match.group()
    out = GREEK.get(base) or (base if len(base) == 1 or base.isdigit() else rf"\mathrm{{{base}}}")
    if sub is not None:
        out += f"_{{{_inside(sub[1:])}}}"
    if sup is not None:
        out += f"^{{{_inside(sup[1:])}}}"
    return f"${out}$"


def _inside(script: str) -> str:
    """Mathtext of a label's sub- or superscript, without brackets: Greek letters, other words upright."""
    bare = script[1:-1] if script[0] in "{(" else script.replace("_", ",")

    def word(match: re.Match[str]) -> str:
        name = match.group()
        return GREEK.get(name, name if len(name) == 1 else rf"\mathrm{{{name}}}")

    return re.sub(r"[A-Za-z]+", word, bare).replace(" ", "")
