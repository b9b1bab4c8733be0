"""Which files `virel recheck` reads: certificates, or a run's results for the certificates beside it."""

import pytest

from verify import recheck
from verify.proofs.run import certify_claim

RESULTS = '{"schema": 2, "claims": []}'


def test_results_without_certificates_are_no_success(tmp_path, capsys):
    (tmp_path / "results.json").write_text(RESULTS)
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2
    assert "no certificates beside it" in capsys.readouterr().err


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("exists", [True, False])
def test_bad_results_are_rejected_beside_good_certificates(tmp_path, capsys, exists, first):
    certify_claim("eq-24", seed=0, out=tmp_path, n_instances=3)
    empty, good = tmp_path / "run" / "results.json", tmp_path / "eq-24-printed.json"
    if exists:
        empty.parent.mkdir()
        empty.write_text(RESULTS)
    names = [str(empty), str(good)]
    assert recheck.main_recheck(names if first else names[::-1]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"{good}\n  eq-24 printed: proved on 3 instances\n")
    assert err.startswith(f"{empty}: rejected: ")


def test_a_missing_results_file_does_not_stand_for_what_is_beside_it(tmp_path):
    certify_claim("eq-24", seed=0, out=tmp_path / "certificates", n_instances=3)
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2


def test_messages_end_without_a_quote(tmp_path, capsys):
    recheck.main_recheck([str(tmp_path / "none.json")])
    assert capsys.readouterr().err.endswith("unreadable: No such file or directory\n")
