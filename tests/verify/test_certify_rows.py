"""`virel verify --certify`: certificates, and CERTIFIED only where the printed statement was proved."""

import dataclasses

import pytest

from verify import recheck
from verify.certify.rows import certify_rows, entered, summary
from verify.certify.run import Certified


def row(claim_id, verdict):
    return {"id": claim_id, "verdict": verdict, "expected": verdict}


def outcome(claim_id, **changes):
    plain = Certified(claim_id, "printed", False, 200, 0, "", "f.json", 1.0)
    return dataclasses.replace(plain, **changes)


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
    got = entered(row("eq-24", verdict), [outcome("eq-24", **changes)])
    assert (got["verdict"], got["expected"]) == (found, expected)


def test_a_refuted_claim_stays_refuted_with_its_certified_counterexample():
    got = entered(row("theorem-3", "REFUTED"), [outcome("theorem-3", refutes=True, certified=1)])
    assert (got["verdict"], got["expected"]) == ("REFUTED", "REFUTED")
    assert got["certificates"][0]["ok"]


@pytest.mark.slow
def test_two_workers_certify_and_a_claim_without_certifier_stays(tmp_path):
    rows = [row("eq-40", "HOLDS"), row("eq-02", "HOLDS"), row("merl-counterexample", "HOLDS")]
    got = certify_rows(rows, seed=0, out=tmp_path, jobs=2)
    assert [r["verdict"] for r in got] == ["CERTIFIED", "HOLDS", "CERTIFIED"]
    assert got[1] == rows[1]
    assert summary(got).startswith("400 certificates in 2 files")
    assert recheck.main_recheck([str(path) for path in tmp_path.glob("*.json")]) == 0
