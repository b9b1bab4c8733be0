"""`virel study run` on an engine, with processes of this machine in its place: failures, stops, counts."""

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tests.support import lives
from tests.support.studies import TWO_ARMS, study_of, write_jobs
from virel_common import jobs
from virel_common.errors import InputError
from virel_common.terminal import FAILED, INTERRUPTED
from virel_common.worker import LIVES, Stopped
from virel_deep.commands import study, study_cluster

pytestmark = pytest.mark.mujoco


@pytest.fixture
def engine(monkeypatch):
    """Processes of this machine in the place of an engine; the number of jobs at a time that it is told."""
    told = []

    def here(function, runs, *, engine, jobs):
        told.append((engine, jobs))
        return ended(function, runs, jobs=1)

    ended = jobs.ended_jobs
    monkeypatch.setattr(study_cluster, "ended_jobs", here)
    monkeypatch.setattr(study_cluster, "train_to_the_end", lives.trains)
    monkeypatch.setattr(study_cluster, "job_state", lambda *_: SimpleNamespace(waits_for=None))
    return told


def run(tmp_path, *names, slots=1):
    work = [(SimpleNamespace(name=name), tmp_path / name) for name in names]
    for _, folder in work:
        folder.mkdir()
    return study_cluster.run_on_cluster(None, None, tmp_path, work, slots)


@pytest.mark.usefixtures("engine")
def test_a_job_that_dies_or_raises_is_named_and_the_others_are_continued_to_their_end(tmp_path, capsys):
    assert run(tmp_path, "killed", "one", "raises", "two", "fails") == (FAILED, [])
    said = capsys.readouterr().err
    died = "a worker process died 3 times over one job (exit status -9)"
    assert f"1 of 5 jobs ended: killed failed: BrokenExecutor: {died}" in said
    assert "2 of 5 jobs ended: one is finished\n" in said
    assert "3 of 5 jobs ended: raises failed: RuntimeError: not enough memory\n" in said
    assert "4 of 5 jobs ended: two is finished\n" in said
    assert f"5 of 5 jobs ended: fails failed, see {tmp_path}/fails/log.txt: this is why\n" in said
    assert "in trains" in (tmp_path / "raises" / "log.txt").read_text()
    assert not (tmp_path / "one" / "log.txt").exists()


@pytest.mark.usefixtures("engine")
def test_a_job_that_stops_in_all_its_lives_is_to_be_continued(tmp_path, capsys):
    assert run(tmp_path, "stops", "one") == (INTERRUPTED, [])
    said = capsys.readouterr().err
    assert f"1 of 2 jobs ended: stops was stopped: a signal stopped the job {LIVES} times\n" in said
    assert "2 of 2 jobs ended: one is finished\n" in said


@pytest.mark.parametrize(("slots", "told"), [(2, 2), (9, 3)])
def test_no_more_jobs_run_at_a_time_than_were_asked_for(engine, tmp_path, slots, told):
    run(tmp_path, "one", "two", "three", slots=slots)
    assert engine == [(None, told)]


def test_a_training_that_saves_and_stops_is_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "virel_deep.study.worker.train_job", lambda run: INTERRUPTED if run.name == "a" else FAILED
    )
    with pytest.raises(Stopped, match="a signal stopped a"):
        study_cluster.train_to_the_end(tmp_path / "a")
    assert study_cluster.train_to_the_end(tmp_path / "b") == FAILED


SAYS = """
import os, sys
from pathlib import Path
from virel_common.terminal import say
from virel_deep.commands.study_cluster import train_to_the_end
from virel_deep.study import worker

def train(run):
    say("it is damaged")
    os.write(1, b"by a library\\n")
    return 1

worker.train_job = train
say("before")
for run in sys.argv[1:]:
    assert train_to_the_end(Path(run)) == 1
say("after")
"""


def test_what_a_training_says_stands_in_the_log_of_its_run_and_nowhere_else(tmp_path):
    command = [sys.executable, "-c", SAYS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "before\nafter\n")
    assert (tmp_path / "log.txt").read_text() == "it is damaged\nby a library\n"
    command[-1] = str(tmp_path / "nowhere")  # no log can be written there
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("by a library\n", "before\nit is damaged\nafter\n")


# --- the command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TWO_ARMS)
    return tmp_path


@pytest.fixture
def many_cpus(monkeypatch):
    """64 CPUs, of which the control group of this process may use 2."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr("virel_common.machine.cpu_quota", lambda: 2.0)


def ray_that(monkeypatch, init):
    """A stand-in for the package Ray."""
    ray = ModuleType("ray")
    ray.init, ray.shutdown, ray.cluster_resources = init, lambda: None, lambda: {"CPU": 1}
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("virel_common.engine.find_spec", lambda _: ray)


@pytest.mark.parametrize("name", ["auto", "local"])
def test_a_ray_that_does_not_start_is_one_line_and_nothing_is_written(folder, monkeypatch, capsys, name):
    def init(*_, **__):
        raise RuntimeError("no Ray here\nat all")

    ray_that(monkeypatch, init)
    assert study.main_study(["run", "study.toml", "--engine", f"ray://{name}"]) == 2
    said = capsys.readouterr().err
    assert f"can't reach the engine ray://{name} (no Ray here)" in said
    assert said.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["study.toml"]


@pytest.mark.usefixtures("folder", "many_cpus")
@pytest.mark.parametrize(("option", "slots"), [([], 2), (["--jobs", "3"], 3)])
def test_a_ray_of_its_own_runs_as_many_jobs_at_a_time_as_this_machine_would(monkeypatch, option, slots):
    started = []
    ray_that(monkeypatch, lambda _, **options: started.append(options["num_cpus"]))

    def ended_jobs(*_, engine, jobs):
        started.append(jobs)
        raise InputError(f"`{engine}` must not start in a test; found {jobs}")
        yield

    monkeypatch.setattr(study_cluster, "ended_jobs", ended_jobs)
    assert study.main_study(["run", "study.toml", "--engine", "ray://local", *option]) == 2
    assert started == [slots, slots]


@pytest.mark.usefixtures("many_cpus")
@pytest.mark.parametrize(("threads", "jobs"), [(1, 2), (2, 1), (3, 1)])
def test_without_an_engine_no_more_jobs_start_than_the_control_group_has_cpus(
    monkeypatch, folder, threads, jobs
):
    (folder / "study.toml").write_text(TWO_ARMS + f"[run]\nthreads = {threads}\n")
    slots = []
    monkeypatch.setattr(study, "_here", lambda *arguments: (slots.append(arguments[-1]), (130, []))[1])
    assert study.main_study(["run", "study.toml"]) == INTERRUPTED
    assert slots == [jobs]


def test_one_job_that_is_finished_has_the_exit_status_of_its_first_run(folder, capsys):
    curves = {(arm, "Pendulum-v1"): [[0.0] * 4] * 4 for arm in ("sac", "td3")}
    curves |= {(arm, "InvertedPendulum-v5"): [[0.0] * 4] * 4 for arm in ("sac", "td3")}
    out = write_jobs(folder / "out", study_of(), curves, failed=[("sac-Pendulum-v1", 1, "diverged")])
    found = {}
    for job in range(4):
        status = study.main_study(["run", "study.toml", "--out", str(out), "--job", str(job)])
        found[capsys.readouterr().err] = status
    assert found.pop("sac-Pendulum-v1 is finished, 1 seeds failed\n") == 1
    assert set(found.values()) == {0}
