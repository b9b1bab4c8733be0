"""Run independent jobs on an engine: the cores of this machine, a Ray cluster or a Dask cluster.

On each engine a job runs in a worker process with one numerical thread (`virel_common.worker`).
The engines differ in who starts that process, and where. Ray and Dask are used through their own task
interfaces, because joblib's backends for them can't do what long jobs need:

- joblib's Ray backend is a pool of actors. It has no generators (`supports_return_generator` is False), binds
  each job to one actor when it is handed over, and does not restart an actor that died
  (`ray/util/joblib/ray_backend.py`, `ray/util/multiprocessing/pool.py`).
- joblib's Dask backend streams results and lets the scheduler retry, but it tells `Parallel` of successes
  only. After a job that Dask has given up, its generator waits for ever (`joblib/_dask.py`, `_collect`).
- Neither stops a job that runs: it goes on after the command that wanted it has ended.
"""

import logging
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

from virel_common.errors import InputError, require
from virel_common.terminal import say
from virel_common.worker import GRACE, LIVES, POLL, Unwanted, Worker, pack, pack_failure, unpack

TIMEOUT = 15.0
"""Seconds that an engine has to answer."""
FORMS = "ray://HOST:PORT, ray://auto, ray://local or dask://HOST:PORT"
PACKAGES = {"ray": "ray", "dask": "distributed"}
IN_PLACE_OF_AN_ADDRESS = {("ray", "auto"), ("ray", "local")}


class Engine(NamedTuple):
    """Kind and address of a cluster; on the command line `ray://head:10001` is `("ray", "head:10001")`."""

    kind: str
    address: str

    def __str__(self) -> str:
        """Name of the cluster as typed on the command line, such as `ray://head:10001`."""
        return f"{self.kind}://{self.address}"


def parse_engine(text: str) -> Engine:
    """Parse the name of a cluster, such as `ray://head:10001`, into its kind and address.

    Raises:
        InputError: the text has none of the forms `FORMS`, or the engine's package is not installed.

    Example:
        >>> parse_engine("slurm://head")
        Traceback (most recent call last):
        virel_common.errors.InputError: `engine` must be ray://HOST:PORT, ray://auto, ray://local or \
dask://HOST:PORT; found 'slurm://head'
    """
    kind, separator, address = text.partition("://")
    require(bool(separator) and kind in PACKAGES, "engine", text, f"must be {FORMS}")
    if (kind, address) not in IN_PLACE_OF_AN_ADDRESS:
        host, _, port = address.rpartition(":")
        require(bool(host) and "/" not in address, "engine", text, f"must be {FORMS}")
        valid = port.isascii() and port.isdigit() and 0 < int(port) < 2**16
        require(valid, "engine", text, "must end with a port between 1 and 65535")
    if find_spec(PACKAGES[kind]) is None:
        raise InputError(
            f"`engine` {text} needs {kind}, which is not installed: pip install 'virel[cluster]'"
        )
    return Engine(kind, address)


def require_reachable(engine: Engine) -> None:
    """Raise `InputError` unless something listens at the cluster's address.

    A cheap look before anything is written. Whether it is Ray or Dask that listens, `run_jobs` finds out.
    """
    if (engine.kind, engine.address) in IN_PLACE_OF_AN_ADDRESS:
        return
    host, _, port = engine.address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT) as connection:
            if engine.kind == "dask":  # its scheduler speaks first; Dask's client would wait for it for ever
                connection.recv(1)
    except OSError as error:
        raise _unreachable(engine, error.strerror or error) from None


def run_jobs(
    function: Callable[..., Any],
    argument_list: Sequence[tuple[Any, ...]],
    *,
    engine: Engine | None = None,
    jobs: int,
) -> Generator[tuple[int, Any]]:
    """Run every job `function(*argument_list[i])`; yield `(i, result)` in the order in which jobs end.

    Jobs must be restartable. A job whose process, worker or machine is lost starts again, on another machine
    if need be; a training then continues from its checkpoint. Closing the generator, or an interrupt, sends
    SIGTERM to the processes of all running jobs, on every machine, and SIGKILL after `GRACE` seconds.
    A training saves its state in between. No job starts after that.

    Every job runs in the working folder of this process, so paths may be relative. On a cluster that folder
    must be on a file system that all workers share.

    Args:
        function: a function that workers can import by its name, or a `functools.partial` of one.
        argument_list: one tuple of arguments per job; they are pickled.
        engine: None means processes on this machine, each of which runs one job after the other. On a cluster
            each job gets a new process.
        jobs: how many jobs run at a time on this machine. On a cluster each job takes one CPU, and as many
            run as the cluster has.

    Raises:
        InputError: the engine can't be reached, has no CPUs, or its workers lack this package or folder.
        BrokenExecutor: a job was lost `LIVES` times, or the connection to the cluster was.
        Exception: whatever a job raises; the other jobs are stopped.
    """
    packed = [pack(function, args, str(Path.cwd())) for args in argument_list]
    if engine is None:
        ended = _on_this_machine(packed, jobs)
    elif engine.kind == "ray":
        ended = _on_ray(engine, packed, jobs)
    else:
        ended = _on_dask(engine, packed)
    try:
        for index, outcome in ended:
            yield index, unpack(outcome)
    except ModuleNotFoundError as error:
        if engine is None:
            raise
        raise _not_installed(engine, error.name) from error
    finally:
        ended.close()


