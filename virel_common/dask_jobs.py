"""Jobs on a Dask cluster, by its own futures."""

import time
from collections.abc import Generator, Sequence
from typing import Any

from virel_common.engine import (
    TIMEOUT,
    Engine,
    losses_named,
    lost_job,
    require_reachable,
    unreachable,
)
from virel_common.terminal import say
from virel_common.worker import GRACE, POLL, Worker, pack_failure


def on_dask(engine: Engine, packed: Sequence[bytes]) -> Generator[tuple[int, bytes]]:
    """Run packed jobs on a Dask cluster."""
    from distributed import Client, as_completed  # noqa: PLC0415

    require_reachable(engine)
    try:
        client = Client(f"tcp://{engine.address}", timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise unreachable(engine, error) from None
    with client, losses_named(engine):
        if not client.ncores():
            say(f"{engine} has no worker yet; the jobs wait for the first one")
        running = {client.submit(_dask_task, job, pure=False): index for index, job in enumerate(packed)}
        try:
            for future in as_completed(list(running), loop=client.loop):
                yield running.pop(future), _outcome(engine, future)
        finally:
            client.cancel(list(running))  # `_dask_task` sees it, and stops its process
            _wait_for_the_end_of({future.key for future in running}, client)


def _outcome(engine: Engine, future: Any) -> bytes:
    """Packed outcome of a Dask task that has ended; a failure if Dask has given it up."""
    from distributed import KilledWorker  # noqa: PLC0415

    try:
        outcome: bytes = future.result()
    except KilledWorker as error:
        return pack_failure(lost_job(engine, error))
    return outcome


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
