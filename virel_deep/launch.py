"""Starting a run: seeds split over processes, stopped by a signal, resumed from disk."""

import ctypes
import json
import multiprocessing
import os
import queue
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from virel_deep._files import StorageError
from virel_deep.config import RunConfig
from virel_deep.errors import InputError
from virel_deep.runs import read_config, seed_folder

Report = Callable[[int, dict[str, float | None]], None]
"""Called with the step and what the progress display shows, each time `train` rows are written."""
COMPLETE, FAILED, STOPPED = 0, 1, 130
"""Exit status: every seed done; a seed failed, or a file could not be written; interrupted and saved."""


def bundles(run: Path, config: RunConfig, jobs: int) -> list[tuple[list[int], bool]]:
    """Seeds that train together, and whether they resume: at most `jobs` bundles for each step reached."""
    reached: dict[int, list[int]] = {}
    for seed in config.seeds:
        if not (seed_folder(run, seed) / "done.json").exists() or _last_step(run, seed) < config.steps:
            reached.setdefault(_last_step(run, seed), []).append(seed)
    out = []
    for step, seeds in sorted(reached.items(), reverse=True):
        n = min(jobs, len(seeds))
        out += [(seeds[i::n], step >= 0) for i in range(n)]
    return out


def _last_step(run: Path, seed: int) -> int:
    """Step of the newest valid checkpoint; -1 without one."""
    from virel_deep.checkpoint import load  # noqa: PLC0415  (brings torch)

    folder = seed_folder(run, seed) / "checkpoints"
    if not any(folder.glob("step-*")):
        return -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # training loads it again, and says it then
        return load(folder, with_rows=False).step


def train(run: Path, *, jobs: int) -> int:
    """Train or go on with every unfinished seed of a run folder, showing progress; return the exit status."""
    config = read_config(run)
    work = bundles(run, config, jobs)
    _keep_freed_memory()
    from virel_deep.progress import Progress  # noqa: PLC0415  (after the allocator was told, like torch)

    with Progress([_title(seeds) for seeds, _ in work], config.steps) as progress:
        if len(work) == 1:
            return train_bundle(run, config, *work[0], report=partial(progress.update, _title(work[0][0])))
        return _train_apart(run, config, work, jobs, progress.update)


def train_bundle(run: Path, config: RunConfig, seeds: list[int], resume: bool, *, report: Report) -> int:
    """Train some seeds in this process; return the exit status."""
    import torch  # noqa: PLC0415

    from virel_deep.trainer import Group  # noqa: PLC0415

    torch.set_num_threads(config.threads)
    try:
        with stop_requests() as stopped:
            group = Group(run, config, seeds, resume=resume)
            try:
                while not group.done:
                    group.advance(report)
                    if stopped():
                        group.save()
                        _say(
                            f"{_title(seeds)} stopped at step {group.step}; go on: virel train --resume {run}"
                        )
                        return STOPPED
            finally:
                group.close()
    except (InputError, StorageError) as error:
        _say(f"virel train: {error}")
        return FAILED
    failures = [path for seed in seeds if (path := seed_folder(run, seed) / "failure.json").exists()]
    for path in failures:
        failure = json.loads(path.read_text())
        _say(f"virel train: {path.parent.name} stopped at step {failure['step']}: {failure['detail']}")
    return FAILED if failures else COMPLETE


def _train_apart(
    run: Path, config: RunConfig, work: list[tuple[list[int], bool]], jobs: int, show: Callable[..., None]
) -> int:
    """Train bundles in processes of their own, at most `jobs` at a time; none is started after a stop."""
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    waiting, statuses = list(work), [COMPLETE]
    running: list[BaseProcess] = []
    with _signals_left_to(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                child: BaseProcess = context.Process(
                    target=_child, args=(run, config, *waiting.pop(0), reports)
                )
                child.start()
                running.append(child)
            with suppress(queue.Empty):
                show(*reports.get(timeout=0.2))
            for process in [one for one in running if one.exitcode is not None]:
                running.remove(process)
                statuses.append(process.exitcode if process.exitcode in {COMPLETE, STOPPED} else FAILED)
            if STOPPED in statuses:
                waiting.clear()
    return max(statuses)


def _child(run: Path, config: RunConfig, seeds: list[int], resume: bool, reports: Any) -> None:
    _keep_freed_memory()
    title = _title(seeds)
    sys.exit(train_bundle(run, config, seeds, resume, report=lambda *values: reports.put((title, *values))))


def _title(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {','.join(map(str, seeds))}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a question that the loop asks; a second one acts at once."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

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
def _signals_left_to(processes: Sequence[BaseProcess]) -> Iterator[None]:
    """The parent outlives a Ctrl-C (its children got it too), and passes a SIGTERM on."""

    def pass_on(number: int, _frame: Any) -> None:
        for process in processes:
            if process.pid is not None:
                os.kill(process.pid, number)

    before = signal.signal(signal.SIGINT, lambda *_: None), signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _keep_freed_memory() -> None:
    """Have glibc keep freed blocks; it would map tensors above 128 KiB anew, page by page, each time."""
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the largest that glibc takes
        libc.mallopt(m_trim_threshold, 2**31 - 1)
