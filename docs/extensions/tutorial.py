"""Run pages: their Python blocks from top to bottom, each with the output that the page shows after it.

`python docs/extensions/tutorial.py PAGE... FOLDER` runs pages in a folder, where their figures stay. It ends
with status 1 and a comparison if a block prints something else; on a page `…` stands for any text within a
line. `--all` also compares a block without an output below it, which must print nothing. `--write` writes the
outputs into the pages.
"""

import contextlib
import difflib
import io
import os
import re
import sys
from pathlib import Path

BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:```\n(?P<output>.*?)```\n)?", re.DOTALL)


def run(page: Path, folder: Path, *, write: bool = False, whole: bool = False) -> list[str]:
    """Run a page's blocks in one namespace in `folder`; returns how outputs differ from the page.

    Only with `whole` must a block without an output print nothing.
    """
    text = page.read_text(encoding="utf-8")
    os.environ.setdefault("MPLBACKEND", "agg")
    names: dict[str, object] = {"__name__": "__main__"}
    differences, out, end = [], [], 0
    with contextlib.chdir(folder):
        for block in BLOCK.finditer(text):
            printed = io.StringIO()
            line = text.count("\n", 0, block.start("code"))
            code = compile("\n" * line + block["code"], str(page), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, names)
            shown, found = block["output"], printed.getvalue()
            if (shown is None and not whole) or fits(shown or "", found):
                continue
            differences += difflib.unified_diff(
                (shown or "").splitlines(), found.splitlines(), page.name, "printed"
            )
            if shown is not None:
                out += [text[end : block.start("output")], found]
                end = block.end("output")
    if write:
        page.write_text("".join([*out, text[end:]]), encoding="utf-8")
    return differences


def fits(shown: str, found: str) -> bool:
    """Whether a block printed what its page shows, where `…` stands for any text within a line."""
    return re.fullmatch("[^\n]*".join(map(re.escape, shown.split("…"))), found) is not None


def main(argv: list[str]) -> int:
    """Run pages, each in a namespace of its own; print how they differ."""
    write, whole = "--write" in argv, "--all" in argv
    *pages, folder = (Path(one).resolve() for one in argv if not one.startswith("--"))
    folder.mkdir(parents=True, exist_ok=True)
    found = [line for page in pages for line in run(page, folder, write=write, whole=whole)]
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return 1 if found and not write else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
