"""`virel compare`: what it writes, prints and refuses."""

import json

import numpy as np
import pytest

from tests.support.runs import ramp, write_raw, write_run
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


@pytest.fixture
def failed(tmp_path):
    """A run whose only seed diverged before its first evaluation."""
    folder = write_run(tmp_path / "failed", "td3", "Hopper-v5", np.ones((1, 0)), steps=20_000)
    failure = {"step": 400, "what": "diverged", "detail": "q is nan"}
    (folder / "seed-0" / "failure.json").write_text(json.dumps(failure))
    return folder


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_run_with_only_a_failed_seed_is_named_and_the_others_are_compared(
    two_runs, failed, tmp_path, capsys, place
):
    runs, outs = list(two_runs), [tmp_path / "with", tmp_path / "without"]
    assert main_compare([*map(str, runs), "--out", str(outs[1])]) == 0
    assert capsys.readouterr().err == ""
    runs.insert(place, failed)
    assert main_compare([*map(str, runs), "--out", str(outs[0])]) == 0
    why = f"{failed} is left out: seed 0 failed at step 400 (diverged) and does not count"
    assert capsys.readouterr().err == f"virel compare: {why}\n"
    found, expected = ((out / "table.md").read_text() for out in outs)
    assert found == f"{expected}- {why}.\n"


def test_a_run_without_an_evaluation_until_the_given_step_is_left_out(two_runs, tmp_path, capsys):
    late = write_run(tmp_path / "c", "td3", "Hopper-v5", np.ones((2, 4)), every=5000)
    assert (
        main_compare([*map(str, two_runs), str(late), "--steps", "3000", "--out", str(tmp_path / "o")]) == 0
    )
    said = capsys.readouterr()
    assert said.err == f"virel compare: {late} is left out: its first evaluation is at step 5000\n"
    assert "td3" not in said.out


def test_if_no_run_is_left_each_is_named_in_one_line_and_nothing_is_written(failed, tmp_path, capsys):
    empty = write_raw(tmp_path / "empty", {"preset": "sac", "env": "Hopper-v5", "steps": 1000}, [])
    for runs in ([failed], [failed, empty]):
        assert main_compare([*map(str, runs), "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert all(str(run) in line for run in runs)
    assert "no seed-<s> folder" in line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run_is_still_an_error(two_runs, tmp_path):
    (tmp_path / "folder").mkdir()
    assert main_compare([*map(str, two_runs), str(tmp_path / "folder"), "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_empty_cells_of_negative_returns_are_explained_on_the_terminal_and_in_the_table(tmp_path, capsys):
    runs = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(-900, -300))
        for env in ("Pendulum-v1", "Pusher-v5")
        for preset in ("sac", "td3")
    ]
    assert main_compare([*map(str, runs), "--out", str(tmp_path / "out")]) == 0
    note = (
        "- No final return / that of sac over 2 environments: a ratio says nothing where a seed of it has a"
    )
    assert note in " ".join(capsys.readouterr().out.split())
    assert note in (tmp_path / "out" / "table.md").read_text()


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
    (line,) = capsys.readouterr().err.splitlines()
    if arguments == ["no-such-folder"]:
        what = "no-such-folder/config.json: No such file or directory"
        assert line == f"virel compare: `run` must be a run folder; {what}"


def test_an_unwritable_folder_is_one_line_and_status_2(two_runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main_compare([*map(str, two_runs), "--out", str(tmp_path / "file")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`out` must be a writable folder" in line
