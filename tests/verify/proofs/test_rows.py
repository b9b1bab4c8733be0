"""`virel verify --certify`: certificates, and CERTIFIED only where the printed statement was proved."""

import dataclasses
import io

import pytest
from rich.console import Console

from tests.support.report_rows import row_of
from verify import recheck
from verify.engine.registry import all_claims
from verify.engine.results import as_recorded
from verify.proofs.rows import certifiable, certified_row, entered, summary
from verify.proofs.run import Certified
from verify.report.tables import findings


def row(claim_id, verdict):
    return {"id": claim_id, "verdict": verdict, "expected": verdict}


def certified(claim_id, **changes):
    plain = Certified(claim_id, "printed", False, 200, 0, "", "f.json", 1.0)
    return {"id": claim_id, "certificates": [dataclasses.asdict(dataclasses.replace(plain, **changes))]}


@pytest.mark.parametrize(
    ("verdict", "changes", "found", "expected"),
    [
        ("HOLDS", {}, "CERTIFIED", "CERTIFIED"),
        ("HOLDS", {"undecided": 1}, "HOLDS", "CERTIFIED"),
        ("HOLDS", {"certified": 0}, "HOLDS", "CERTIFIED"),
        ("REFUTED", {}, "REFUTED", "CERTIFIED"),
        ("ERROR", {}, "ERROR", "CERTIFIED"),
    ],
)
def test_a_holding_claim_is_certified_if_every_instance_is(verdict, changes, found, expected):
    (got,) = entered([row("eq-24", verdict)], [certified("eq-24", **changes)])
    assert (got["verdict"], got["expected"]) == (found, expected)


def test_a_refuted_claim_stays_refuted_with_its_certified_counterexample():
    (got,) = entered([row("theorem-3", "REFUTED")], [certified("theorem-3", refutes=True, certified=1)])
    assert (got["verdict"], got["expected"]) == ("REFUTED", "REFUTED")
    assert got["certificates"][0]["ok"]


def test_a_certifier_that_raised_is_no_proof():
    (got,) = entered([row("eq-24", "HOLDS")], [{"id": "eq-24", "exception": "ValueError: why"}])
    assert (got["verdict"], got["expected"]) == ("HOLDS", "CERTIFIED")
    assert "why" in summary([got])


JOBS_OF = {
    "theorem-3": [("printed", True), ("corrected", False)],
    "theorem-4": [("printed", True), ("corrected", False)],
    "eq-11": [("printed", False), ("step-1", True)],
}
"""Forms that have a proof job, and whether it refutes."""


def recorded(claim_id):
    """The row of a claim whose checks came out as recorded, and whose proofs are in order."""
    one = row_of(all_claims()[claim_id])
    outcomes = [
        dataclasses.asdict(Certified(claim_id, form, refutes, 1, 0, "", f"{form}.json", 1.0))
        for form, refutes in JOBS_OF[claim_id]
    ]
    return one, {"id": claim_id, "certificates": outcomes}


@pytest.mark.parametrize("claim_id", JOBS_OF)
def test_a_row_is_as_recorded_only_if_each_of_its_proofs_is_there(claim_id):
    """Whatever the verdict: refutations, corrected forms and steps are proofs that were asked for too."""
    one, found = recorded(claim_id)
    (good,) = entered([one], [found])
    assert as_recorded(good)
    for k, (form, _) in enumerate(JOBS_OF[claim_id]):
        outcomes = [dict(x) for x in found["certificates"]]
        outcomes[k] |= {"certified": 0, "undecided": 1, "reason": "why", "file": ""}
        (bad,) = entered([one], [{"id": claim_id, "certificates": outcomes}])
        assert not as_recorded(bad), form
        (without,) = entered([one], [{"id": claim_id, "certificates": outcomes[:k] + outcomes[k + 1 :]}])
        assert not as_recorded(without), form


@pytest.mark.parametrize("certified_rows", [[], [{"id": "theorem-3", "exception": "ValueError: why"}]])
def test_a_certifier_that_raised_or_returned_nothing_leaves_every_form_unproved(certified_rows):
    one, _ = recorded("theorem-3")
    (got,) = entered([one], certified_rows)
    assert [(x["form"], x["refutes"], x["ok"]) for x in got["certificates"]] == [
        ("printed", True, False),
        ("corrected", False, False),
    ]
    assert not as_recorded(got)
    text = plain(findings([got]))
    assert "theorem-3: its form printed was not proved; its form corrected was not proved" in text
    assert "fails its own check" not in text


def plain(renderable):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_the_files_of_a_summary_are_those_that_were_written():
    whole, part = (
        certified("eq-24", **x) for x in ({}, {"certified": 0, "undecided": 1, "file": "", "reason": "why"})
    )
    assert summary(entered([row("eq-24", "HOLDS")], [whole])).startswith("200 certificates in 1 files")
    text = summary(entered([row("eq-24", "HOLDS")], [part]))
    assert text.startswith("0 certificates in 0 files")
    assert text.endswith("undecided: eq-24 (printed): why")


def test_a_claim_without_certifier_stays_and_the_files_recheck(tmp_path):
    rows = [row("eq-36", "HOLDS"), row("merl-counterexample", "HOLDS")]
    assert certifiable(rows) == ["merl-counterexample"]
    got = entered(rows, [certified_row("merl-counterexample", seed=0, out=tmp_path)])
    assert [r["verdict"] for r in got] == ["HOLDS", "CERTIFIED"]
    assert got[0] == rows[0]
    assert summary(got).startswith("200 certificates in 1 files")
    assert recheck.main_recheck([str(path) for path in tmp_path.glob("*.json")]) == 0
