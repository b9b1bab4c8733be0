"""The second checker: its own parser and arithmetic, and what it says where the first one errs."""

import json
from fractions import Fraction

import pytest

from tests.support.proofs import JOBS
from tests.support.tampering import signed
from verify import recheck
from verify.checker.second.deciding import certificate_holds
from verify.checker.second.errors import CannotDecide, Wrong
from verify.checker.second.point import Point
from verify.checker.second.table import formula_of
from verify.proofs.run import certify_claim

MDP = {
    "n_states": 2,
    "n_actions": 2,
    "gamma": "1/2",
    "initial": ["1/3", "2/3"],
    "pairs": [
        [0, 0, "1", [[0, "1/4"], [1, "3/4"]]],
        [0, 1, "2", [[0, "1"]]],
        [1, 0, "-1", [[1, "1"]]],
    ],
}


def value(text, **parts):
    found = Point({"mdp": MDP, **parts}, ["mdp", *parts]).evaluate(formula_of(text), {})
    return [x.a for x in found] if isinstance(found, list) else found.a


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("7 - 2 - 1", 4),
        ("-2 * 3 + 8 / 4 / 2", -5),
        ("2 * (3 - -1)", 8),
        ("by(q)", [5, 5]),
        ("top(q)", [3, 5]),
        ("lowest(q)", [0, 1, 1]),
        ("lowest(0 * q)", [1, 0, 1]),
        ("E(top(q))", [Fraction(9, 2), 3, 5]),
        ("T(q)", [Fraction(13, 4), Fraction(7, 2), Fraction(3, 2)]),
        ("into(q)", [Fraction(7, 2), Fraction(13, 2)]),
        ("q - by(q)", [-3, -2, 0]),
        ("xlog(0 * q, 0 * q, q)", [0, 0, 0]),
        ("mean(q)", Fraction(10, 3)),
        ("A", 2),
        ("min(q) + max(q)", 7),
        ("D(square(q + h) / (1 + h))", [0, -3, -15]),
        ("chance_of_walk()", [Fraction(1, 3), Fraction(1, 3), Fraction(2, 3)]),
    ],
)
def test_formulas_are_evaluated_as_by_hand(text, wanted):
    assert value(text, q=["2", "3", "5"]) == wanted


@pytest.mark.parametrize("text", ["exp(q)", "log(1 + square(q))", "boltzmann", "softmax(q)"])
def test_what_is_not_rational_is_not_decided(text):
    with pytest.raises(CannotDecide):
        value(text, q=["2", "3", "5"], eps="1")


@pytest.mark.parametrize("text", ["1 / (q - 2)", "log(-1)", "d + f"])
def test_what_has_no_value_is_wrong(text):
    with pytest.raises(Wrong):
        value(text, q=["2", "3", "5"], d=["1", "0"], f=["1", "2", "3", "4"])


@pytest.mark.parametrize("text", ["1 +* 2", "q $ 2", "(1", "f(1"])
def test_what_is_no_formula_is_not_read(text):
    with pytest.raises((Wrong, IndexError)):
        formula_of(text)


RATIONAL = [
    (claim_id, job) for claim_id, job in JOBS if claim_id in ("eq-41", "corollary-1-hence", "app-f1-gradient")
]


@pytest.mark.parametrize(("claim_id", "job"), RATIONAL, ids=[f"{c}-{job.form}" for c, job in RATIONAL])
def test_what_the_first_checker_would_let_through_is_false_for_the_second(
    claim_id, job, tmp_path, monkeypatch, capsys
):
    """Planted: identities of the first checker always hold, and so do its enclosures."""
    certify_claim(claim_id, seed=0, out=tmp_path, n_instances=2)
    path = tmp_path / f"{claim_id}-{job.form}.json"
    body = json.loads(path.read_text())
    body.pop("sha256")
    instance = body["certificates"][0]["instance"]
    part = next(name for name in ("q_star", "zeta", "tables", "q") if name in instance)
    rows = instance[part] if isinstance(instance[part][0], list) else [instance[part]]
    rows[-1][0] = str(Fraction(rows[-1][0]) + 1)
    path.write_bytes(signed(body))
    monkeypatch.setattr("verify.checker.proving.prove", lambda *args: [args[2][key] for key in list(args[2])])
    assert recheck.main_recheck([str(path)]) == 0
    capsys.readouterr()
    if job.refutes:
        body["certificates"][0]["result"][0]["enclosure"] = ["0p0", "1p0"]
        path.write_bytes(signed(body))
    assert recheck.main_recheck(["--second", str(path)]) == 1
    assert "the second checker disagrees: false" in capsys.readouterr().err


def test_nothing_in_a_certificate_goes_unread():
    parts = {"mdp": MDP, "pi": ["1/2", "1/2", "1"]}
    result = [{"enclosure": ["1p0", "1p0"], "component": 0}]
    entry = {"claim": "design-05", "form": "printed", "instance": parts, "result": result}
    certificate_holds(entry)
    for changed in (
        entry | {"extra": 1},
        entry | {"instance": parts | {"q": ["1", "1", "1"]}},
        entry | {"instance": {"mdp": MDP | {"extra": 1}, "pi": parts["pi"]}},
        entry | {"result": [result[0] | {"64": ["0p0", "0p0"]}]},
        entry | {"result": result * 2},
    ):
        with pytest.raises(Wrong):
            certificate_holds(changed)
