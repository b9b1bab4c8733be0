"""Jobs on this machine, and names of engines; Ray and Dask themselves are met in `tests/cluster`."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.support import jobs
from virel_common import engine, worker
from virel_common.engine import Engine, parse_engine, require_reachable
from virel_common.errors import InputError
from virel_common.jobs import run_jobs

ROOT = Path(__file__).resolve().parents[2]


def started(tmp_path, *names):
    return lambda: all((tmp_path / f"{name}.started").exists() for name in names)


def processes(tmp_path, *names):
    return [int((tmp_path / f"{name}.started").read_text()) for name in names]


# --- results


def test_jobs_run_in_processes_of_their_own_in_this_folder_with_one_thread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = dict(run_jobs(jobs.place, [(10,), (11,), (12,)], jobs=2))
    assert {i: result[0] for i, result in results.items()} == {0: 10, 1: 11, 2: 12}
    assert {result[2:] for result in results.values()} == {(str(tmp_path), "1", os.getpid())}
    assert os.getpid() not in {result[1] for result in results.values()}


def test_results_come_in_the_order_in_which_jobs_end():
    order = [index for index, _ in run_jobs(jobs.place, [(0, 1.5), (1, 0.0)], jobs=2)]
    assert order == [1, 0]


def test_a_process_runs_one_job_after_the_other_and_ends_with_the_last():
    results = dict(run_jobs(jobs.place, [(0,), (1,), (2,)], jobs=1))
    (pid,) = {result[1] for result in results.values()}
    assert not jobs.alive(pid)


def test_keywords_travel_in_a_partial_function():
    ((_, result),) = run_jobs(partial(jobs.place, seconds=0.01), [("x",)], jobs=1)
    assert result[0] == "x"


def test_no_jobs_give_no_results():
    assert list(run_jobs(jobs.place, [], jobs=2)) == []


# --- jobs that fail


def test_a_job_whose_process_is_killed_starts_again(tmp_path):
    ((_, calls),) = run_jobs(jobs.dies_until, [(tmp_path / "calls", 2)], jobs=1)
    assert calls == 3


def test_a_job_that_kills_every_process_is_given_up(tmp_path):
    with pytest.raises(BrokenExecutor, match=r"died 3 times over one job \(exit status -9\)"):
        list(run_jobs(jobs.dies_until, [(tmp_path / "calls", 99)], jobs=2))
    assert (tmp_path / "calls").stat().st_size == 3


def test_an_exception_of_a_job_is_raised_here_with_the_traceback_of_there():
    with pytest.raises(ValueError, match="no such thing") as caught:
        list(run_jobs(jobs.fails, [("no such thing",)], jobs=1))
    assert "in fails" in "".join(caught.value.__notes__)


def test_an_exception_of_a_job_stops_the_others(tmp_path):
    with pytest.raises(TypeError):
        list(run_jobs(jobs.saves_when_asked, [(tmp_path / "a",), ()], jobs=2))
    assert not (tmp_path / "a.started").exists() or (tmp_path / "a.saved").exists()


def test_a_process_that_can_not_be_started_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError, match="/no/such/python"):
        list(run_jobs(jobs.place, [(0,)], jobs=1))


def test_a_result_that_does_not_travel_is_an_error_that_says_so():
    with pytest.raises(Exception, match="pickle"):
        list(run_jobs(jobs.returns_a_function, [()], jobs=1))


# --- an end before the end


def test_closing_the_generator_lets_running_jobs_save_and_starts_no_other(tmp_path):
    running = run_jobs(jobs.saves_when_asked, [(tmp_path / name,) for name in "abc"], jobs=2)
    waiting = threading.Thread(target=interrupt_when, args=(started(tmp_path, *"ab"),))
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        next(running)
    waiting.join()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.saved",
        "a.started",
        "b.saved",
        "b.started",
    ]
    assert not any(map(jobs.alive, processes(tmp_path, *"ab")))


def interrupt_when(condition):
    jobs.wait_for(condition)
    os.kill(os.getpid(), signal.SIGINT)


def test_a_job_that_will_not_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 0.5)
    running = run_jobs(jobs.never_stops, [(tmp_path / "a",)], jobs=1)
    waiting = threading.Thread(target=interrupt_when, args=(started(tmp_path, "a"),))
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        next(running)
    waiting.join()
    assert not any(map(jobs.alive, processes(tmp_path, "a")))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_parent_takes_its_workers_along(tmp_path):
    script = f"""
        from tests.support.jobs import never_stops
        from virel_common.jobs import run_jobs
        list(run_jobs(never_stops, [({str(tmp_path / "a")!r},)], jobs=1))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    try:
        jobs.wait_for(started(tmp_path, "a"))
    finally:
        parent.kill()
        parent.wait()
    (pid,) = processes(tmp_path, "a")
    jobs.wait_for(lambda: not jobs.alive(pid), seconds=10)


# --- names of engines


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda _: True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("ray://head:10001", "ray", "head:10001"),
        ("ray://auto", "ray", "auto"),
        ("ray://local", "ray", "local"),
        ("dask://[::1]:8786", "dask", "[::1]:8786"),
        ("dask://mäuse.example.org.:1", "dask", "mäuse.example.org.:1"),
    ],
)
def test_an_engine_is_read_as_it_is_typed(text, kind, address):
    assert parse_engine(text) == Engine(kind, address)
    assert str(parse_engine(text)) == text


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("slurm://head:1", "must be ray://HOST:PORT"),
        ("ray", "must be ray://HOST:PORT"),
        ("ray://", "must be ray://HOST:PORT"),
        ("ray://:1", "must be ray://HOST:PORT"),
        ("dask://auto", "must be ray://HOST:PORT"),
        ("dask://head/x:1", "must be ray://HOST:PORT"),
        ("dask://head:port", "must end with a port"),
        ("dask://head:0", "must end with a port"),
        ("ray://head:65536", "must end with a port"),
        ("ray://head:²", "must end with a port"),
        ("ray://a..b:1", "must name a host"),
        (f"dask://{'x' * 70}:1", "must name a host"),
    ],
)
def test_a_bad_name_is_one_line(text, rule):
    with pytest.raises(InputError) as caught:
        parse_engine(text)
    assert f"`engine` {rule}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_engine_whose_package_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs dask.*pip install '.\[cluster\]'"):
        parse_engine("dask://head:8786")


def test_an_address_where_nothing_listens_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        require_reachable(Engine("ray", f"127.0.0.1:{port}"))
    with pytest.raises(InputError, match=f"can't reach the engine dask://127.0.0.1:{port}") as caught:
        require_reachable(Engine("dask", f"127.0.0.1:{port}"))
    assert "\n" not in str(caught.value)


def test_importing_the_engine_loads_no_engine_and_no_numpy():
    heavy = {"numpy", "joblib", "ray", "distributed", "dask", "torch"}
    script = f"import sys, virel_common.jobs\nsys.exit(', '.join({heavy!r} & set(sys.modules)) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
