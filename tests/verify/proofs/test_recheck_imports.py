"""The checker stands alone: standard library and python-flint, small enough to read, usable as a script."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERIFY = Path(__file__).resolve().parents[3] / "verify"
SCRIPT = VERIFY / "recheck.py"
FIRST = [SCRIPT, *sorted((VERIFY / "checker").glob("*.py"))]
SECOND = sorted((VERIFY / "checker/second").glob("*.py"))
DECIDE = {"limits", "reading", "algebra", "formulas", "temperatures", "proving"}


def trees(paths):
    return [ast.parse(path.read_text()) for path in paths]


def imported(tree):
    """Modules that a file imports; those of its own package as `.NAME`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize(("paths", "wanted"), [(FIRST, {"flint", "verify", "checker"}), (SECOND, set())])
def test_they_import_nothing_of_ours(paths, wanted):
    names = {name for tree in trees(paths) for name in imported(tree) if not name.startswith(".")}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == wanted
    ours = {name for name in names if name.split(".")[0] in ("verify", "checker")}
    assert all(name.removeprefix("verify.").startswith("checker") for name in ours)


def test_the_second_imports_nothing_of_the_first():
    own = {f".{path.stem}" for path in SECOND}
    relative = {name for tree in trees(SECOND) for name in imported(tree) if name.startswith(".")}
    assert relative <= own


def code_lines(path):
    """Lines of a file that say something: no docstrings, imports, or single words."""
    lines = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.Import | ast.ImportFrom):
            lines.add(ast.unparse(node).splitlines()[0])
    return {line for line in lines if len(line) > 25 and not line.startswith(("'", '"'))}


def test_the_two_share_no_line():
    first, second = (set().union(*map(code_lines, paths)) for paths in (FIRST, SECOND))
    assert first & second == set()


def test_they_are_short_enough_to_read():
    """As `wc -l` counts: docstrings and blank lines included."""
    n_lines = {path.stem: len(path.read_text().splitlines()) for path in FIRST}
    decide = {name: n for name, n in n_lines.items() if name in DECIDE}
    assert set(decide) == DECIDE
    assert sum(decide.values()) < 1100
    assert sum(n_lines.values()) - sum(decide.values()) < 700


def test_no_rule_of_style_is_switched_off():
    """Only printing, an import if it is asked for, and two calls that `pathlib` has no word for."""
    found = [re.findall(r"# *(?:noqa|ruff|fmt|type:).*", path.read_text()) for path in FIRST + SECOND]
    rules = {re.match(r"# noqa: \w+", x)[0].removeprefix("# noqa: ") for xs in found for x in xs}
    assert rules == {"T201", "PLC0415", "PTH123", "PTH208"}


def test_no_function_is_longer_than_a_screen():
    functions = [
        node for tree in trees(FIRST + SECOND) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    ]
    assert max(node.end_lineno - node.lineno for node in functions) < 35


def test_they_use_no_dynamic_import_and_no_evaluation():
    names = {
        node.id for tree in trees(FIRST + SECOND) for node in ast.walk(tree) if isinstance(node, ast.Name)
    }
    assert not names & {"__import__", "eval", "exec", "compile", "globals", "importlib", "pickle"}


def test_it_runs_as_a_script_away_from_the_repository(tmp_path):
    """With its folder and its table of statements, which is data."""
    shutil.copy(SCRIPT, tmp_path)
    shutil.copy(VERIFY / "statements.toml", tmp_path)
    shutil.copytree(VERIFY / "checker", tmp_path / "checker", ignore=shutil.ignore_patterns("__pycache__"))
    for args, status, text in ((["--help"], 0, "Exit status"), (["--second", "none.json"], 2, "")):
        command = [sys.executable, "-I", tmp_path / "recheck.py", *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        assert text in done.stdout


def test_without_arguments_it_says_how_to_use_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "FILE" in done.stderr
