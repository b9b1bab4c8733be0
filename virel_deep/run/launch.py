"""Start or resume a run: split its seeds over processes, and stop them when a signal asks for it."""

import ctypes
import json
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import say
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import read_config, seed_folder

if TYPE_CHECKING:
    from virel_deep.run.trainer import Report

COMPLETE, FAILED, STOPPED = 0, 1, 130
"""Exit statuses: every seed is done; a seed or a file failed; the run was stopped and saved."""
KILL_TWICE = (signal.SIGINT, signal.SIGTERM)
"""Signals of impatient people: the first one saves and stops, a second one kills."""
WARNINGS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals of schedulers and of terminals that close; they save and stop too, however often they come."""
STOP = (*KILL_TWICE, *WARNINGS)
STOP_CHILD = signal.SIGUSR1
"""Signal by which the parent asks its children to stop, one of those that may come twice.

A scheduler's signal to the whole group reaches the children directly, and once more through the parent."""


def bundles(run: Path, config: RunConfig, jobs: int) -> list[tuple[list[int], bool]]:
    """Split the unfinished seeds that reached the same step into at most `jobs` bundles that train together.

    Each bundle comes with whether it resumes from checkpoints.
    """
    reached: dict[int, list[int]] = {}
    for seed in config.seeds:
        step = _last_step(run, seed)
        ended = done(run, seed)
        if not (ended and (step >= config.steps or "stopped" in ended)):
            reached.setdefault(step, []).append(seed)
    out = []
    for step, seeds in sorted(reached.items(), reverse=True):
        n = min(jobs, len(seeds))
        out += [(seeds[i::n], step >= 0) for i in range(n)]
    return out


def done(run: Path, seed: int) -> dict[str, Any]:
    """What a seed's `done.json` says: the step, and the rule if one stopped it early; empty without one."""
    path = seed_folder(run, seed) / "done.json"
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {"step": -1}
    return document if isinstance(document, dict) else {"step": -1}


def _last_step(run: Path, seed: int) -> int:
    """Step of a seed's newest valid checkpoint; -1 without a checkpoint."""
    from virel_deep.storage.checkpoint import newest_step  # noqa: PLC0415  (brings torch)

    folder = seed_folder(run, seed) / "checkpoints"
    return newest_step(folder) if any(folder.glob("step-*")) else -1


def train(run: Path, *, jobs: int) -> int:
    """Train or continue every unfinished seed of a run, and show progress; return the exit status."""
    config = read_config(run)
    work = bundles(run, config, jobs)
    if not work:
        say(f"every seed of {run} has already reached step {config.steps}; pass --steps to train further")
        return COMPLETE
    _keep_freed_memory()
    from virel_deep.run.progress import Progress  # noqa: PLC0415  (after the allocator was set up, like torch)

    with Progress([_title(seeds) for seeds, _ in work], config.steps) as progress:
        if len(work) == 1:
            return train_bundle(run, config, *work[0], report=partial(progress.update, _title(work[0][0])))
        return _train_apart(run, config, work, jobs, progress.update)


def train_bundle(run: Path, config: RunConfig, seeds: list[int], resume: bool, *, report: "Report") -> int:
    """Train a bundle of seeds together in this process; return the exit status."""
    import torch  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    from virel_deep.data.environments import EnvironmentFailure  # noqa: PLC0415
    from virel_deep.run.trainer import Trainer  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    if config.precision == "compiled":  # loads SciPy's BLAS, before its threads are limited
        import virel_deep.networks.compiled  # noqa: F401, PLC0415
    threadpool_limits(config.threads, user_api="blas")  # products by numpy and SciPy
    try:
        with stop_requests() as stopped:
            trainer = Trainer(run, config, seeds, resume=resume)
            try:
                while not trainer.done:
                    trainer.advance(report)
                    if stopped() and not trainer.done:
                        trainer.save()
                        title = _title([one.seed for one in trainer.runs])
                        say(
                            f"{title} stopped at step {trainer.step}; to continue: virel train --resume {run}"
                        )
                        return STOPPED
            finally:
                trainer.close()
    except (InputError, StorageError, EnvironmentFailure) as error:
        say(f"virel train: {error}")
        return FAILED
    return FAILED if trainer.failed else COMPLETE


