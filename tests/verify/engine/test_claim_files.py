import json
from pathlib import Path

import pytest

from verify.commands.documents import main_explain, main_figures
from verify.commands.verify import main_verify
from verify.engine import registry
from verify.engine.claim_files import claims_of, mistakes, split_names
from verify.engine.registry import resolve, select
from verify.engine.runner import run_check
from virel_common.errors import InputError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "my_claims.py"
CLAIM = """
from tests.support.claims import HOLDS
import dataclasses
def claim(name): return dataclasses.replace(HOLDS, id=name, figures=None)
"""
WITH = """
from tests.support.claims import HOLDS
from verify.engine.claim import Check, Correction, Step
from verify.engine.verdict import Verdict
import dataclasses
CLAIMS = (dataclasses.replace(HOLDS, id="mine", {}),)
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
        ("import sys\nsys.exit(0)", "mine.py:2: SystemExit: 0"),
        (CLAIM + "CLAIMS = (claim('mine'), claim('mine'))", "found twice: mine"),
        (CLAIM + "CLAIMS = (claim(5),)", "claim 5: `id` must be a string of valid Unicode; found 5"),
        (WITH.format("source=7"), "`source` must be a string of valid Unicode; found 7"),
        (WITH.format("title='\\ud800'"), r"`title` must be a string of valid Unicode; found '\ud800'"),
        (WITH.format("expected='FOO'"), "`expected` must be Verdict; found 'FOO'"),
        (WITH.format("check=len"), "`check` must be Check; found <built-in"),
        (WITH.format("figures=3"), "`figures` must be a function or None; found 3"),
        (WITH.format("steps=(3,)"), "`steps` must be a tuple of Step; found (3,)"),
        (WITH.format("steps=(Step('a', 4, HOLDS.check),)"), "`steps.statement` must be a string"),
        (
            WITH.format("correction=Correction('a', 'b', None)"),
            "`correction.check` must be Check; found None",
        ),
        (WITH.format("check=Check(len, 5)"), "`check.instances` must be SearchStrategy; found 5"),
        (WITH.format("expected=Verdict.REFUTED"), "`expected` is REFUTED: give the claim a `correction`"),
        (CLAIM + "CLAIMS = (claim('theorem-3'),)", "'theorem-3' is taken"),
    ],
)
def test_a_broken_file_is_one_line_that_says_what_is_wrong(tmp_path, capsys, source, message):
    path = tmp_path / "mine.py"
    path.write_text(source)
    assert main_verify([str(path), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("main", [main_explain, main_figures])
def test_a_file_that_exits_is_no_success_for_any_command(tmp_path, capsys, main):
    path = tmp_path / "mine.py"
    path.write_text("raise SystemExit(0)")
    assert main([str(path)]) == 2
    assert "mine.py:1: SystemExit: 0" in capsys.readouterr().err


BAD_GAPS = (
    CLAIM
    + """
import os, sys
from tests.support.claims import INTEGERS
from verify.engine.claim import Check
def ends(x, perturb): sys.exit(0)
def dies(x, perturb): os._exit(0)
def plots(seed): sys.exit(0)
def broken(name, gap): return dataclasses.replace(claim(name), check=Check(gap, INTEGERS))
"""
)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_gap_function_that_exits_is_an_error_row_and_status_1(tmp_path, jobs):
    path, out = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(BAD_GAPS + "CLAIMS = (broken('mine-a', ends), claim('mine-b'))")
    assert main_verify([str(path), "--jobs", jobs, "--out", str(out)]) == 1
    bad, good = json.loads((out / "results.json").read_text())["claims"]
    assert (bad["verdict"], bad["exception"], good["verdict"]) == ("ERROR", "SystemExit: 0", "HOLDS")


def test_every_claim_on_record_passes_the_checks_of_a_file():
    assert [mistake for claim in registry.all_claims().values() for mistake in mistakes(claim)] == []


def test_figures_that_exit_are_an_error_and_explain_names_the_check_that_does(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(BAD_GAPS + "CLAIMS = (dataclasses.replace(broken('mine', ends), figures=plots),)")
    assert main_figures([str(path), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 1
    assert main_explain([str(path)]) == 1
    err = capsys.readouterr().err
    assert "virel figures: mine: SystemExit: 0" in err
    assert "virel explain: mine: SystemExit: 0" in err


@pytest.mark.long
def test_a_worker_that_dies_is_one_line_status_1_and_nothing_written(tmp_path, capfd):
    path, out = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(BAD_GAPS + "CLAIMS = (broken('mine-a', dies), broken('mine-b', dies))")
    assert main_verify([str(path), "--jobs", "2", "--out", str(out)]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("virel verify: a worker process died")
    assert list(out.iterdir()) == []


def test_two_figures_of_one_name_are_refused(tmp_path, capsys):
    path, out = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(
        "import dataclasses\nfrom tests.support.claims import HOLDS\n"
        "CLAIMS = [dataclasses.replace(HOLDS, id=name) for name in ('mine-a', 'mine-b')]"
    )
    for main in (main_verify, main_figures):
        assert main([str(path), "--jobs", "1", "--out", str(out)]) == 2
        assert "figure names must differ; found twice: holds-squares" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.py: no such file"):
        claims_of(tmp_path / "nowhere.py")


def test_ids_and_files_can_be_mixed_and_each_runs_once():
    assert split_names(["a", "b.py", "a", "b.py"]) == (["a"], (Path("b.py"),))
    ids, files = resolve([str(EXAMPLE), "theorem-3"])
    assert ids == ["theorem-3", "my-boltzmann-non-expansion", "my-mellowmax-contraction"]
    assert [claim.id for claim in select(ids, files)] == ids
