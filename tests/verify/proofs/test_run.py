"""Running jobs: every one certifies and re-checks, the same seed writes the same bytes, files are whole."""

import pytest

from verify import recheck
from verify.checker.second.table import definitions, formula_of, rules
from verify.proofs import run
from verify.proofs.certificate import Undecided, content_hash, document, write
from verify.proofs.run import certify_claim
from verify.proofs.table import all_jobs


def names_in(tree):
    """Names and functions in a formula, and in the definitions that it uses."""
    kind, head, *rest = tree
    own = {head} if kind in ("name", "call") else set()
    inner = [head, *rest] if kind not in ("name", "call", "number") else rest[0] if kind == "call" else []
    used = [definitions()[name][1] for name in own & definitions().keys()]
    return own.union(*map(names_in, [*inner, *used]))


def is_rational(statement):
    """Whether no formula of a statement has an exponential, a logarithm or a self-consistent temperature."""
    parts, *facts = rules()[statement]
    names = set().union(*(names_in(formula_of(fact)[k]) for fact in facts for k in (1, 2)))
    return not names & {"exp", "log", "xlog"} and "ends" not in parts.split()


@pytest.mark.parametrize("n_instances", [2, pytest.param(8, marks=pytest.mark.long)])
@pytest.mark.parametrize("claim_id", sorted(all_jobs()))
def test_every_job_certifies_and_every_certificate_rechecks(claim_id, n_instances, tmp_path, capsys):
    """The second checker agrees wherever the statement is about rational numbers."""
    for row in certify_claim(claim_id, seed=3, out=tmp_path, n_instances=n_instances):
        assert row.ok, row.reason
        assert recheck.main_recheck(["--second", str(tmp_path / row.file)]) == 0
        out = capsys.readouterr().out
        assert "all true" in out
        if is_rational(f"{claim_id} {row.form}"):
            assert f"second checker: agrees on {row.certified} of {row.certified}\n" in out


def test_dozens_of_statements_are_about_rational_numbers():
    assert sum(map(is_rational, rules())) >= 30
    assert is_rational("eq-41 corrected")
    assert not is_rational("eq-24 printed")


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        certify_claim("eq-24", seed=5, out=tmp_path / folder, n_instances=5)
    assert (tmp_path / "a/eq-24-printed.json").read_bytes() == (
        tmp_path / "b/eq-24-printed.json"
    ).read_bytes()


def test_a_proof_that_fails_after_some_instances_leaves_no_certificate(tmp_path, monkeypatch):
    """Else its file would be of those instances that can be proved, chosen after the fact."""
    proof, n_proved = run._proof, []

    def failing(job, claim_id, x):
        n_proved.append(x)
        return Undecided(claim_id, job.form, "planted") if len(n_proved) > 5 else proof(job, claim_id, x)

    monkeypatch.setattr(run, "_proof", failing)
    (row,) = certify_claim("eq-24", seed=0, out=tmp_path, n_instances=8)
    assert (row.ok, row.certified, row.undecided, row.file, row.sha256) == (False, 0, 1, "", "")
    assert row.reason == "planted"
    assert list(tmp_path.iterdir()) == []


def test_a_proof_without_an_instance_that_says_something_fails_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "is_trivial", lambda *_: True)
    (row,) = certify_claim("eq-24", seed=0, out=tmp_path, n_instances=3)
    assert (row.ok, row.certified, row.file) == (False, 0, "")
    assert row.reason == "no instance was drawn on which the statement says something"


def test_the_hash_is_of_the_canonical_content():
    body = document([])
    digest = body.pop("sha256")
    assert digest == content_hash(dict(reversed(body.items())))


def test_an_unwritable_folder_leaves_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "c.json", [])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