def _train_apart(
    run: Path, config: RunConfig, work: list[tuple[list[int], bool]], jobs: int, show: Callable[..., None]
) -> int:
    """Train each bundle of seeds in its own process, at most `jobs` at a time; start none after a stop."""
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    waiting, statuses = list(work), [COMPLETE]
    running: list[BaseProcess] = []
    with _signals_left_to(running) as stopped:
        while running or (waiting and not stopped()):
            while waiting and len(running) < jobs and not stopped():
                _start(context, running, run, config, *waiting.pop(0), reports)
            with suppress(queue.Empty):
                show(*reports.get(timeout=0.2))
            for process in [one for one in running if one.exitcode is not None]:
                running.remove(process)
                statuses.append(_status(process, stopped()))
    return STOPPED if waiting else max(statuses)


def _start(
    context: SpawnContext, running: list[BaseProcess], run: Path, config: RunConfig, *work: Any
) -> None:
    """Start a child process and register it for stop signals; a signal in between is held back."""
    seeds, _, _ = work
    child = context.Process(target=_child, name=_title(seeds), args=(run, config, *work))
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    try:
        child.start()
        running.append(child)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP)


def _status(process: BaseProcess, stopped: bool) -> int:
    code = process.exitcode
    if stopped and code in {-number for number in STOP}:  # it was stopped before it listened
        return STOPPED
    if code not in {COMPLETE, FAILED, STOPPED}:
        say(f"virel train: the process of {process.name} ended with status {code}; --resume continues it")
        return FAILED
    return code


def _child(run: Path, config: RunConfig, seeds: list[int], resume: bool, reports: Any) -> None:
    # Ctrl-C stays blocked, as it was when this process began: the parent passes it on, once.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP} - {signal.SIGINT})
    _stop_with_parent()
    _keep_freed_memory()
    title = _title(seeds)
    sys.exit(train_bundle(run, config, seeds, resume, report=lambda *values: reports.put((title, *values))))


def _title(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {','.join(map(str, seeds))}"


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a signal requested a stop; a second of `KILL_TWICE` kills.

    In a thread, where Python can set no handler, nothing requests a stop.
    """
    if not in_main_thread():
        yield lambda: False
        return
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in STOP}

    def note(number: int, _frame: Any) -> None:
        seen.append(number)
        if number in KILL_TWICE:
            signal.signal(number, signal.SIG_DFL)

    for number in before:
        signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _signals_left_to(processes: Sequence[BaseProcess]) -> Iterator[Callable[[], bool]]:
    """Pass stop signals on to the child processes; yield a function that tells whether one came.

    The parent itself survives them, to wait for its children; a second of `KILL_TWICE` kills those.
    """
    if not in_main_thread():
        yield lambda: False
        return
    seen: list[int] = []

    def pass_on(number: int, _frame: Any) -> None:
        again = number in KILL_TWICE and number in seen
        seen.append(number)
        for process in list(processes):
            if process.pid is not None and process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL if again else STOP_CHILD)

    before = {number: signal.signal(number, pass_on) for number in STOP}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_main_thread() -> bool:
    """Whether this is the main thread, the only one in which Python can handle signals."""
    return threading.current_thread() is threading.main_thread()


def _stop_with_parent() -> None:
    """Have the kernel send this process the stop signal when its parent dies.

    Otherwise a child could still train while a resumed run trains the same seeds.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, STOP_CHILD)


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory; otherwise it maps each tensor above 128 KiB anew, page by page."""
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the largest value that glibc accepts
        libc.mallopt(m_trim_threshold, 2**31 - 1)
