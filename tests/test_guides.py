"""The pages of `docs/guide` and some others: their Python blocks run, in order, in a temporary folder.

Blocks of other kinds, `console` for instance, are not run. A page runs in a process of its own, so that what
it registers or imports reaches no other test; a traceback gives the line of the page.
"""

import re
from pathlib import Path

import pytest

from tests.support.forked import run_script

ROOT = Path(__file__).resolve().parent.parent
OTHERS = ("docs/strategies.md", "docs/deep/metrics.md")
GUIDES = [*sorted((ROOT / "docs/guide").glob("*.md")), *(ROOT / page for page in OTHERS)]
FENCE = re.compile(r"^```(\w*)\s*$")


def script_of(page):
    """Text of a page with every line blanked that is not in a `python` block: line numbers stay."""
    out, kind = [], None
    for line in page.read_text(encoding="utf-8").splitlines():
        fence = FENCE.match(line)
        if fence:
            kind = None if kind is not None else fence.group(1)
        out.append(line if kind == "python" and not fence else "")
    return "\n".join(out) + "\n"


def run_page(page, folder):
    """Run the Python blocks of a page in `folder`, as a file with the page's name."""
    script = folder / f"{page.stem}.py"
    script.write_text(script_of(page), encoding="utf-8")
    return run_script(script, folder=folder, outputs=folder.parent, warning="error")


PAGES = [page for page in GUIDES if script_of(page).strip()]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_python_blocks_of_a_page_run(page, tmp_path):
    done = run_page(page, tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_page_on_adding_something_has_an_example_that_runs():
    adding = [page for page in GUIDES if page.stem.startswith("add_")]
    assert len(adding) == 3
    assert [page for page in adding if page not in PAGES] == []


def planted(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_a_page_whose_code_fails_is_found_with_its_line(tmp_path):
    page = planted(tmp_path, "# T\n\n```python\nx = 1\n```\n\ntext\n\n```python\nassert x == 2\n```\n")
    done = run_page(page, tmp_path)
    assert done.returncode == 1
    assert 'page.py", line 10' in done.stderr
    assert "AssertionError" in done.stderr


def test_a_page_that_warns_fails(tmp_path):
    done = run_page(
        planted(tmp_path, '```python\nimport warnings\nwarnings.warn("old", stacklevel=1)\n```\n'), tmp_path
    )
    assert (done.returncode, "UserWarning: old" in done.stderr) == (1, True)


def test_only_python_blocks_run_and_they_share_one_namespace(tmp_path):
    page = planted(
        tmp_path,
        "```console\n$ exit 1\n```\n```python\nx = 1\n```\n```\nraise SystemExit(1)\n```\n"
        "```python\nfrom pathlib import Path\nPath('out').write_text(str(x + 1))\n```\n",
    )
    assert run_page(page, tmp_path).returncode == 0
    assert (tmp_path / "out").read_text() == "2"