Ended = Generator[tuple[int, bytes]]
"""Jobs as they end: their index and packed outcome."""


def _on_this_machine(packed: Sequence[bytes], jobs: int) -> Ended:
    waiting: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
    ended: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
    stop = Event()
    for job in enumerate(packed):
        waiting.put(job)

    def run(worker: Worker, job: bytes) -> bytes:
        try:
            return worker.run(job)
        except OSError as error:  # no process can be started
            return pack_failure(error)

    def work() -> None:
        with suppress(Empty, Unwanted), Worker(lambda: not stop.is_set()) as worker:
            while not stop.is_set():
                index, job = waiting.get_nowait()
                ended.put((index, run(worker, job)))

    threads = [Thread(target=work, daemon=True) for _ in range(min(jobs, len(packed)))]
    try:
        for thread in threads:
            thread.start()
        for _ in packed:
            yield ended.get()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _on_ray(engine: Engine, packed: Sequence[bytes], jobs: int) -> Ended:
    import ray  # noqa: PLC0415

    with _connected_to_ray(engine, jobs), _losses_named(engine):
        task = ray.remote(num_cpus=1, max_retries=LIVES - 1)(_ray_task)
        running = {task.remote(job): index for index, job in enumerate(packed)}
        try:
            while running:
                done, _ = ray.wait(list(running), timeout=1.0)
                for reference in done:
                    yield running.pop(reference), ray.get(reference)
        finally:
            for reference in running:  # raises KeyboardInterrupt in `_ray_task`, which stops its process
                ray.cancel(reference)
            if running:
                ray.wait(list(running), num_returns=len(running), timeout=GRACE)


def _ray_task(job: bytes) -> bytes:
    """Run a pickled job on a Ray worker, where `ray.cancel` acts like Ctrl-C; return its pickled outcome."""
    # A shell that starts Ray in the background has it, and so its workers, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Worker() as process:
        return process.run(job)


@contextmanager
def _connected_to_ray(engine: Engine, jobs: int) -> Iterator[None]:
    # Read when Ray is imported: how long its client waits, and whether it reports usage to its makers.
    os.environ.setdefault("RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S", "3")
    os.environ.setdefault("RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S", "5")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415

    named = (engine.kind, engine.address) in IN_PLACE_OF_AN_ADDRESS
    require_reachable(engine)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if engine.address == "local":
        options |= {"num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(engine.address if named else str(engine), **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _unreachable(engine, error) from None
    try:
        cpus = ray.cluster_resources().get("CPU", 0)
        require(cpus >= 1, "engine", str(engine), "must be a cluster with at least one CPU")
        yield
    finally:
        ray.shutdown()


def _on_dask(engine: Engine, packed: Sequence[bytes]) -> Ended:
    from distributed import Client, as_completed  # noqa: PLC0415

    require_reachable(engine)
    try:
        client = Client(f"tcp://{engine.address}", timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise _unreachable(engine, error) from None
    with client, _losses_named(engine):
        if not client.ncores():
            say(f"{engine} has no worker yet; the jobs wait for the first one")
        running = {client.submit(_dask_task, job, pure=False): index for index, job in enumerate(packed)}
        try:
            for future in as_completed(list(running), loop=client.loop):
                yield running.pop(future), future.result()
        finally:
            client.cancel(list(running))  # `_dask_task` sees it, and stops its process
            _wait_for_the_end_of({future.key for future in running}, client)


def _dask_task(job: bytes) -> bytes:
    """Run a pickled job on a Dask worker, asking often if it was cancelled; return its pickled outcome."""
    from distributed import get_worker  # noqa: PLC0415

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    with Worker(wanted) as process:
        return process.run(job)


def _wait_for_the_end_of(keys: set[Any], client: Any) -> None:
    """Wait until no Dask worker runs a task with one of these keys, or until `GRACE` seconds are over."""
    end = time.monotonic() + GRACE
    while keys and time.monotonic() < end and any(client.run(_runs_one_of, keys, on_error="ignore").values()):
        time.sleep(POLL)


def _runs_one_of(keys: set[Any], dask_worker: Any) -> bool:
    return not keys.isdisjoint(dask_worker.active_keys)


@contextmanager
def _losses_named(engine: Engine) -> Iterator[None]:
    """Turn the exceptions of Ray and Dask for a lost job or connection into `InputError` or `BrokenExecutor`.

    Raises:
        InputError: the cluster can't import this package.
        BrokenExecutor: anything else. What a job raises is none of this: it travels in the job's outcome.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if missing := re.search(r"No module named '([\w.]+)'", str(error)):
            raise _not_installed(engine, missing[1]) from error
        raise BrokenExecutor(f"{engine} lost a job ({_first_line(error)})") from error


def _not_installed(engine: Engine, name: str | None) -> InputError:
    return InputError(f"a machine of {engine} lacks {name}; install the packages of this machine on each")


def _unreachable(engine: Engine, reason: object) -> InputError:
    advice = {
        "ray": "HOST:PORT is where Ray's client server listens, port 10001 if Ray was not told another",
        "dask": "HOST:PORT is what the scheduler shows when it starts, port 8786 if it was not told another",
    }
    return InputError(f"can't reach the engine {engine} ({_first_line(reason)}); {advice[engine.kind]}")


def _first_line(reason: object) -> str:
    return next(iter(str(reason).splitlines()), "") or type(reason).__name__
