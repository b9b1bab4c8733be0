"""Documents: their links, the paths they name, and the commands they show exist."""

import re
from pathlib import Path

import pytest

from virel_common.command import SUBCOMMANDS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs", "results")
TOPS = "virel_common|virel_theory|virel_deep|verify|tests|benchmarks|results|docs|examples"

MADE = re.compile(r"docs/(reference|gallery)/|docs/tutorials/\w+\.png$")
"""Pages and figures that `make docs` makes, and checks links to."""
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
CODE = re.compile(r"`[^`\n]+`")
PATH = re.compile(rf"`((?:{TOPS})/[a-z0-9_./-]*)`")
"""A path in code marks; capital letters and stars are placeholders, such as `verify/claims/TOPIC/`."""
MODULE = re.compile(r"python -m ([a-z0-9_.]+)")
COMMAND = re.compile(r"^\s*(?:\.venv/bin/)?virel ([a-z]+)", re.MULTILINE)


def missing(document, root):
    """What a document names and the tree below `root` does not have."""
    text = document.read_text()
    prose = CODE.sub("``", text)  # in code, `f["x"](y)` is no link
    links = {x: (document.parent / x).resolve() for x in LINK.findall(prose) if "://" not in x}
    out = [f"link {x}" for x, path in links.items() if not path.exists() and not _is_made(path, root)]
    out += [f"path {x}" for x in PATH.findall(text) if not (root / x).exists()]
    out += [f"module {x}" for x in MODULE.findall(text) if x != "venv" and not _is_module(root, x)]
    fences = "\n".join(text.split("```")[1::2])
    return out + [f"command {x}" for x in COMMAND.findall(fences) if x not in SUBCOMMANDS]


def _is_made(path, root):
    return path.is_relative_to(root) and MADE.match(path.relative_to(root).as_posix()) is not None


def _is_module(root, name):
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def documents():
    tops = [ROOT / name for name in DOCUMENTS]
    found = sorted(path for top in tops for path in ([top] if top.is_file() else top.rglob("*.md")))
    return [path for path in found if not _is_made(path, ROOT)]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_exists(document):
    assert missing(document, ROOT) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see [claims](claims.md#top)", "link claims.md"),
        ("see [`solve`](solve.md)", "link solve.md"),
        ("in `verify/engine/nowhere.py`", "path verify/engine/nowhere.py"),
        ("run `python -m benchmarks.nowhere`", "module benchmarks.nowhere"),
        ("```\nvirel verfy theorem-4\n```", "command verfy"),
    ],
)
def test_what_does_not_exist_is_found(text, found, tmp_path):
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(text)
    assert missing(page, tmp_path) == [found]


def test_addresses_and_placeholders_are_passed_over(tmp_path):
    page = tmp_path / "page.md"
    page.write_text('[site](https://example.org), `verify/claims/TOPIC/`, `python -m venv`, `f["x"](y)`')
    assert missing(page, tmp_path) == []
