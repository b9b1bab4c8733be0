"""Where a public name and a claim have their pages, and the links of the pages on the mathematics.

A page writes `[`elbo`]` or `[`theorem-3`]`; where that leads stands in definitions at its end.
`python docs/extensions/links.py PAGE...` writes them, and says which names are neither. Free of Sphinx.
"""

import ast
import importlib
import re
import sys
from collections import defaultdict
from pathlib import Path

from verify.report.record import addresses

PACKAGES = {
    "virel_theory": "Finite MDPs, exactly: operators, objective, gradients, solvers, the design space",
    "verify": "Claims of your own, and strategies of random MDPs",
    "virel_deep": "The deep agent from Python",
}
FOLDER = "reference"
DOCS = Path(__file__).resolve().parent.parent
NAME = re.compile(r"\[`([^`\]]+)`\](?![\[(:])")
DEFINITION = re.compile(r"^\[`[^`\]]+`\]: .*\n?", re.MULTILINE)


def listed(package: str) -> dict[str, list[str]]:
    """Public names of a package by the module that defines each, as its `__init__.pyi` lists them."""
    stub = Path(str(importlib.import_module(package).__file__)).with_name("__init__.pyi")
    names = defaultdict(list)
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            names[f"{package}.{node.module}"] += [alias.name for alias in node.names]
    return dict(names)


def targets() -> dict[str, str]:
    """Addresses below `docs/` of every public name and every claim on record."""
    found = {
        name: f"{FOLDER}/{package}/{module.removeprefix(f'{package}.')}.md#{package}.{name}"
        for package in PACKAGES
        for module, names in listed(package).items()
        for name in names
    }
    return found | {name: f"claims/{address}" for name, address in addresses().items()}


def linked(text: str, *, folder: str, known: dict[str, str]) -> str:
    """Text of a page in `folder` below `docs/`, with the definitions of its links at the end.

    Raises:
        ValueError: if a name is neither public nor a claim.
    """
    body = DEFINITION.sub("", text).rstrip("\n")
    names = sorted(set(NAME.findall(body)))
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"neither public names nor claims: {', '.join(unknown)}")
    up = "../" * len(Path(folder).parts)
    lines = [f"[`{name}`]: {up}{known[name]}\n" for name in names]
    return f"{body}\n" + ("\n" + "".join(lines) if lines else "")


def main(pages: list[str]) -> None:
    """Write the definitions of some pages."""
    known = targets()
    for page in map(Path, pages):
        folder = page.resolve().parent.relative_to(DOCS).as_posix()
        page.write_text(linked(page.read_text("utf-8"), folder=folder, known=known), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
