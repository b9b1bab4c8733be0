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

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

from virel_common.dask_jobs import on_dask
from virel_common.engine import Engine, not_installed
from virel_common.errors import InputError
from virel_common.ray_jobs import on_ray
from virel_common.worker import Unwanted, Worker, pack, pack_failure, unpack


class Ended(NamedTuple):
    """Job that has ended: its number, from 0, and its result or the exception that it raised."""

    number: int
    result: Any
    error: BaseException | None


def run_jobs(
    function: Callable[..., Any],
    argument_list: Sequence[tuple[Any, ...]],
    *,
    engine: Engine | None = None,
    jobs: int,
) -> Generator[tuple[int, Any]]:
    """Run every job `function(*argument_list[i])`; yield `(i, result)` in the order in which jobs end.

    Like `ended_jobs`, but the first job that fails ends all others.

    Raises:
        BrokenExecutor: a job was lost `LIVES` times, or the connection to the cluster was.
        Exception: whatever a job raises; the other jobs are stopped.
    """
    with closing(ended_jobs(function, argument_list, engine=engine, jobs=jobs)) as ended:
        for number, result, error in ended:
            if error is not None:
                raise error
            yield number, result


def ended_jobs(
    function: Callable[..., Any],
    argument_list: Sequence[tuple[Any, ...]],
    *,
    engine: Engine | None = None,
    jobs: int,
) -> Generator[Ended]:
    """Run every job `function(*argument_list[i])`; yield each as it ends, also one that fails.

    Jobs must be restartable. A job whose process, worker or machine is lost starts again, on another machine
    if need be; a training then continues from its checkpoint. So does a job that raises `Stopped`. One that
    is lost or stopped `LIVES` times ends with `BrokenExecutor` or `Stopped`. Closing the generator, or an
    interrupt, sends SIGTERM to the processes of all running jobs, on every machine, and SIGKILL after
    `GRACE` seconds. A training saves its state in between. No job starts after that.

    Every job runs in the working folder of this process, so paths may be relative. On a cluster that folder
    must be on a file system that all workers share.

    Args:
        function: a function that workers can import by its name, or a `functools.partial` of one.
        argument_list: one tuple of arguments per job; they are pickled.
        engine: None means processes on this machine, each of which runs one job after the other. On a cluster
            each job gets a new process.
        jobs: how many jobs run at a time on this machine, also on a Ray of its own (`ray://local`). On
            another cluster each job takes one CPU, and as many run as the cluster has.

    Raises:
        InputError: the engine can't be reached, has no CPUs, or its workers lack this package or folder; or a
            job raises it. The other jobs are stopped.
        BrokenExecutor: the connection to the cluster was lost.
    """
    packed = [pack(function, args, str(Path.cwd())) for args in argument_list]
    if engine is None:
        ended = _on_this_machine(packed, jobs)
    elif engine.kind == "ray":
        ended = on_ray(engine, packed, jobs)
    else:
        ended = on_dask(engine, packed)
    try:
        for index, outcome in ended:
            result, error = unpack(outcome)
            if isinstance(error, InputError) or (engine and isinstance(error, ModuleNotFoundError)):
                raise error
            yield Ended(index, result, error)
    except ModuleNotFoundError as error:
        if engine is None:
            raise
        raise not_installed(engine, error.name) from error
    finally:
        ended.close()


def _on_this_machine(packed: Sequence[bytes], jobs: int) -> Generator[tuple[int, bytes]]:
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
