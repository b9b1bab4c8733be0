"""Running jobs: every one certifies and re-checks, the same seed writes the same bytes, files are whole."""

import pytest

from verify import recheck
from verify.proofs.certificate import content_hash, document, write
from verify.proofs.run import certify_claim
from verify.proofs.table import all_jobs

RATIONAL = set()
"""Claims with a form whose certificates the second checker decides too."""


@pytest.mark.parametrize("claim_id", sorted(all_jobs()))
def test_every_job_certifies_and_every_certificate_rechecks(claim_id, tmp_path, capsys):
    for row in certify_claim(claim_id, seed=3, out=tmp_path, n_instances=8):
        assert row.ok, row.reason
        assert recheck.main_recheck(["--second", str(tmp_path / row.file)]) == 0
    out = capsys.readouterr().out
    assert "all true" in out
    assert ("second checker: agrees" in out) == (claim_id in RATIONAL)


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        certify_claim("eq-24", seed=5, out=tmp_path / folder, n_instances=5)
    assert (tmp_path / "a/eq-24-printed.json").read_bytes() == (
        tmp_path / "b/eq-24-printed.json"
    ).read_bytes()


def test_the_hash_is_of_the_canonical_content():
    body = document([])
    digest = body.pop("sha256")
    assert digest == content_hash(dict(reversed(body.items())))


def test_an_unwritable_folder_leaves_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write(tmp_path / "file" / "c.json", [])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
