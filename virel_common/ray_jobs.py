"""Jobs on a Ray cluster, by its own tasks."""

import logging
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from virel_common.engine import (
    IN_PLACE_OF_AN_ADDRESS,
    Engine,
    losses_named,
    lost_job,
    require_reachable,
    unreachable,
)
from virel_common.errors import require
from virel_common.worker import GRACE, LIVES, Worker, pack_failure


def on_ray(engine: Engine, packed: Sequence[bytes], jobs: int) -> Generator[tuple[int, bytes]]:
    """Run packed jobs on a Ray cluster."""
    import ray  # noqa: PLC0415

    with _connected_to_ray(engine, jobs), losses_named(engine):
        task = ray.remote(num_cpus=1, max_retries=LIVES - 1)(_ray_task)
        running = {task.remote(job): index for index, job in enumerate(packed)}
        try:
            while running:
                done, _ = ray.wait(list(running), timeout=1.0)
                for reference in done:
                    yield running.pop(reference), _outcome(engine, reference)
        finally:
            for reference in running:  # raises KeyboardInterrupt in `_ray_task`, which stops its process
                ray.cancel(reference)
            if running:
                ray.wait(list(running), num_returns=len(running), timeout=GRACE)


def require_ray(engine: Engine, jobs: int) -> None:
    """Raise `InputError` unless Ray can be connected to, or started on this machine; then leave it again."""
    with _connected_to_ray(engine, jobs):
        pass


def _outcome(engine: Engine, reference: Any) -> bytes:
    """Packed outcome of a Ray task that has ended; a failure if Ray has given it up."""
    import ray  # noqa: PLC0415
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError  # noqa: PLC0415

    try:
        outcome: bytes = ray.get(reference)
    except (NodeDiedError, OutOfMemoryError, WorkerCrashedError) as error:
        return pack_failure(lost_job(engine, error))
    return outcome


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
        raise unreachable(engine, error) from None
    try:
        cpus = ray.cluster_resources().get("CPU", 0)
        require(cpus >= 1, "engine", str(engine), "must be a cluster with at least one CPU")
        yield
    finally:
        ray.shutdown()
