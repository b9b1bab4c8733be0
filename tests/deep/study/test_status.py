"""The expected wall time of a study's jobs, which are indivisible, and the states that `status` tells."""

import json

import numpy as np
import pytest

from tests.support.studies import study_of, write_jobs
from virel_deep.commands.study import main_study
from virel_deep.study.jobs import jobs_of
from virel_deep.study.probe import Speed
from virel_deep.study.status import plan_notes

ONE = ('environments = ["InvertedPendulum-v5", "Pendulum-v1"]', 'environments = ["Pendulum-v1"]')
THIRD = ("[arms.td3]", '[arms.third]\npreset = "sac"\n[arms.td3]')


@pytest.mark.parametrize(("cores", "hours"), [(1, "3.00 hours on 1 core."), (2, "2.00 hours on 2 cores.")])
def test_jobs_are_not_divided_among_cores(cores, hours):
    study = study_of(ONE, THIRD)
    jobs = jobs_of(study)
    speeds = {job.name: Speed(1.8, 0, 0, 1) for job in jobs}  # 2,000 steps: an hour
    assert f"Expected: 3.00 core hours, about {hours}" in plan_notes(study, jobs, speeds, cores)


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    study = study_of(ONE)
    (tmp_path / "study.toml").write_text(study.text)
    return write_jobs(tmp_path / "out", study, {("sac", "Pendulum-v1"): np.ones((4, 4))})


def status(out, capsys):
    code = main_study(["status", str(out.parent / "study.toml"), "--out", str(out)])
    return code, capsys.readouterr()


def test_a_damaged_job_does_not_keep_the_others_states_from_being_told(out, capsys):
    path = out / "jobs" / "td3-Pendulum-v1" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    code, said = status(out, capsys)
    assert code == 2
    assert "sac-Pendulum-v1   finished   2,000 of 2,000" in " ".join(said.out.split("│"))
    assert f"td3-Pendulum-v1 can't be read: {path}: not JSON" in " ".join(said.out.split())
    assert "1 of 2 jobs are finished." in said.out


def test_a_job_that_was_trained_beyond_the_plan_has_made_all_of_its_steps(out, capsys):
    row = json.dumps({"step": 4000, "kind": "eval", "wall": 9.0, "return": 1.0})
    for seed in out.glob("jobs/sac-Pendulum-v1/seed-*"):
        with (seed / "metrics.jsonl").open("a") as file:
            file.write(f"{row}\n")
    code, said = status(out, capsys)
    assert code == 1
    assert "2,000 of 2,000" in said.out
