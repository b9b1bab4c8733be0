"""A job that Ray or Dask has given up, with stand-ins for both packages."""

import sys
from concurrent.futures import BrokenExecutor
from types import ModuleType, SimpleNamespace

import pytest

from tests.support import jobs
from virel_common.engine import Engine
from virel_common.jobs import ended_jobs, run_jobs


def module(monkeypatch, name, **members):
    made = ModuleType(name)
    vars(made).update(members)
    monkeypatch.setitem(sys.modules, name, made)


class GaveUp(Exception):
    """What Ray and Dask raise for a task whose worker dies again and again."""


class Future:
    """A task of a stand-in: what it returns, or the exception for one that was given up."""

    key = "key"

    def __init__(self, function, job):
        self.function, self.job = function, job

    def result(self):
        if b"deadly" in self.job:
            raise GaveUp("the worker died\nand more")
        return self.function(self.job)


@pytest.fixture
def ray(monkeypatch):
    """A stand-in for Ray."""
    module(
        monkeypatch,
        "ray",
        init=lambda *_, **__: None,
        shutdown=lambda: None,
        cluster_resources=lambda: {"CPU": 1},
        remote=lambda **_: lambda function: SimpleNamespace(remote=lambda job: Future(function, job)),
        wait=lambda references, **_: (references[:1], references[1:]),
        get=Future.result,
        cancel=lambda _: None,
    )
    errors = {"NodeDiedError": GaveUp, "OutOfMemoryError": GaveUp, "WorkerCrashedError": GaveUp}
    module(monkeypatch, "ray.exceptions", **errors)
    monkeypatch.setattr("virel_common.ray_jobs._ray_task", run_here)
    return Engine("ray", "local")


class Client:
    """A stand-in for Dask's client."""

    loop = None

    def __init__(self, *_, **__): ...

    def __enter__(self):
        return self

    def __exit__(self, *_): ...

    def ncores(self):
        return {"worker": 1}

    def submit(self, function, job, **_):
        return Future(function, job)

    def cancel(self, futures): ...

    def run(self, *_, **__):
        return {}


@pytest.fixture
def dask(monkeypatch):
    def in_order(futures, **_):
        return futures

    module(monkeypatch, "distributed", Client=Client, as_completed=in_order, KilledWorker=GaveUp)
    monkeypatch.setattr("virel_common.dask_jobs._dask_task", run_here)
    monkeypatch.setattr("virel_common.dask_jobs.require_reachable", lambda _: None)
    return Engine("dask", "head:1")


def run_here(job):
    from virel_common.worker import _outcome  # noqa: PLC0415

    return _outcome(job)


@pytest.mark.parametrize("name", ["ray", "dask"])
def test_a_job_that_is_given_up_stops_no_other(request, monkeypatch, name):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    engine = request.getfixturevalue(name)
    one, two = ended_jobs(jobs.place, [("deadly",), ("harmless",)], engine=engine, jobs=1)
    assert isinstance(one.error, BrokenExecutor)
    assert str(one.error) == f"{engine} lost a job (the worker died)"
    assert two.result[0] == "harmless"
    with pytest.raises(BrokenExecutor, match=f"{engine} lost a job"):
        list(run_jobs(jobs.place, [("deadly",), ("harmless",)], engine=engine, jobs=1))
