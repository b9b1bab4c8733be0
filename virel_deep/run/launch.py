"""Starting a run: seeds split over processes, stopped by a signal, resumed from disk."""

import ctypes
import multiprocessing
import os
import queue
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import say
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import read_config, seed_folder

Report = Callable[[int, dict[str, float | None]], None]
"""Called with the step and what the progress display shows, each time `train` rows are written."""
COMPLETE, FAILED, STOPPED = 0, 1, 130
"""Exit status: every seed done; a seed failed, or a file could not be written; interrupted and saved."""
STOP = (signal.SIGINT, signal.SIGTERM)
PASSED_ON = signal.SIGUSR1
"""What a parent sends instead: a child of its process group gets the other too, and a second one ends it."""


def bundles(run: Path, config: RunConfig, jobs: int) -> list[tuple[list[int], bool]]:
    """Seeds that train together, and whether they resume: at most `jobs` bundles for each step reached."""
    reached: dict[int, list[int]] = {}
    for seed in config.seeds:
        step = _last_step(run, seed)
        if step < config.steps or not (seed_folder(run, seed) / "done.json").exists():
            reached.setdefault(step, []).append(seed)
    out = []
    for step, seeds in sorted(reached.items(), reverse=True):
        n = min(jobs, len(seeds))
        out += [(seeds[i::n], step >= 0) for i in range(n)]
    return out


def _last_step(run: Path, seed: int) -> int:
    """Step of the newest valid checkpoint; -1 without one."""
    from virel_deep.storage.checkpoint import load  # noqa: PLC0415  (brings torch)

    folder = seed_folder(run, seed) / "checkpoints"
    if not any(folder.glob("step-*")):
        return -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # training loads it again, and says it then
        return load(folder).step  # with its rows: where they are damaged, training falls back too


def train(run: Path, *, jobs: int) -> int:
    """Train or go on with every unfinished seed of a run folder, showing progress; return the exit status."""
    config = read_config(run)
    work = bundles(run, config, jobs)
    if not work:
        say(f"every seed of {run} is at step {config.steps}, its goal; --steps gives it another")
        return COMPLETE
    _keep_freed_memory()
    from virel_deep.run.progress import Progress  # noqa: PLC0415  (after the allocator was told, like torch)

    with Progress([_title(seeds) for seeds, _ in work], config.steps) as progress:
        if len(work) == 1:
            return train_bundle(run, config, *work[0], report=partial(progress.update, _title(work[0][0])))
        return _train_apart(run, config, work, jobs, progress.update)


def train_bundle(run: Path, config: RunConfig, seeds: list[int], resume: bool, *, report: Report) -> int:
    """Train some seeds in this process; return the exit status."""
    import torch  # noqa: PLC0415

    from virel_deep.data.environments import EnvironmentFailure  # noqa: PLC0415
    from virel_deep.run.trainer import Group  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    try:
        with stop_requests() as stopped:
            group = Group(run, config, seeds, resume=resume)
            try:
                while not group.done:
                    group.advance(report)
                    if stopped() and not group.done:
                        group.save()
                        title = _title([one.seed for one in group.runs])
                        say(f"{title} stopped at step {group.step}; go on: virel train --resume {run}")
                        return STOPPED
            finally:
                group.close()
    except (InputError, StorageError, EnvironmentFailure) as error:
        say(f"virel train: {error}")
        return FAILED
    return FAILED if group.failed else COMPLETE


def _train_apart(
    run: Path, config: RunConfig, work: list[tuple[list[int], bool]], jobs: int, show: Callable[..., None]
) -> int:
    """Train bundles in processes of their own, at most `jobs` at a time; none is started after a stop."""
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
    """Start a child and add it to those that are told of a stop: none falls between the two."""
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
    if stopped and code == -PASSED_ON:  # before it could listen
        return STOPPED
    if code not in {COMPLETE, FAILED, STOPPED}:
        say(f"virel train: the process of {process.name} ended with status {code}; --resume goes on with it")
        return FAILED
    return code


def _child(run: Path, config: RunConfig, seeds: list[int], resume: bool, reports: Any) -> None:
    # Ctrl-C stays blocked, as it was when this process began: what it is to do, the parent says, once.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _stop_with_parent()
    _keep_freed_memory()
    title = _title(seeds)
    sys.exit(train_bundle(run, config, seeds, resume, report=lambda *values: reports.put((title, *values))))


def _title(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {','.join(map(str, seeds))}"


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a question that the loop asks; a second one acts at once."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (*STOP, PASSED_ON)}

    def note(number: int, _frame: Any) -> None:
        seen.append(number)
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
    """The parent outlives a Ctrl-C or SIGTERM and passes it on; whether there was one."""
    seen: list[int] = []

    def pass_on(number: int, _frame: Any) -> None:
        seen.append(number)
        for process in list(processes):
            if process.pid is not None and process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, PASSED_ON)

    before = {number: signal.signal(number, pass_on) for number in STOP}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_with_parent() -> None:
    """Have the kernel ask for a stop when the parent dies; else a child would train beside its own resume."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, PASSED_ON)


def _keep_freed_memory() -> None:
    """Have glibc keep freed blocks; it would map tensors above 128 KiB anew, page by page, each time."""
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the largest that glibc takes
        libc.mallopt(m_trim_threshold, 2**31 - 1)
