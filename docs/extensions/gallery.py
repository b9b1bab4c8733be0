"""Gallery of the figures that `virel figures` draws, each with the command that draws it."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from verify.engine.registry import all_claims

FIGURES = Path("out/figures")
"""Where `make docs` has them drawn, from the root of the repository."""
HEAD = """# Gallery

Every figure of a claim, and the command that draws it. `virel figures` draws all of them, as SVG, PDF and
PNG, and writes the numbers in each as CSV.
"""


def write(app: Sphinx) -> None:
    """Copy the figures beside the page and write the page."""
    root = Path(app.srcdir).parent
    folder = Path(app.srcdir) / "gallery"
    folder.mkdir(exist_ok=True)
    for old in [*folder.glob("*.png"), *folder.glob("*.svg")]:
        old.unlink()
    parts = [HEAD]
    for claim in all_claims().values():
        drawn = sorted((root / FIGURES).glob(f"{claim.id}*.png")) if claim.figures is not None else []
        drawn = [path for path in drawn if _owner(path.stem) == claim.id]
        if not drawn:
            continue
        parts.append(f"## {claim.title[:1].upper()}{claim.title[1:]}\n\n```\nvirel figures {claim.id}\n```\n")
        parts += [_shown(path, folder, claim.title) for path in drawn]
    text = "\n".join(parts)
    page = folder / "index.md"
    if not page.is_file() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def _shown(path: Path, folder: Path, title: str) -> str:
    """Copy a figure and its form for phones, and return what shows the one that fits the screen."""
    narrow = path.with_name(f"{path.stem}-narrow.svg")
    forms = {"wide": path, "narrow": narrow} if narrow.is_file() else {"any": path}
    for form in forms.values():
        shutil.copy(form, folder / form.name)
    return "\n".join(
        f"```{{image}} {form.name}\n:alt: {title}\n:class: figure-{kind}\n```\n"
        for kind, form in forms.items()
    )


def _owner(stem: str) -> str:
    """Claim that a figure belongs to: the longest id that its name begins with."""
    return max(
        (one for one in all_claims() if stem == one or stem.startswith(f"{one}-")), key=len, default=""
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the gallery before reading."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
