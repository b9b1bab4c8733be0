"""`virel study`: what each action prints, its exit status, and one line for bad input."""

import pytest

from tests.support.studies import TWO_ARMS, study_of, write_jobs
from virel_deep.commands.study import main_study

pytestmark = pytest.mark.mujoco
CURVES = {
    (arm, env): [[level + seed] * 4 for seed in range(4)]
    for arm, level in (("sac", 10.0), ("td3", 0.0))
    for env in ("InvertedPendulum-v5", "Pendulum-v1")
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TWO_ARMS)
    return tmp_path


def run(*argv):
    return main_study([argv[0], "study.toml", *argv[1:]])


def refused(capsys, *argv):
    """The one line on stderr of a command that is bad input; it leaves no folder behind."""
    assert main_study(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_plan_without_a_probe_lists_jobs_and_power_and_writes_nothing(folder, capsys):
    assert run("plan", "--no-probe") == 0
    said = capsys.readouterr().out
    assert [word in said for word in ("InvertedPendulum-v5", "sac", "td3", "2,000")] == [True] * 4
    assert "first: the smallest p-value that it can reach is 0.0002; it is decided alone at 0.05." in said
    assert study_of().sha256 in said
    assert [path.name for path in folder.iterdir()] == ["study.toml"]


@pytest.mark.long
@pytest.mark.slow
def test_the_probe_measures_every_job_and_holds_the_total_against_the_budget(folder, capsys):
    (folder / "study.toml").write_text(TWO_ARMS + "[budget]\ncore_hours = 1e-9\n")
    assert run("plan") == 0
    said = capsys.readouterr().out
    assert "It does not fit the budget of 1e-09 core hours" in said
    rows = [line.split() for line in said.splitlines() if "Pendulum-v" in line]
    rows = [row for row in rows if row[0].isdigit()]
    assert len(rows) == 4
    assert all(0 < float(row[5]) < 1000 for row in rows)  # milliseconds per step
    assert [path.name for path in folder.iterdir()] == ["study.toml"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("action", ["status", "report"])
def test_before_the_first_run_there_is_no_status_and_no_report(capsys, action):
    said = refused(capsys, action, "study.toml")
    assert "`out` must hold a study; out/study/study has no plan.json: begin with virel study run" in said


def test_status_says_how_far_each_job_is_and_exits_by_it(folder, capsys):
    out = write_jobs(folder / "out", study_of(), CURVES, unfinished=["td3-Pendulum-v1"])
    assert run("status", "--out", str(out)) == 1
    said = capsys.readouterr().out
    assert said.count(" finished ") == 3
    assert "unfinished" in said
    assert "3 of 4 jobs are finished." in said


def test_status_of_a_finished_study_exits_0_and_names_failed_seeds(folder, capsys):
    out = write_jobs(folder / "out", study_of(), CURVES, failed=[("sac-Pendulum-v1", 1, "diverged")])
    assert run("status", "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "finished, 1 failed" in said
    assert "sac-Pendulum-v1, seed 1: diverged at step 500: for the test" in said


@pytest.mark.long
def test_a_finished_study_has_nothing_to_run_and_a_diverged_seed_is_not_tried_again(folder, capsys):
    out = write_jobs(folder / "a", study_of(), CURVES)
    assert run("run", "--out", str(out)) == 0
    assert "every job of" in capsys.readouterr().err
    out = write_jobs(folder / "b", study_of(), CURVES, failed=[("sac-Pendulum-v1", 1, "diverged")])
    assert run("run", "--out", str(out)) == 1
    assert "1 seeds failed" in capsys.readouterr().err
    assert (out / "jobs/sac-Pendulum-v1/seed-1/failure.json").exists()


def test_the_report_prints_decisions_and_names_its_files(folder, capsys):
    out = write_jobs(folder / "out", study_of(), CURVES)
    assert run("report", "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "first: sac above td3: supported" in said
    assert f"{out}/report/index.html" in said


def test_a_changed_file_is_noticed_by_every_action_and_the_recorded_plan_stays_in_force(folder, capsys):
    out = write_jobs(folder / "out", study_of(), CURVES)
    (folder / "study.toml").write_text(TWO_ARMS.replace("level = 0.1", "level = 0.01"))
    for action in (["status"], ["plan", "--no-probe"]):
        run(*action, "--out", str(out))
        assert (
            "differs from the recorded plan, which is in force: decision.level: 0.1 -> 0.01"
            in capsys.readouterr().err
        )
    assert run("report", "--out", str(out)) == 0
    assert "without effect: decision.level: 0.1 -> 0.01" in (out / "report/report.md").read_text()
    capsys.readouterr()
    said = refused(capsys, "run", "study.toml", "--out", str(out))
    assert "`amend` must say why study.toml differs" in said


def test_jobs_have_the_numbers_of_the_recorded_plan_in_whatever_order_a_file_lists_the_arms(folder, capsys):
    out = write_jobs(folder / "out", study_of(), CURVES, unfinished=["td3-InvertedPendulum-v5"])
    sac, td3 = (f'[arms.{name}]\npreset = "{name}"\n' for name in ("sac", "td3"))
    assert sac + td3 in TWO_ARMS
    (folder / "study.toml").write_text(TWO_ARMS.replace(sac + td3, td3 + sac))
    assert run("plan", "--out", str(out), "--no-probe") == 0
    planned = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if "Pendulum-v" in line]
    assert planned[:4] == [["0", "sac"], ["1", "td3"], ["2", "sac"], ["3", "td3"]]
    assert run("run", "--out", str(out), "--job", "0") == 0
    assert "sac-InvertedPendulum-v5 is finished" in capsys.readouterr().err


BAD = [
    (["run", "nothing.toml"], "nothing.toml: No such file"),
    (["run", "study.toml", "--jobs", "0"], "`jobs` must be at least 1; found 0"),
    (["run", "study.toml", "--job", "4"], "`job` must be from 0 to 3"),
    (["run", "study.toml", "--job", "-1"], "`job` must be from 0 to 3"),
    (["run", "study.toml", "--amend", "why"], "`amend` must not be given"),
    (["start", "study.toml"], "unknown action 'start'; known: plan, run, status, report"),
]


@pytest.mark.parametrize(("argv", "message"), BAD, ids=[" ".join(argv) for argv, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing_behind(folder, capsys, argv, message):
    assert message in refused(capsys, *argv)
    assert [path.name for path in folder.iterdir()] == ["study.toml"]


def test_an_unknown_arm_is_one_line_and_leaves_nothing_behind(folder, capsys):
    (folder / "study.toml").write_text(TWO_ARMS.replace('than = "td3"', 'than = "ddpg"'))
    said = refused(capsys, "run", "study.toml")
    assert "study.toml: hypotheses[0].than` must be one of sac, td3; found 'ddpg'" in said
    assert [path.name for path in folder.iterdir()] == ["study.toml"]


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_usage_names_every_action(capsys, argv):
    assert main_study(argv) == 0
    said = capsys.readouterr().out
    assert all(f"virel study {action} " in said for action in ("plan", "run", "status", "report"))


@pytest.mark.parametrize("action", ["plan", "run", "status", "report"])
def test_every_action_has_its_own_help(capsys, action):
    assert main_study([action, "--help"]) == 0
    assert "Exit status: 0" in " ".join(capsys.readouterr().out.replace("│", " ").split())
