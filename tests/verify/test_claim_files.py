import json
from pathlib import Path

import pytest

from verify.claim_files import claims_of, split_names
from verify.cli import main_verify
from verify.registry import resolve, select
from verify.runner import run_check
from virel_theory._validate import InputError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "my_claims.py"
CLAIM = """
from fake_claims import HOLDS
import dataclasses
def claim(name): return dataclasses.replace(HOLDS, id=name, figures=None)
"""


def test_the_worked_example_is_refuted_as_recorded_with_figure_and_report(tmp_path):
    assert main_verify([str(EXAMPLE), "--jobs", "2", "--out", str(tmp_path)]) == 0
    rows = {row["id"]: row for row in json.loads((tmp_path / "results.json").read_text())["claims"]}
    assert rows["my-boltzmann-non-expansion"]["verdict"] == "REFUTED"
    assert rows["my-boltzmann-non-expansion"]["corrected"]["verdict"] == "HOLDS"
    assert rows["my-mellowmax-contraction"]["verdict"] == "HOLDS"
    assert (tmp_path / "figures" / "my-boltzmann-lipschitz.csv").is_file()
    assert 'id="my-mellowmax-contraction"' in (tmp_path / "report.html").read_text()


def test_the_example_s_checks_have_teeth():
    for claim in claims_of(EXAMPLE):
        checks = [claim.check] + ([claim.correction.check] if claim.correction else [])
        assert not any(run_check(check, seed=0, perturb=1.0, shrink=False).ok for check in checks)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "defines no `CLAIMS`"),
        ("CLAIMS = ()", "non-empty tuple"),
        ("CLAIMS = (3,)", "found 3"),
        ("\nx = 1\ny = x / 0\nCLAIMS = ()", "mine.py:3: ZeroDivisionError"),
        ("\n\ndef f(:\n", "mine.py:3: SyntaxError"),
        ("import no_such_module", "mine.py:1: ModuleNotFoundError"),
        (CLAIM + "CLAIMS = (claim('mine'), claim('mine'))", "found twice: mine"),
        (CLAIM + "CLAIMS = (claim('theorem-3'),)", "'theorem-3' is taken"),
    ],
)
def test_a_broken_file_is_one_line_that_says_what_is_wrong(tmp_path, capsys, source, message):
    path = tmp_path / "mine.py"
    path.write_text(source)
    assert main_verify([str(path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.py: no such file"):
        claims_of(tmp_path / "nowhere.py")


def test_ids_and_files_can_be_mixed_and_each_runs_once():
    assert split_names(["a", "b.py", "a", "b.py"]) == (["a"], (Path("b.py"),))
    ids, files = resolve([str(EXAMPLE), "theorem-3"])
    assert ids == ["theorem-3", "my-boltzmann-non-expansion", "my-mellowmax-contraction"]
    assert [claim.id for claim in select(ids, files)] == ids
