"""Which files `virel recheck` reads: certificates, or a run's results for the certificates beside it."""

import pytest

from verify import recheck
from verify.proofs.run import certify_claim


def test_a_runs_results_file_stands_for_the_certificates_beside_it(tmp_path, capsys):
    folder = tmp_path / "certificates"
    folder.mkdir()
    (tmp_path / "results.json").write_text('{"schema": 1}')
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2  # nothing to check is no success
    certify_claim("eq-24", seed=0, out=folder, n_instances=3)
    assert recheck.main_recheck([str(tmp_path / "results.json"), str(folder / "eq-24-printed.json")]) == 0
    assert capsys.readouterr().out.count("all true") == 1


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("exists", [True, False])
def test_a_results_file_that_is_missing_or_without_certificates_is_rejected_beside_good_ones(
    tmp_path, capsys, exists, first
):
    certify_claim("eq-24", seed=0, out=tmp_path, n_instances=3)
    empty, good = tmp_path / "run" / "results.json", tmp_path / "eq-24-printed.json"
    if exists:
        empty.parent.mkdir()
        empty.write_text('{"schema": 1}')
    names = [str(empty), str(good)]
    assert recheck.main_recheck(names if first else names[::-1]) == 2
    out, err = capsys.readouterr()
    assert out == f"{good}: 3 certificates, all true\n"
    (line,) = err.splitlines()
    assert line.startswith(f"{empty}: rejected: ")
    assert ("no certificates beside it" in line) == exists


def test_a_missing_results_file_does_not_stand_for_what_is_beside_it(tmp_path):
    certify_claim("eq-24", seed=0, out=tmp_path / "certificates", n_instances=3)
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2


def test_messages_end_without_a_quote(tmp_path, capsys):
    recheck.main_recheck([str(tmp_path / "none.json")])
    assert capsys.readouterr().err.endswith("unreadable: No such file or directory\n")
