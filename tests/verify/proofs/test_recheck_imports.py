"""The checker stands alone: standard library and python-flint, small enough to read, usable as a script."""

import ast
import re
import subprocess
import sys
from pathlib import Path

PATH = Path(__file__).resolve().parents[3] / "verify" / "recheck.py"
SOURCE = PATH.read_text()


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_it_imports_nothing_of_ours():
    tops = {name.split(".")[0] for name in imported(ast.parse(SOURCE))}
    assert tops - set(sys.stdlib_module_names) == {"flint"}


def test_it_is_short_enough_to_read_in_one_sitting():
    assert len(SOURCE.splitlines()) < 720  # as `wc -l` counts: docstrings and blank lines included


def test_no_rule_of_style_is_switched_off():
    """Only printing is allowed, line by line."""
    assert set(re.findall(r"# *(?:noqa|ruff|fmt|type:).*", SOURCE)) == {"# noqa: T201"}


def test_no_function_is_longer_than_a_screen():
    functions = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.FunctionDef)]
    assert max(node.end_lineno - node.lineno for node in functions) < 35


def test_it_uses_no_dynamic_import_and_no_evaluation():
    names = {node.id for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Name)}
    assert not names & {"__import__", "eval", "exec", "compile", "globals", "importlib"}


def test_it_runs_as_a_script_away_from_the_repository(tmp_path):
    """With its table of statements, which is data."""
    script = tmp_path / "recheck.py"
    script.write_text(SOURCE)
    (tmp_path / "statements.toml").write_text(PATH.with_name("statements.toml").read_text())
    done = subprocess.run(
        [sys.executable, "-I", script, "--help"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0
    assert "Exit status" in done.stdout


def test_without_arguments_it_says_how_to_use_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", PATH], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "recheck FILE" in done.stderr
