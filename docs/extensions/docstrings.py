"""Docstrings as the project writes them, in the notation that autodoc reads.

The project writes `code`, $formulas$ and $$displays$$ as Markdown does, and short sections on one line
(`Returns: [S], ...`). reStructuredText takes `|`, `*` and a final `_` for marks of its own, so they are
escaped wherever they stand for themselves.
"""

import re
from typing import Any

from sphinx.application import Sphinx

MARKED = re.compile(r"(``[^`]+``|`[^`]+`|\$\$[^$]+\$\$|\$[^$]+\$)")
MARKS = re.compile(r"([*|\\])|(?<=\w)(_)(?!\w)")
ARRAY_LIKE = re.compile(
    r"~?[\w.]*\b_Buffer \| ~?[\w.]*\b_SupportsArray.*?_NestedSequence\[complex \| bytes \| str\]"
)
"""How numpy spells out its type `ArrayLike`."""
ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[~?[\w.]*Any, \.\.\.\], ~?(?:numpy\.)?dtype\[~?(?:numpy\.)?(\w+)\]\]"
)
"""How numpy spells out its type `NDArray`."""
SHORT = re.compile(r"(Args|Returns|Raises|Yields|Deviations?|Example): (?=\S)")


def translate(text: str) -> str:
    r"""Text of a docstring without examples, its formulas as roles and its other characters as themselves.

    Example:
        >>> translate("mean of $x^2$ over |H| pairs, by `q_`")
        'mean of :math:`x^2` over \\|H\\| pairs, by `q_`'
    """
    return "".join(_part(part) for part in MARKED.split(text))


def _part(part: str) -> str:
    if part.startswith("$$"):
        return f"\n\n.. math:: {part[2:-2]}\n\n"
    if part.startswith("$"):
        return f":math:`{part[1:-1]}`"
    return part if part.startswith("`") else MARKS.sub(lambda mark: "\\" + mark.group(), part)


def short_sections(lines: list[str]) -> list[str]:
    """Sections that begin on the line of their heading, each as one line with a bold heading.

    Example:
        >>> short_sections(["Args: mdp: finite", "    MDP.", "Returns: `[S]`.", "", "Raises:", "    X: no."])
        ['**Args:** mdp: finite MDP.', '', '**Returns:** `[S]`.', '', '', 'Raises:', '    X: no.']
    """
    out, open_section = [], False
    for line in lines:
        if SHORT.match(line):
            out += [SHORT.sub(r"**\1:** ", line), ""]
            open_section = True
        elif open_section and line.startswith("    "):
            out[-2] += " " + line.strip()
        else:
            out.append(line)
            open_section = False
    return out


def joined(text: str) -> str:
    """The text with no line break inside a code span or formula."""
    return MARKED.sub(lambda found: re.sub(r"\s*\n\s*", " ", found.group()), text)


def on_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Translate a docstring in place; examples stay as they are."""
    out: list[str] = []
    for block in re.split(r"\n(?=\s*\n)", "\n".join(lines)):
        if ">>>" in block:
            out += block.split("\n")
            continue
        for line in short_sections(joined(block).split("\n")):
            bullet = re.match(r"\s*[*-] |\*\*\w+:\*\* ", line)
            head = bullet.group() if bullet else ""
            out += (head + translate(line[len(head) :])).split("\n")
    lines[:] = out


def on_signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Give a signature's types the names that people write."""
    return signature and _named(signature), returns and _named(returns)


def _named(types: str) -> str:
    return ARRAY.sub(r"NDArray[\1]", ARRAY_LIKE.sub("ArrayLike", types))


def setup(app: Sphinx) -> dict[str, int]:
    """Translate before napoleon reads the sections."""
    app.connect("autodoc-process-docstring", on_docstring, priority=400)
    app.connect("autodoc-process-signature", on_signature)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
