import re
from pathlib import Path

import pytest

import tests.support.claims as fake
from tests.support.report_rows import document_of
from verify.commands.documents import main_explain
from verify.engine import registry
from verify.engine.results import write_json

ROOT = Path(__file__).resolve().parents[3]


def test_an_explanation_says_what_is_printed_what_came_out_and_what_holds(monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.REFUTED))
    assert main_explain(["refuted"]) == 0
    text = capsys.readouterr().out
    assert all(
        part in text
        for part in ("**As printed.** $x < 17$", "REFUTED", "x 17", "**Corrected** (HOLDS", "count")
    )


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["no-such"],
        ["refuted", "--errata", "x.md"],
        ["refuted", "--seed", "-1"],
        ["--errata", "x.md", "--jobs", "0"],
    ],
)
def test_bad_input_is_one_line_and_status_2(monkeypatch, capsys, args):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.REFUTED))
    assert main_explain(args) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_errata_come_from_an_earlier_run_if_it_is_complete_and_of_this_seed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.HOLDS, fake.REFUTED, fake.GAP))
    write_json(tmp_path / "results.json", document_of([fake.HOLDS, fake.REFUTED, fake.GAP]))
    out = tmp_path / "errata.md"
    assert main_explain(["--errata", str(out), "--results", str(tmp_path)]) == 0
    assert "from" in capsys.readouterr().err
    assert "S" in out.read_text()
    assert "x 17" not in out.read_text()  # the stored counterexample, not a new one
    assert main_explain(["--errata", str(out), "--results", str(tmp_path), "--seed", "1", "--jobs", "1"]) == 0
    assert "x 17" in out.read_text()


def test_a_check_that_raises_is_one_line_and_the_others_are_explained(monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.ERROR, fake.REFUTED))
    assert main_explain(["error", "refuted"]) == 1
    out, err = capsys.readouterr()
    assert err == "virel explain: error: ZeroDivisionError: a bug in the check\n"
    assert "**As printed.** $x < 17$" in out


@pytest.mark.parametrize("file", ["nowhere/errata.md", "."])
def test_a_place_where_the_errata_cannot_be_is_found_before_anything_runs(
    tmp_path, monkeypatch, capsys, file
):
    monkeypatch.setattr("verify.commands.documents._all_rows", pytest.fail)
    path = tmp_path / file
    assert main_explain(["--errata", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"virel explain: {path}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"seed": None}, {"schema": 99}], ids=["seed", "schema"])
def test_a_damaged_earlier_run_is_not_used_for_the_errata(tmp_path, monkeypatch, change):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.REFUTED))
    document = document_of([fake.REFUTED]) | change
    if document["seed"] is None:
        del document["seed"]
    write_json(tmp_path / "results.json", document)
    out = tmp_path / "errata.md"
    assert main_explain(["--errata", str(out), "--results", str(tmp_path), "--jobs", "1"]) == 0
    assert "x 17" in out.read_text()  # a new counterexample, not the stored one


def test_docs_errata_lists_the_false_claims_on_record_as_they_are_printed():
    """After a change to the registry: `virel verify && virel explain --errata docs/errata.md`."""
    text = (ROOT / "docs" / "errata.md").read_text()
    claims = registry.all_claims().values()
    false = [claim for claim in claims if claim.printed and claim.expected in {"REFUTED", "GAP"}]
    assert sorted(re.findall(r"^## ([^:]+):", text, flags=re.MULTILINE)) == sorted(
        claim.id for claim in false
    )
    missing = [claim.id for claim in false if f"**As printed.** ${claim.statement}$" not in text]
    assert missing == []
