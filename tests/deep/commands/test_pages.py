"""Pages that show commands: whole outputs, and ways to install that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_tutorials import PAGES, RUNNER, run

ROOT = Path(__file__).resolve().parents[3]
TEXTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "virel_deep" / "results").glob("*.py")),
]
FROM_AN_INDEX = re.compile(r"pip install (?:[^`\n]*[ '\"])?virel\b")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_all_that_its_blocks_print(page, tmp_path):
    done = run(page, tmp_path, "--all")
    assert done.returncode == 0, done.stderr


def ran(tmp_path, text, *options):
    page = tmp_path / "page.md"
    page.write_text(text)
    return subprocess.run(
        [sys.executable, RUNNER, *options, page, tmp_path], capture_output=True, text=True, check=False
    )


def test_a_block_whose_output_is_not_shown_is_found(tmp_path):
    text = "```python\nprint(1)\n```\n\ntext\n"
    assert ran(tmp_path, text).returncode == 0
    done = ran(tmp_path, text, "--all")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "+1")
    assert ran(tmp_path, "```python\nx = 1\n```\n", "--all").returncode == 0


@pytest.mark.parametrize(
    ("shown", "status"),
    [("a … b\nc", 0), ("a …\nc", 0), ("a 1 b\n…", 0), ("…", 1), ("a … B\nc", 1), ("a … b\nc\n…", 1)],
)
def test_an_ellipsis_stands_for_text_within_one_line(tmp_path, shown, status):
    text = f"```python\nprint('a 1 b\\nc')\n```\n```\n{shown}\n```\n"
    assert ran(tmp_path, text).returncode == status


def test_an_output_that_fits_is_not_written_anew(tmp_path):
    text = "```python\nprint(1.5)\n```\n```\n…\n```\n```python\nprint(2)\n```\n```\n3\n```\n"
    assert ran(tmp_path, text, "--write").returncode == 0
    assert (tmp_path / "page.md").read_text() == text.replace("3", "2")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_said_to_be_installed_by_a_name_that_no_index_has(path):
    assert FROM_AN_INDEX.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`pip install 'virel[deep]'`", True),
        ("`pip install -c constraints.txt 'virel[deep,cluster]'`", True),
        ("pip install virel", True),
        ("`pip install -e '.[deep]' -c constraints.txt`", False),
        ("`pip install '.[deep]'` in virel", False),
    ],
)
def test_the_pattern_finds_what_it_is_for(text, found):
    assert bool(FROM_AN_INDEX.search(text)) == found
