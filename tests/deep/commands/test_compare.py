"""`virel compare`: what it writes, prints and refuses."""

import numpy as np
import pytest

from tests.support.runs import ramp, write_run
from virel_deep.commands.results import main_compare


def test_runs_can_be_compared_at_equal_steps(two_runs, tmp_path):
    longer = write_run(tmp_path / "c", "td3", "Hopper-v5", np.hstack([ramp(900, 1300, 1500)] * 2))
    out = tmp_path / "out"
    assert main_compare([*map(str, (*two_runs, longer)), "--steps", "20000", "--out", str(out)]) == 0
    beta, td3 = [line for line in (out / "table.md").read_text().splitlines() if line.startswith("| Hop")][1:]
    assert beta.replace("beta", "td3") == td3
    assert "runs differ" not in (out / "table.md").read_text()


def test_no_evaluation_until_the_given_step_is_an_error(two_runs, tmp_path, capsys):
    assert main_compare([str(two_runs[0]), "--steps", "999", "--out", str(tmp_path / "out")]) == 2
    assert "`steps` must be at least 1000, the first evaluation of" in capsys.readouterr().err


def test_the_command_writes_everything_and_prints_the_table(two_runs, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert main_compare([*map(str, two_runs), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "curves.csv",
        "curves.png",
        "curves.svg",
        "table.md",
    ]
    assert "930 [775, 1085]" in (out / "table.md").read_text()
    assert "930 [775, 1085]" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["no-such-folder"], ["twice"]], ids=["none", "missing", "twice"])
def test_bad_arguments_are_one_line_and_status_2(two_runs, tmp_path, capsys, arguments):
    runs = [str(two_runs[0])] * 2 if arguments == ["twice"] else arguments
    assert main_compare([*runs, "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    capsys.readouterr()


def test_an_unwritable_folder_is_one_line_and_status_2(two_runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main_compare([*map(str, two_runs), "--out", str(tmp_path / "file")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`out` must be a writable folder" in line
