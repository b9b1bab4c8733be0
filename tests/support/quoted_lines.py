"""Write `quoted_lines.json`: the lines that the letter quotes, from the sources beside the repository.

Run it after a change to a quotation: `python -m tests.support.quoted_lines`.
"""

import json
from pathlib import Path

from verify.report.letter import Quote, letter

ROOT = Path(__file__).resolve().parents[2]
PATH = Path(__file__).with_name("quoted_lines.json")
FILES = {
    "appendix": "virel_appendix.txt",
    "talk": "virel_talk.txt",
    "poster": "virel_poster.txt",
    "design": "variational_rl_design.txt",
}
N_LINES = 3
"""Lines that a quotation may run over, from its first one on."""


def papers() -> Path | None:
    """Folder of the sources, `shared/paper` beside the repository or above it; None if it is not there."""
    beside = (folder / "shared" / "paper" for folder in ROOT.parents)
    return next((folder for folder in beside if folder.is_dir()), None)


def quotes() -> list[Quote]:
    """All quotations of the letter."""
    found = letter()
    return [q for entry in (*found.corrections, *found.completions, *found.design) for q in entry.quotes]


def lines_of(folder: Path, quote: Quote) -> list[str]:
    """Lines of a source at a quotation."""
    lines = (folder / FILES[quote.source]).read_text().split("\n")
    return lines[quote.line - 1 : quote.line - 1 + N_LINES]


if __name__ == "__main__":
    folder = papers()
    if folder is None:
        raise SystemExit("the sources, shared/paper, are not beside the repository")
    found = {f"{q.source}:{q.line}": lines_of(folder, q) for q in quotes()}
    PATH.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
