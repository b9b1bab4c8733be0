"""Running a study: the same bits however often it is killed; a failed job does not stop the others."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.deep import metrics
from tests.support.stored_run import assert_same
from tests.support.studies import TWO_ARMS
from virel_common.terminal import DONE, FAILED
from virel_deep.commands.study import main_study
from virel_deep.run.folder import locked, read_config, seed_folder
from virel_deep.storage.checkpoint import load
from virel_deep.study.jobs import jobs_of, prepare
from virel_deep.study.plan import parse_study
from virel_deep.study.runner import Jobs, _Running
from virel_deep.study.worker import train_job

pytestmark = [pytest.mark.mujoco, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]
STEPS = 600
TEXT = (
    TWO_ARMS.replace(
        'environments = ["InvertedPendulum-v5", "Pendulum-v1"]', 'environments = ["InvertedPendulum-v5"]'
    )
    .replace("seeds = 4", "seeds = 2")
    .replace("steps = 2000", f"steps = {STEPS}\ncheckpoint_every = 100")
    .replace("data.batch = 16", "data.batch = 16\ndata.warmup = 20")
    .replace("[settings]", "[evaluation]\nevery = 200\n[settings]")
)
JOBS = ("sac-InvertedPendulum-v5", "td3-InvertedPendulum-v5")


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(TEXT)
    return tmp_path


def command(*arguments):
    return [sys.executable, "-m", "virel_common.command", "study", "run", "study.toml", *arguments]


def begin(folder, out, *arguments):
    return subprocess.Popen(
        command("--out", out, *arguments),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def finish(folder, out, *arguments, status=0):
    process = begin(folder, out, *arguments)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == status, said
    return said


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def saved(folder, jobs=1):
    """Whether so many jobs have a checkpoint."""
    return len({path.parents[2] for path in folder.glob("jobs/*/seed-*/checkpoints/step-*")}) >= jobs


def slowed(folder, steps="40000"):
    """The same study, too long to end before it is killed."""
    text = TEXT.replace(f"steps = {STEPS}", f"steps = {steps}")
    (folder / "study.toml").write_text(text)


def assert_equal_studies(a, b):
    for job in JOBS:
        for seed in ("seed-0", "seed-1"):
            assert metrics(a / "jobs" / job / seed) == metrics(b / "jobs" / job / seed)
            ends = [load(one / "jobs" / job / seed / "checkpoints") for one in (a, b)]
            assert {end.step for end in ends} == {STEPS}
            assert_same(ends[0].state, ends[1].state)


def test_a_study_killed_and_interrupted_ends_with_the_same_bits_and_table(study):
    for job in ("0", "1"):  # in this process, one after the other
        assert main_study(["run", "study.toml", "--out", "whole", "--job", job]) == 0
    process = begin(study, "cut", "--jobs", "1")
    wait_for(lambda: saved(study / "cut"))
    workers = children(process.pid)
    for pid in (process.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    process = begin(study, "cut")
    wait_for(lambda: len(children(process.pid)) > 0 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode in {0, 130}, said
    finish(study, "cut")
    assert_equal_studies(study / "whole", study / "cut")
    for out in ("whole", "cut"):
        assert main_study(["report", "study.toml", "--out", out]) == 0
    for name in (
        "table.md",
        "scores.csv",
        "InvertedPendulum-v5/curves.csv",
        "InvertedPendulum-v5/curves.svg",
    ):
        whole, cut = ((study / out / "report" / name).read_bytes() for out in ("whole", "cut"))
        assert whole == cut


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return list(map(int, path.read_text().split())) if path.exists() else []


@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        pytest.param(signal.SIGINT, False, marks=pytest.mark.long),
        (signal.SIGTERM, True),
        pytest.param(signal.SIGUSR1, False, marks=pytest.mark.long),
    ],
)
def test_a_signal_saves_where_the_jobs_are_and_says_how_to_continue(study, number, to_all):
    """`to_all`: as systemd sends it, and a scheduler that ends a control group: to the workers as well."""
    slowed(study)
    process = begin(study, "out", "--jobs", "2")
    wait_for(lambda: saved(study / "out", jobs=2))  # one that still imports has nothing to save
    for worker in children(process.pid) if to_all else ():
        os.kill(worker, number)
    os.killpg(process.pid, number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    assert "stopped; continue with: virel study run study.toml --out out --jobs 2" in said
    for job in JOBS:
        seeds = sorted((study / "out" / "jobs" / job).glob("seed-*"))
        (newest,) = {load(seed / "checkpoints").step for seed in seeds}
        assert newest >= max(metrics(seed)[-1]["step"] for seed in seeds)  # nothing that was logged is lost


def running(pid):
    path = Path(f"/proc/{pid}/stat")
    return path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"


def test_workers_save_and_stop_when_their_parent_is_killed(study):
    slowed(study)
    process = begin(study, "out", "--jobs", "2")
    wait_for(lambda: saved(study / "out", jobs=2))  # one that still imports would end without a word
    workers = children(process.pid)
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not any(map(running, workers)))
    for job in (study / "out" / "jobs").iterdir():
        assert not any(job.glob("seed-*/done.json"))
        assert "stopped at step" in (job / "log.txt").read_text()


@pytest.mark.parametrize("steps", [None, STEPS - 1, STEPS])
def test_a_job_is_complete_if_its_folder_says_so_and_not_by_its_exit_status_alone(study, steps):
    plan = parse_study(TEXT, "study.toml")
    job, _ = jobs_of(plan)
    run = prepare(study / "out", plan, job, "highest")
    for seed in (0, 1):
        seed_folder(run, seed).mkdir()
        if steps is not None:
            (seed_folder(run, seed) / "done.json").write_text(f'{{"step": {steps if seed else STEPS}}}')
    ended = _Running(job, run, SimpleNamespace(returncode=0))
    jobs, whole = Jobs([], 1), steps == STEPS
    assert jobs._status(ended) == (DONE if whole else FAILED)
    why = "its process ended with status 0; a new run continues it"
    assert jobs.failures == ({} if whole else {job.name: why})


def test_a_job_survives_environments_that_end_their_process(study, monkeypatch):
    job, _ = jobs_of(parse_study(TEXT, "study.toml"))
    run, asked = prepare(study / "out", parse_study(TEXT, "study.toml"), job, "highest"), []
    monkeypatch.setattr("virel_deep.study.worker.train", lambda *_, **how: asked.append(how) or DONE)
    assert train_job(run) == DONE
    assert asked == [
        {"jobs": 1, "survive": True}
    ]  # what that means is tested in `tests/deep/run/test_apart.py`


def test_a_job_waits_for_the_process_that_still_saves(study):
    assert main_study(["run", "study.toml", "--out", "out", "--job", "0"]) == 0
    run = study / "out/jobs" / JOBS[0]
    for done in run.glob("seed-*/done.json"):  # with them nothing would be left to train, and nothing locked
        done.unlink()
    with ExitStack() as held:
        held.enter_context(locked(run, read_config(run).seeds))
        assert train_job(run, patience=0) == FAILED
        threading.Timer(1.0, held.pop_all().close).start()
        assert train_job(run, patience=60) == 0


@pytest.mark.long
def test_one_job_of_an_array_runs_alone_in_this_process(study):
    finish(study, "out", "--job", "1")
    assert not (study / "out/jobs" / JOBS[0]).exists()
    assert (study / "out/jobs" / JOBS[1] / "seed-1/done.json").exists()
    assert "is finished" in finish(study, "out", "--job", "1")


@pytest.mark.long
def test_a_job_that_cannot_run_does_not_stop_the_others(study):
    finish(study, "out", "--job", "0")
    broken = study / "out/jobs" / JOBS[0]
    for path in broken.glob("seed-*/done.json"):
        path.unlink()
    for path in broken.glob("seed-0/checkpoints/*/state.json"):
        path.write_text("{")
    said = finish(study, "out", status=1)
    assert f"virel study: {JOBS[0]} failed, see out/jobs/{JOBS[0]}/log.txt" in said
    log = (broken / "log.txt").read_text()
    assert "seed-0" in log
    assert f"log.txt: {log.splitlines()[-1]}\n" in said
    assert (study / "out/jobs" / JOBS[1] / "seed-1/done.json").exists()


@pytest.mark.long
def test_a_job_that_another_process_holds_is_one_line(study, capsys):
    finish(study, "out", "--job", "0")
    run = study / "out/jobs" / JOBS[0]
    with locked(run, read_config(run).seeds[:1]):
        assert train_job(run, patience=0.3) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.long
def test_more_seeds_by_an_amendment_leave_those_that_are_done_alone(study):
    finish(study, "out")
    before = (study / "out/jobs" / JOBS[0] / "seed-0/metrics.jsonl").read_bytes()
    (study / "study.toml").write_text(TEXT.replace("seeds = 2", "seeds = 3"))
    said = finish(study, "out", status=2)
    assert said.count("\n") == 1
    assert "`amend` must say why study.toml differs" in said
    finish(study, "out", "--amend", "one more seed")
    assert (study / "out/jobs" / JOBS[0] / "seed-0/metrics.jsonl").read_bytes() == before
    assert (study / "out/jobs" / JOBS[0] / "seed-2/done.json").exists()
