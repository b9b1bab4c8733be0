"""Formulas as MathML, by the converter that the report uses: a page needs no script and no network."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from verify.report.mathml import formula

SIZES = re.compile(r"\\[Bb]igg?[lr]?(?![A-Za-z])")
"""Sizes of brackets, which MathML chooses itself."""
log = logging.getLogger(__name__)


def mathml(node: nodes.math | nodes.math_block, *, display: bool) -> str:
    """Formula of a node; a warning, which fails the build, if it can't be converted."""
    out = str(formula(SIZES.sub("", node.astext()), display=display))
    if 'class="latex"' in out:
        log.warning("no MathML for %s", node.astext(), location=node)
    return out


def inline(self: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    self.body.append(mathml(node, display=False))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Write a displayed formula."""
    self.body.append(f'<div class="math">{mathml(node, display=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer and make it the one in use."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"  # type: ignore[attr-defined]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
