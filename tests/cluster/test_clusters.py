"""Real clusters on loopback: same bits as one machine, a killed worker, an interrupt, a wrong address.

Each cluster has two workers with one CPU each, so that two jobs run at a time. The tests of one engine share
a cluster and run in the order of this file. The last of them kills a worker.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import NoneType

import pytest

from tests.support import jobs, lives
from virel_common.engine import parse_engine
from virel_common.errors import InputError
from virel_common.jobs import ended_jobs, run_jobs

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CLAIMS = ("eq-24", "eq-23", "app-d4-factorisation", "theorem-3")
"""Quick claims; the last one has figures."""
HEAD, SECOND = "127.0.0.2", "127.0.0.3"
"""Loopback addresses of the Ray nodes; Ray would replace 127.0.0.1 by an address that others can reach."""

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def tree(pid):
    """A process and its descendants, as far as they are there."""
    import psutil  # noqa: PLC0415

    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def service(log, *command):
    """A process that is ended with the block, and then killed with all that it has started."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=log.parent)
        try:
            yield process
        finally:
            started = tree(process.pid)
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            kill_all(started)
            process.wait()


def kill_all(processes):
    import psutil  # noqa: PLC0415

    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


@contextmanager
def ray_cluster(folder):
    """The engine's name, and what kills one of its two nodes."""
    pytest.importorskip("ray")
    gcs, client = free_port(), free_port()
    common = ["--block", "--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
    head = ["--head", f"--port={gcs}", f"--ray-client-server-port={client}", "--include-dashboard=false"]
    ports = ["--min-worker-port=0", "--max-worker-port=0"]
    temporary = Path("/tmp") / f"virel-ray-{os.getpid()}"  # a socket's path has at most 107 characters
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        options = [*head, *common, *ports, f"--node-ip-address={HEAD}", f"--temp-dir={temporary}"]
        stack.enter_context(service(folder / "head.log", BIN / "ray", "start", *options))
        wait_for_port(HEAD, client)
        join = [f"--address={HEAD}:{gcs}", *common, *ports, f"--node-ip-address={SECOND}"]
        second = stack.enter_context(service(folder / "second.log", BIN / "ray", "start", *join))
        jobs.wait_for(lambda: "Ray runtime started" in (folder / "second.log").read_text())
        (raylet,) = raylets(second.pid)
        yield f"ray://{HEAD}:{client}", raylet.kill


def raylets(pid):
    return [process for process in tree(pid) if process.name() == "raylet"]


@contextmanager
def dask_cluster(folder):
    """The engine's name, and what kills one of its two workers."""
    pytest.importorskip("distributed")
    port = free_port()
    with ExitStack() as stack:
        scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        stack.enter_context(service(folder / "scheduler.log", BIN / "dask", *scheduler))
        wait_for_port("127.0.0.1", port)
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)]
        workers = [
            stack.enter_context(
                service(folder / f"{i}.log", BIN / "dask", "worker", f"tcp://127.0.0.1:{port}", *options)
            )
            for i in range(2)
        ]
        for i in range(2):
            jobs.wait_for(lambda i=i: "Registered to" in (folder / f"{i}.log").read_text())
        yield f"dask://127.0.0.1:{port}", workers[1].kill


def wait_for_port(host, port):
    def listens():
        with socket.socket() as client:
            return client.connect_ex((host, port)) == 0

    jobs.wait_for(listens)


