"""A job that can't start, ends badly or has damaged files fails alone, with the reason in its line."""

import io
import signal
from types import SimpleNamespace

import pytest
from rich.console import Console

from virel_common.errors import InputError
from virel_common.terminal import DONE, FAILED, INTERRUPTED
from virel_deep.study import runner
from virel_deep.study.display import Display
from virel_deep.study.runner import Jobs, _Running, last_line

JOB, OTHER = SimpleNamespace(name="first"), SimpleNamespace(name="second")


@pytest.fixture
def at_once(monkeypatch):
    """Processes that end at once, with status 0; folders that are complete."""
    ended = SimpleNamespace(poll=lambda: 0, returncode=0, pid=0)
    monkeypatch.setattr(runner.subprocess, "Popen", lambda *_, **__: ended)
    monkeypatch.setattr(runner, "all_done", lambda _: True)
    monkeypatch.setattr(runner, "POLL", 0.0)


def folders(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    return [(JOB, tmp_path / "first"), (OTHER, tmp_path / "second")]


@pytest.mark.usefixtures("at_once")
def test_a_log_that_cannot_be_opened_fails_one_job(tmp_path):
    work = folders(tmp_path)
    (tmp_path / "first" / "log.txt").mkdir()
    jobs = Jobs(work, 2)
    assert jobs.run(lambda _: None) == FAILED
    assert jobs.statuses == {"first": FAILED, "second": DONE}
    assert jobs.failures == {"first": f"{tmp_path}/first/log.txt: Is a directory"}


@pytest.mark.usefixtures("at_once")
def test_damaged_files_of_a_job_that_waits_fail_that_job(tmp_path):
    def may_start(job):
        if job is JOB:
            raise InputError("failure.json: damaged")
        return True

    jobs = Jobs(folders(tmp_path), 1, may_start)
    assert jobs.run(lambda _: None) == FAILED
    assert (jobs.statuses, jobs.waiting) == ({"second": DONE, "first": FAILED}, [])
    assert jobs.failures == {"first": "failure.json: damaged"}


def test_damaged_files_at_the_end_fail_the_job(tmp_path, monkeypatch):
    def damaged(_):
        raise InputError("done.json: damaged")

    monkeypatch.setattr(runner, "all_done", damaged)
    jobs = Jobs([], 1)
    assert jobs._status(_Running(JOB, tmp_path, SimpleNamespace(returncode=0))) == FAILED
    assert jobs.failures == {"first": "done.json: damaged"}


def test_a_second_signal_kills_and_that_is_no_failure(tmp_path, capsys):
    killed, sent = _Running(JOB, tmp_path, SimpleNamespace(returncode=-signal.SIGKILL)), []
    jobs = Jobs([], 1)
    assert jobs._status(killed) == FAILED  # by whom it was killed is not known
    process = SimpleNamespace(kill=lambda: sent.append("kill"), send_signal=sent.append)
    jobs = Jobs([], 1, running=[_Running(JOB, tmp_path, process)])
    jobs._pass_on(again=False)
    jobs._pass_on(again=False)
    assert jobs._status(killed) == FAILED
    jobs._pass_on(again=True)
    assert sent == [signal.SIGUSR1, "kill"]
    assert jobs._status(killed) == INTERRUPTED
    assert "first was killed; a new run continues from its newest checkpoints" in capsys.readouterr().err


def test_the_display_leaves_out_what_cannot_be_read(tmp_path):
    def state(job):
        if job is JOB:
            raise InputError("failure.json: damaged")
        return SimpleNamespace(
            job=SimpleNamespace(name="second", env=SimpleNamespace(length=SimpleNamespace(steps=100))),
            step=5,
            steps_per_second=None,
        )

    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    jobs = Jobs([], 1, running=[_Running(one, tmp_path, None) for one in (JOB, OTHER)])
    with Display(2, 0, state, console) as shown:
        shown(jobs)
    assert "second" in console.file.getvalue()
    assert "first" not in console.file.getvalue()


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("one\n", "one"), ("one\ntwo \n\n", "two"), ("x" * 9000 + "\nend", "end"), ("\n", "")],
)
def test_the_last_line_of_a_log(tmp_path, text, line):
    (tmp_path / "log.txt").write_text(text)
    assert last_line(tmp_path / "log.txt") == line
    assert last_line(tmp_path / "none.txt") == ""
