"""API pages from the lists of public names, one page a module. The build fails if a name has no entry."""

import importlib
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

from extensions.links import FOLDER, PACKAGES, listed

log = logging.getLogger(__name__)


def entry(package: str, name: str) -> str:
    """Directive that documents a public name by the path that users import it from."""
    found = getattr(importlib.import_module(package), name)
    kind = "class" if isinstance(found, type) else "function" if callable(found) else "data"
    if kind == "class" and issubclass(found, Exception):
        kind = "exception"
    members = "\n   :members:" if kind == "class" else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {package}.{name}{members}\n```\n"


def page(package: str, module: str, names: list[str]) -> str:
    """Page of a module: what it is about, and an entry for each of its public names."""
    title = module.removeprefix(f"{package}.")
    summary = (importlib.import_module(module).__doc__ or "").split("\n")[0]
    entries = "\n".join(entry(package, name) for name in names)
    return f"# {title}\n\n{summary}\n\n{entries}"


def pages() -> dict[str, str]:
    """Every generated page by its name without `.md`, indexes included."""
    out = {}
    for package, about in PACKAGES.items():
        modules = listed(package)
        for module, names in modules.items():
            out[f"{package}/{module.removeprefix(package + '.')}"] = page(package, module, names)
        rows = "\n".join(
            f"- [{module.removeprefix(package + '.')}]({module.removeprefix(package + '.')}.md): "
            f"{', '.join(f'`{name}`' for name in names)}"
            for module, names in modules.items()
        )
        extra = "strategies\n" if package == "verify" else ""
        tree = "\n".join(module.removeprefix(f"{package}.") for module in modules)
        out[f"{package}/index"] = (
            f"# {package}\n\n{about}. Modules, and the public names in each:\n\n{rows}\n\n"
            f"```{{toctree}}\n:hidden:\n\n{tree}\n{extra}```\n"
        )
    out["verify/strategies"] = (
        "# strategies\n\n```{eval-rst}\n.. automodule:: verify.strategies\n   :members:\n```\n"
    )
    tree = "\n".join(f"{package}/index" for package in PACKAGES)
    out["index"] = (
        "# API reference\n\nEvery public name, from its docstring. Each example runs in the test suite.\n\n"
        + "".join(f"- [{package}]({package}/index.md): {about}.\n" for package, about in PACKAGES.items())
        + f"\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )
    return out


def write(app: Sphinx) -> None:
    """Write the pages whose text has changed, and remove those that are no more."""
    folder = Path(app.srcdir) / FOLDER
    made = {folder / f"{name}.md": text for name, text in pages().items()}
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.rglob("*.md"):
        if path not in made:
            path.unlink()


def let_links_in(app: Sphinx, doctree: nodes.document) -> None:
    """Let links of Markdown pages end at an entry: `page.md#virel_theory.elbo`, beside headings."""
    name = app.env.docname
    if not name.startswith(f"{FOLDER}/"):
        return
    slugs = app.env.metadata[name].setdefault("myst_slugs", {})
    for entry in doctree.findall(addnodes.desc_signature):
        slugs |= {one: (entry.line or 0, one, one) for one in entry["ids"]}


def missing(app: Sphinx, error: Exception | None) -> None:
    """Warn of each public name without an entry; `make docs` treats warnings as errors."""
    if error is not None:
        return
    known = app.env.get_domain("py").data["objects"]  # type: ignore[attr-defined]
    for package in PACKAGES:
        for names in listed(package).values():
            for name in names:
                if f"{package}.{name}" not in known:
                    log.warning("%s.%s is public and has no API entry", package, name)


def setup(app: Sphinx) -> dict[str, int]:
    """Write pages before reading, look for missing names at the end."""
    app.connect("builder-inited", write)
    app.connect("doctree-read", let_links_in)
    app.connect("build-finished", missing)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