@pytest.fixture(scope="module", autouse=True)
def private_ray():
    """No token, which Ray would keep in the home folder, and no report of usage to its makers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


CLUSTERS = {"ray": ray_cluster, "dask": dask_cluster}


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request, tmp_path_factory):
    with CLUSTERS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


def on_two(function, arguments, engine=None):
    return dict(run_jobs(function, arguments, engine=engine and parse_engine(engine), jobs=2))


def test_jobs_run_on_both_workers_in_this_folder(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = on_two(partial(jobs.place, seconds=1.0), [(i,) for i in range(4)], cluster[0])
    assert [results[i][0] for i in range(4)] == [0, 1, 2, 3]
    assert len({result[1] for result in results.values()}) == 4  # each job has a process of its own
    assert len({result[4] for result in results.values()}) == 2  # which one of two workers has started
    assert {result[2:4] for result in results.values()} == {(str(tmp_path), "1")}


def test_an_exception_travels(cluster):
    with pytest.raises(ValueError, match="no such thing"):
        on_two(jobs.fails, [("no such thing",)], cluster[0])


def test_a_job_that_fails_stops_no_other_and_one_that_is_stopped_starts_again(cluster, tmp_path):
    good, raises, killed = (tmp_path / name for name in ("good", "raises", "killed"))
    found = ended_jobs(
        lives.trains, [(good,), (raises,), (killed,), (good,)], engine=parse_engine(cluster[0]), jobs=2
    )
    by_number = {one.number: one for one in found}
    assert [by_number[i].result for i in range(4)] == [0, None, None, 0]
    assert [type(by_number[i].error) for i in range(4)] == [NoneType, RuntimeError, BrokenExecutor, NoneType]
    stopped = [(str(tmp_path / "twice"), 2), (str(tmp_path / "never"), 0)]
    ended = ended_jobs(lives.stopped_until, stopped, engine=parse_engine(cluster[0]), jobs=2)
    again = {one.number: one.result for one in ended}
    assert again == {0: 3, 1: 1}


def test_an_interrupt_lets_running_jobs_save_and_starts_no_other(cluster, tmp_path):
    def interrupt():
        jobs.wait_for(lambda: len(list(tmp_path.glob("*.started"))) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        on_two(jobs.saves_when_asked, [(tmp_path / name,) for name in "abcd"], cluster[0])
    waiting.join()
    started = {path.stem for path in tmp_path.glob("*.started")}
    assert len(started) == 2
    assert {path.stem for path in tmp_path.glob("*.saved")} == started


def test_a_folder_that_workers_do_not_see_is_one_line(cluster, tmp_path, monkeypatch):
    folder = tmp_path / "here-only"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("virel_common.jobs.Path.cwd", lambda: Path("/nowhere"))
    with pytest.raises(InputError, match="has no folder /nowhere"):
        on_two(jobs.place, [(0,)], cluster[0])


def verify(out, *arguments):
    command = [sys.executable, "-m", "virel_common.command", "verify", *CLAIMS, "--out", str(out)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((out / "results.json").read_text())
    for row in document["claims"]:
        row.pop("seconds")
    return document, {path.name: path.read_bytes() for path in (out / "figures").glob("*.csv")}


@pytest.fixture(scope="module")
def verified_here(tmp_path_factory):
    return verify(tmp_path_factory.mktemp("here") / "out", "--jobs", "2")


def test_verify_gives_the_same_results_and_figures_as_one_machine(cluster, verified_here, tmp_path):
    document, data = verify(tmp_path / "out", "--engine", cluster[0])
    assert document == verified_here[0]
    assert data == verified_here[1]
    assert data


def new_runs(folder):
    from tests.support.deep import small_run  # noqa: PLC0415

    runs = [folder / f"run-{i}" for i in range(3)]
    for seed, run in enumerate(runs):
        small_run(run, "sac", "InvertedPendulum-v5", steps=STEPS, seeds=(seed,), checkpoint_every=100)
    return runs


STEPS = 1500


@pytest.fixture(scope="module")
def trained_here(tmp_path_factory):
    pytest.importorskip("torch")
    from virel_deep.run.launch import train  # noqa: PLC0415

    runs = new_runs(tmp_path_factory.mktemp("here"))
    assert set(on_two(partial(train, jobs=1), [(run,) for run in runs]).values()) == {0}
    return runs


STUDY = """
title = "Two arms"
environments = ["InvertedPendulum-v5"]
seeds = 2
steps = 400
precision = "highest"
[evaluation]
every = 200
[settings]
hidden = [8, 8]
data.batch = 16
data.warmup = 50
[arms.sac]
preset = "sac"
[arms.td3]
preset = "td3"
"""


def study(folder, *arguments):
    """The rows of every seed of a small study, without what a clock says."""
    from tests.support.deep import metrics  # noqa: PLC0415

    (folder / "two.toml").write_text(STUDY)
    command = [sys.executable, "-m", "virel_common.command", "study", "run", "two.toml", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seeds = sorted((folder / "out" / "jobs").glob("*/seed-*"))
    return {f"{seed.parent.name}/{seed.name}": metrics(seed) for seed in seeds}


@pytest.fixture(scope="module")
def studied_here(tmp_path_factory):
    pytest.importorskip("torch")
    return study(tmp_path_factory.mktemp("study-here"), "--jobs", "2")


def test_a_study_has_the_bits_of_one_machine(cluster, studied_here, tmp_path):
    found = study(tmp_path, "--engine", cluster[0])
    assert len(found) == 4
    assert found == studied_here


def test_trainings_with_a_killed_worker_end_with_the_bits_of_one_machine(cluster, trained_here, tmp_path):
    from tests.support.deep import differing, metrics  # noqa: PLC0415
    from virel_deep.run.launch import train  # noqa: PLC0415
    from virel_deep.storage.checkpoint import load  # noqa: PLC0415

    engine, kill = cluster
    runs = new_runs(tmp_path)
    unfinished = []

    def kill_in_the_middle():
        jobs.wait_for(lambda: sum(any(run.glob("seed-*/checkpoints/step-*")) for run in runs) == 2)
        unfinished.extend(run for run in runs if not any(run.glob("seed-*/done.json")))
        kill()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    statuses = on_two(partial(train, jobs=1), [(run,) for run in runs], engine)
    killer.join()
    assert unfinished == runs
    assert statuses == {0: 0, 1: 0, 2: 0}
    for seed, (run, reference) in enumerate(zip(runs, trained_here, strict=True)):
        here, there = reference / f"seed-{seed}", run / f"seed-{seed}"
        assert metrics(there) == metrics(here)
        assert differing(load(there / "checkpoints").state, load(here / "checkpoints").state) == []


@pytest.mark.parametrize("kind", CLUSTERS)
def test_something_else_that_listens_is_one_line_in_time(kind):
    pytest.importorskip({"ray": "ray", "dask": "distributed"}[kind])
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and never answers
        name = f"{kind}://127.0.0.1:{server.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(InputError, match=f"can't reach the engine {name}") as caught:
            on_two(jobs.place, [(0,)], name)
    assert time.monotonic() - start < 25
    assert "\n" not in str(caught.value)
