"""Links from the documents to files of the repository that are no pages: shown as text, not as links."""

from pathlib import Path

from docutils import nodes
from myst_parser.mdit_to_docutils import base as _  # noqa: F401  (fails early without MyST)
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]


def unlink(app: Sphinx, doctree: nodes.document) -> None:
    """Replace a link to a file outside the site by the text of the link."""
    for kind in (download_reference, pending_xref):
        for node in list(doctree.findall(kind)):
            target = str(node.get("reftarget", ""))
            path = (Path(app.srcdir) / str(node.get("refdoc", "")) / ".." / target).resolve()
            outside = path.is_relative_to(ROOT) and not path.is_relative_to(app.srcdir)
            if outside and path.exists():
                node.replace_self(node.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at every page once it has been read."""
    app.connect("doctree-read", unlink)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
