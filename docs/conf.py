"""Configuration of the documentation site: `make docs` builds it offline into out/docs/."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for `extensions`

project = "VIREL, checked"
author = "the authors of the VIREL toolkit"
version = release = installed("virel")
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "extensions.mathml",
    "extensions.docstrings",
    "extensions.reference",
    "extensions.gallery",
]
exclude_patterns = ["extensions", "benchmarks/*/table.md"]
suppress_warnings = ["myst.header"]  # the letter numbers entries below titles as its PDF does

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_dmath_double_inline = True
myst_heading_anchors = 3
myst_links_external_new_tab = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
highlight_language = "none"  # of blocks that name no language, which show commands and output
default_role = "code"  # docstrings set code in single backticks, as Markdown does
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "VIREL, checked"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
