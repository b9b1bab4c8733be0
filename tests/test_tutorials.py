"""The tutorials, the pages on the mathematics and the README run, and print what they show."""

from pathlib import Path

import pytest

from tests.support.forked import run_script

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / "docs" / "extensions" / "tutorial.py"
DEEP = {"mpo_twice", "train_watch_export"}
PAGES = [
    pytest.param(
        page, id=page.stem, marks=[pytest.mark.long, pytest.mark.mujoco] if page.stem in DEEP else []
    )
    for page in [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
    if page.stem != "index"
]
MATHEMATICS = sorted((ROOT / "docs" / "theory" / "mathematics").glob("*.md"))


def run(page, folder, *more):
    return run_script(RUNNER, page, *more, folder, folder=ROOT, outputs=folder, MPLBACKEND="agg")


@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_prints_what_its_page_shows(page, tmp_path):
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_pages_on_the_mathematics_print_what_they_show(tmp_path):
    """All in one process, as most of the time goes to imports."""
    assert len(MATHEMATICS) == 11
    done = run(*MATHEMATICS[:1], tmp_path, *MATHEMATICS[1:])
    assert done.returncode == 0, done.stderr


def planted(tmp_path, shown):
    page = tmp_path / "page.md"
    page.write_text(
        f"# T\n\n```python\nx = 2\nprint(x)\n```\n```\n{shown}\n```\n\n```python\nprint(x)\n```\n"
    )
    return page


def test_a_wrong_output_is_found_and_can_be_written_anew(tmp_path):
    page = planted(tmp_path, "3")
    done = run(page, tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-2:]) == (1, ["-3", "+2"])
    assert run(planted(tmp_path, "2"), tmp_path).returncode == 0


def test_of_several_pages_the_one_that_differs_is_named(tmp_path):
    good = tmp_path / "good.md"
    good.write_text("# T\n\n```python\nprint(1)\n```\n```\n1\n```\n")
    done = run(good, tmp_path, planted(tmp_path, "3"))
    assert done.returncode == 1
    assert "page.md" in done.stderr
    assert "good.md" not in done.stderr


def test_an_error_has_the_line_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# T\n\n```python\nraise ValueError\n```\n")
    done = run(page, tmp_path)
    assert done.returncode == 1
    assert 'page.md", line 4' in done.stderr
