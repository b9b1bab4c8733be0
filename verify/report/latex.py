"""Simplify LaTeX formulas of claims for MathML and for matplotlib's mathtext, which know less than TeX.

A long formula comes in pieces to break between, as TeX would: after a relation, a binary operator or a
space that stands outside all braces.
"""

import re

_ARG_OPERATOR = re.compile(r"\\arg\s*\\(max|min)(?![A-Za-z])")
_ARG = re.compile(r"\\arg(?![A-Za-z])")
_WORDS = re.compile(r"(?<![\\A-Za-z_^{])(KL|ELBO|Var)(?![A-Za-z])")
_TEXT = re.compile(r"(\\text\s*\{[^}]*\})")
_FREE_TEXT = re.compile(r"(\\text\s*\{[^}]* [^}]*\}(?![_^]))")
_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\s+|.", re.DOTALL)
_SPACES = frozenset((r"\quad", r"\qquad", r"\;"))
_RELATION = re.compile(
    r"[=<>:]|\\(?:leq?|geq?|neq?|to|in|ni|sim|propto|implies|iff|[Rr]ightarrow|leftarrow|mapsto|approx|subset|subseteq)"
)
_BINARY = frozenset(("+", "-", r"\pm"))
_BIND = frozenset("_^")


def upright(latex: str) -> str:
    r"""Rewrite a LaTeX formula with `\arg\max`, KL, ELBO and Var in upright type, and `\;` for `\ `."""
    arg = _ARG.sub(r"\\text{arg}", _ARG_OPERATOR.sub(r"\\text{arg \1}", latex.replace("\\ ", "\\;")))
    parts = _TEXT.split(arg)
    return "".join(part if part.startswith(r"\text") else _WORDS.sub(r"\\text{\1}", part) for part in parts)


def pieces(latex: str) -> list[str]:
    """Split a LaTeX formula into pieces, each a formula, between which a line of text may break.

    Joined, the pieces are `latex` again, up to spaces.
    """
    parts = _FREE_TEXT.split(latex)
    return [
        piece for part in parts for piece in ([part] if part.startswith(r"\text") else _formula_pieces(part))
    ]


def _formula_pieces(latex: str) -> list[str]:
    tokens = _TOKEN.findall(latex)
    out, current, depth = [], "", 0
    previous = "("  # an operator in front is a sign: no break after it
    for i, token in enumerate(tokens):
        depth += _opens(token)
        current += token
        if token.isspace():
            continue
        bound = previous in _BIND or tokens[i - 1 : i] == ["\\"]
        following = tokens[i + 1] if i + 1 < len(tokens) else ""
        if depth == 0 and not bound and _breaks(token, previous) and (token, following) != (":", "="):
            out.append(current)
            current = ""
        previous = token
    out.append(current)
    return [piece.strip() for piece in out if piece.strip()]


def _opens(token: str) -> int:
    if token in {"{", r"\left"}:
        return 1
    return -1 if token in {"}", r"\right"} else 0


def _breaks(token: str, previous: str) -> bool:
    if token in _BINARY:
        return not (_is_operator(previous) or previous in "([,;|/" or previous.startswith((r"\Big", r"\big")))
    return token in _SPACES or _RELATION.fullmatch(token) is not None


def _is_operator(token: str) -> bool:
    return token in _BINARY or token in _SPACES or _RELATION.fullmatch(token) is not None


_ARITY = {
    rf"\{name}": 1
    for name in ("mathcal", "mathbb", "mathbf", "mathrm", "sqrt", "hat", "tilde", "bar", "overline")
} | {
    r"\frac": 2,
    r"\tfrac": 2,
}
_ALIASES = {
    r"\le": r"\leq",
    r"\ge": r"\geq",
    r"\ne": r"\neq",
    r"\implies": r"\Longrightarrow",
    r"\iff": r"\Longleftrightarrow",
    r"\tfrac": r"\frac",
    r"\text": r"\mathrm",
    r"\mathrel": "",
    r"\textstyle": "",
} | {rf"\{size}{side}": "" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r")}


def mathtext(latex: str) -> str:
    r"""Convert a piece of a LaTeX formula to matplotlib's mathtext, which needs braces and has no `\big`."""
    spaced = _TEXT.sub(lambda m: m.group().replace("  ", " ").replace(" ", r"\ "), latex)
    return _braced([token for token in _TOKEN.findall(spaced.replace("^*", "^{*}")) if not token.isspace()])


def _braced(tokens: list[str]) -> str:
    out, i = [], 0
    while i < len(tokens):
        token, i = tokens[i], i + 1
        out.append(_spelled(token, followed_by=tokens[i] if i < len(tokens) else ""))
        for _ in range(_ARITY.get(token, 0)):
            end = _argument_end(tokens, i)
            inside = tokens[i + 1 : end - 1] if tokens[i] == "{" else tokens[i:end]
            out.append(f"{{{_braced(inside)}}}")
            i = end
    return "".join(out)


def _spelled(token: str, *, followed_by: str) -> str:
    name = _ALIASES.get(token, token)
    needs_space = name.startswith("\\") and name[1:].isalpha() and followed_by[:1].isalpha()
    return f"{name} " if needs_space else name


def _argument_end(tokens: list[str], start: int) -> int:
    """Index in `tokens` after the LaTeX argument at `start`: a group in braces, a command, or one token."""
    if tokens[start] != "{":
        end = start + 1
        for _ in range(_ARITY.get(tokens[start], 0)):
            end = _argument_end(tokens, end)
        return end
    depth = 0
    for i in range(start, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[i], 0)
        if depth == 0:
            return i + 1
    raise ValueError(f"the braces of a LaTeX formula do not match; found {''.join(tokens)!r}")
