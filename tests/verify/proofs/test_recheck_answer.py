"""What `virel recheck` says of a file: the statement in words and as a formula, on how many instances."""

import json

import pytest

from tests.support.proofs import JOBS
from verify import recheck
from verify.checker.answer import WORDS
from verify.checker.binding import REFUTATIONS
from verify.commands.recheck import main_recheck
from verify.proofs.certificate import document, write
from verify.proofs.run import certify_claim


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("certificates")
    for claim_id in ("eq-24", "theorem-3", "design-06", "eq-41"):
        certify_claim(claim_id, seed=0, out=out, n_instances=3)
    return out


def test_every_statement_has_words_and_a_refutation_is_called_one():
    assert set(WORDS) == set(recheck.CLAIMS)
    assert {f"{claim_id} {job.form}" for claim_id, job in JOBS if job.refutes} == REFUTATIONS


def test_the_answer_fits_eighty_columns_and_says_what_is_proved(folder, capsys):
    assert recheck.main_recheck([str(path) for path in sorted(folder.glob("*.json"))]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if not line.startswith("/")) <= 80
    block = out[out.index("  eq-24 printed") :].splitlines()[:5]
    assert block == [
        "  eq-24 printed: proved on 3 instances",
        "    chain rule: the joint KL is that of the states plus the expected KL of the",
        "      policies",
        "    for mdp, q, pi_theta, d, eps:",
        "      KL(u, p_omega) == KL(d, by(p_omega)) + EKL",
    ]
    assert out.splitlines()[-2] == "14 certificates in 6 files, all true by the formulas of statements.toml,"


def test_as_json_it_says_the_same(folder, capsys):
    path = str(folder / "theorem-3-printed.json")
    assert recheck.main_recheck(["--json", path, str(folder / "none")]) == 2
    found, missing = json.loads(capsys.readouterr().out)["files"]
    assert (found["file"], found["status"], missing["status"]) == (path, 0, 2)
    (statement,) = found["statements"]
    assert (statement["claim"], statement["form"], statement["kind"]) == (
        "theorem-3",
        "printed",
        "refutation",
    )
    assert statement["facts"] == recheck.CLAIMS["theorem-3 printed"][1:]
    assert (statement["certificates"], statement["instances"]) == (1, 1)


def test_a_file_named_for_another_claim_says_what_it_holds(folder, tmp_path, capsys):
    path = tmp_path / "theorem-3-corrected.json"
    path.write_bytes((folder / "eq-24-printed.json").read_bytes())
    assert recheck.main_recheck([str(path)]) == 0
    assert "  eq-24 printed: proved on 3 instances\n" in capsys.readouterr().out


def test_copies_count_once_and_several_claims_of_a_file_are_told_apart(folder, tmp_path, capsys):
    (entry, *_), (other, *_) = (
        json.loads((folder / name).read_text())["certificates"]
        for name in ("eq-24-printed.json", "theorem-3-printed.json")
    )
    body = document([]) | {"certificates": [entry] * 200 + [other]}
    path = tmp_path / "c.json"
    path.write_text(json.dumps(_signed(body)))
    assert recheck.main_recheck([str(path)]) == 0
    out = capsys.readouterr().out
    assert "eq-24 printed: proved on 1 instance, 200 times in the file" in out
    assert "theorem-3 printed: refuted by 1 counterexample" in out


def _signed(body):
    from verify.proofs.certificate import content_hash  # noqa: PLC0415

    body = {key: x for key, x in body.items() if key != "sha256"}
    return body | {"sha256": content_hash(body)}


def test_a_file_without_certificates_proves_nothing(tmp_path, capsys):
    write(tmp_path / "c.json", [])
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 2
    assert "no certificates" in capsys.readouterr().err


def test_both_checkers_are_heard_and_the_second_says_what_it_cannot_decide(folder, capsys):
    assert recheck.main_recheck(["--second", *map(str, sorted(folder.glob("*.json")))]) == 0
    out = capsys.readouterr().out
    assert "second checker: agrees on 3 of 3\n" in out
    assert "; the others need " in out


def test_the_command_helps_and_complains(capsys):
    assert main_recheck(["--help"]) == 0
    out = capsys.readouterr().out
    assert "--mdp" in out
    assert max(map(len, out.splitlines())) <= 80
    assert main_recheck([]) == 2
    assert "FILE" in capsys.readouterr().err
