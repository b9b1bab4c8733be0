"""Start or resume runs: split seeds over processes, and stop them when a signal or callback asks for it."""

import ctypes
import multiprocessing
import os
import queue
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import say
from virel_deep.design.run import RunConfig
from virel_deep.run.callbacks import Callbacks
from virel_deep.run.folder import read_together
from virel_deep.run.signals import (
    STOP,
    Children,
    hear_stops_of,
    signals_held_back,
    signals_left_to,
    stop_requests,
)
from virel_deep.run.survey import bundles, survey

if TYPE_CHECKING:
    from virel_deep.run.trainer import Report

COMPLETE, FAILED, STOPPED = 0, 1, 130
"""Exit statuses: every seed is done; a seed or a file failed; the run was stopped and saved."""


class Work(NamedTuple):
    """Seeds of a run that train together in one process."""

    title: str
    """Name of these seeds in messages and in the progress display."""
    run: Path
    config: RunConfig
    seeds: list[int]
    resume: bool
    """Whether the seeds continue from checkpoints."""


def train(*runs: Path, jobs: int, callbacks: Callbacks | None = None) -> int:
    """Train or continue every unfinished seed of runs, and show progress; return the exit status.

    A seed whose checkpoints are damaged or gone is left out and said; the others train.

    Raises:
        InputError: several runs differ in more than their seeds; or nothing is left to train but seeds that
            can't be continued.
    """
    callbacks = callbacks or Callbacks()
    work, broken = _work(runs, jobs)
    if not work:
        if broken:
            raise InputError("; ".join(broken))
        steps = read_together(runs)[0].steps
        names = ", ".join(map(str, runs))
        say(f"every seed of {names} has already reached step {steps}; pass --steps to train further")
        return COMPLETE
    for line in broken:
        say(f"virel train: left out: {line}")
    _keep_freed_memory()
    from virel_deep.run.progress import Progress  # noqa: PLC0415  (after the allocator was set up, like torch)

    with Progress([one.title for one in work], work[0].config.steps) as progress:
        trained = _train_here if jobs == 1 or len(work) == 1 else _train_apart
        status = trained(work, jobs, progress.update, callbacks)
    return max(status, FAILED if broken else COMPLETE)


def _work(runs: Sequence[Path], jobs: int) -> tuple[list[Work], list[str]]:
    """Find what is left to train, with the reasons why some seeds can't be; say what changed meanwhile."""
    work: list[Work] = []
    broken: list[str] = []
    for run, config in zip(runs, read_together(runs), strict=True):
        found = survey(run, config)
        broken += found.broken.values()
        for change in found.changes:
            say(f"note: {change}; results may not be those of an uninterrupted run")
        place = f"{run} " if len(runs) > 1 else ""
        split = bundles(found, jobs)
        work += [Work(f"{place}{_title(seeds)}", run, config, seeds, resume) for seeds, resume in split]
    return work, broken


def _train_here(work: Sequence[Work], _jobs: int, show: Callable[..., None], callbacks: Callbacks) -> int:
    """Train one bundle of seeds after the other in this process; start none after a stop."""
    statuses = []
    for title, run, config, seeds, resume in work:

        def report(step: int, values: Mapping[str, float | None], title: str = title) -> bool:
            show(title, step, values)
            return callbacks.log(step, values)

        status = train_bundle(run, config, seeds, resume, report=report, evaluated=callbacks.evaluation)
        statuses.append(status)
        if status == STOPPED:
            break
    return max(statuses)


def train_bundle(
    run: Path,
    config: RunConfig,
    seeds: list[int],
    resume: bool,
    *,
    report: "Report",
    evaluated: Callable[[int, dict[int, float]], object] = lambda *_: None,
) -> int:
    """Train a bundle of seeds together in this process; return the exit status.

    Args:
        run: run folder.
        config: configuration of the run.
        seeds: seeds to train.
        resume: whether they continue from checkpoints.
        report: called after a step whose `train` rows were written; if it returns True, all save and stop.
        evaluated: called alike with the mean returns by seed of the evaluation after a step.
    """
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
            trainer, rows = Trainer(run, config, seeds, resume=resume), list[dict[str, Any]]()
            try:
                while not trainer.done:
                    rows.clear()
                    trainer.advance(lambda _, row: rows.append(row))
                    asked = [report(trainer.step, row) is True for row in rows]
                    if trainer.scores:
                        asked.append(evaluated(trainer.step, trainer.scores) is True)
                    if (any(asked) or stopped()) and not trainer.done:
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


def _train_apart(work: Sequence[Work], jobs: int, show: Callable[..., None], callbacks: Callbacks) -> int:
    """Train each bundle of seeds in its own process, at most `jobs` at a time; start none after a stop."""
    context = multiprocessing.get_context("spawn")
    with signals_held_back():  # or a signal to the whole group kills this helper of the queue
        resource_tracker.ensure_running()
    reports = context.Queue()
    waiting, statuses, children = list(work), [COMPLETE], Children()

    def hear(seconds: float) -> None:
        title, kind, step, values = reports.get(timeout=seconds)
        if kind == "log":
            show(title, step, values)
        if (callbacks.log if kind == "log" else callbacks.evaluation)(step, values) and not children.stopped:
            children.stop()

    with signals_left_to(children):
        while children.running or (waiting and not children.stopped):
            while waiting and len(children.running) < jobs and not children.stopped:
                child = context.Process(target=_child, args=(waiting[0], reports, os.getpid()))
                child.name = waiting.pop(0).title
                with signals_held_back():
                    child.start()
                    children.running.append(child)
            with suppress(queue.Empty):
                hear(0.2)
            for process in [one for one in children.running if one.exitcode is not None]:
                children.running.remove(process)
                statuses.append(_status(process, children.stopped))
        with suppress(queue.Empty):
            while True:  # what the last ones said before they ended
                hear(0.1)
    return STOPPED if waiting else max(statuses)


def _status(process: BaseProcess, stopped: bool) -> int:
    code = process.exitcode
    if stopped and code in {-number for number in STOP}:  # it was stopped before it listened
        return STOPPED
    if code not in {COMPLETE, FAILED, STOPPED}:
        say(f"virel train: the process of {process.name} ended with status {code}; --resume continues it")
        return FAILED
    return code


def _child(work: Work, reports: Any, parent: int) -> None:
    """Train a bundle of seeds in a process of its own, which ends with its parent."""
    if not hear_stops_of(parent):
        sys.exit(STOPPED)
    _keep_freed_memory()

    def told(kind: str) -> Callable[..., None]:
        return lambda step, values: reports.put((work.title, kind, step, values))

    of_bundle = (work.run, work.config, work.seeds, work.resume)
    sys.exit(train_bundle(*of_bundle, report=told("log"), evaluated=told("evaluation")))


def _title(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {','.join(map(str, seeds))}"


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory; otherwise it maps each tensor above 128 KiB anew, page by page."""
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the largest value that glibc accepts
        libc.mallopt(m_trim_threshold, 2**31 - 1)
