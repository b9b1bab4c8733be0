import pytest

import tests.support.claims as fake
from verify.commands.documents import main_explain
from verify.engine import registry
from verify.report import explain, tables


def test_an_explanation_says_what_is_printed_what_came_out_and_what_holds(monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.REFUTED))
    assert main_explain(["refuted"]) == 0
    text = capsys.readouterr().out
    assert all(
        part in text
        for part in ("**As printed.** x < 17", "REFUTED", "x = 17", "**Corrected** (HOLDS", "count")
    )


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["no-such"],
        ["refuted", "--errata", "x.md"],
        ["refuted", "--seed", "-1"],
        ["refuted", "--record", "x"],
        ["--errata", "nowhere/x.md"],
    ],
)
def test_bad_input_is_one_line_and_status_2(monkeypatch, capsys, args):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.REFUTED))
    assert main_explain(args) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_error_is_minus_zero():
    row = {"verdict": "HOLDS", "expected": "HOLDS", "error": -0.0, "bound": 1e-9, "instances": 1}
    assert explain._verdict(row) == "**Verdict.** HOLDS (error 0 against the bound 1e-09); 1 instance."
    assert tables.number(-0.0) == "0.00e+00"


def test_a_check_that_raises_is_one_line_and_the_others_are_explained(monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.ERROR, fake.REFUTED))
    assert main_explain(["error", "refuted"]) == 1
    out, err = capsys.readouterr()
    assert err == "virel explain: error: ZeroDivisionError: a bug in the check; on x = 5\n"
    assert "**As printed.** x < 17" in out


def test_formulas_are_unicode_or_latex_as_asked(capsys):
    assert main_explain(["theorem-5-i"]) == 0
    assert "ω" in capsys.readouterr().out
    assert main_explain(["theorem-5-i", "--latex"]) == 0
    assert r"\omega" in capsys.readouterr().out
