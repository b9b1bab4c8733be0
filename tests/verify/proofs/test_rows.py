"""`virel verify --certify`: certificates, and CERTIFIED only where the printed statement was proved."""

import dataclasses

import pytest

from verify import recheck
from verify.proofs.rows import certifiable, certified_row, entered, summary
from verify.proofs.run import Certified


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


def test_a_claim_without_certifier_stays_and_the_files_recheck(tmp_path):
    rows = [row("eq-36", "HOLDS"), row("merl-counterexample", "HOLDS")]
    assert certifiable(rows) == ["merl-counterexample"]
    got = entered(rows, [certified_row("merl-counterexample", seed=0, out=tmp_path)])
    assert [r["verdict"] for r in got] == ["HOLDS", "CERTIFIED"]
    assert got[0] == rows[0]
    assert summary(got).startswith("200 certificates in 1 files")
    assert recheck.main_recheck([str(path) for path in tmp_path.glob("*.json")]) == 0
