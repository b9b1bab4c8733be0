"""Start or resume runs: split seeds over processes, and stop them when a signal or callback asks for it."""

import ctypes
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import DONE, FAILED, INTERRUPTED, as_argument, say
from virel_deep.data.presence import EVALUATION, note_in
from virel_deep.design.environment import either
from virel_deep.design.run import RunConfig
from virel_deep.run.apart import Channel, Death, Work, train_apart
from virel_deep.run.callbacks import Callbacks
from virel_deep.run.changes import record_changes
from virel_deep.run.folder import read_together, record_failure
from virel_deep.run.signals import hear_stops_of, stop_requests
from virel_deep.run.survey import bundles, done, survey

if TYPE_CHECKING:
    from virel_deep.run.training.reports import Report


def train(*runs: Path, jobs: int, callbacks: Callbacks | None = None, survive: bool = False) -> int:
    """Train or continue every unfinished seed of runs, and show progress; return the exit status.

    A seed whose checkpoints or log are damaged or gone is left out and said; the others train.

    Args:
        runs: run folders that differ in their seeds alone.
        jobs: processes at a time.
        callbacks: functions that see the training and may stop it.
        survive: whether one job trains in a process of its own, too, where an environment comes from outside
            of Gymnasium and may end its process.

    Raises:
        InputError: several runs differ in more than their seeds; or nothing is left to train but seeds that
            can't be continued.
    """
    callbacks, runs = callbacks or Callbacks(), tuple(run.absolute() for run in runs)
    work, broken = _work(runs, jobs)
    if not work:
        if broken:
            raise InputError("; ".join(broken))
        say(_nothing_left(runs))
        return DONE
    for line in broken:
        say(f"virel train: left out: {line}")
    callbacks.failures.extend(broken)
    _keep_freed_memory()
    for run in dict.fromkeys(one.run for one in work):
        record_changes(run, begun=any(one.resume for one in work if one.run == run))
    from virel_deep.data.functions import found_elsewhere  # noqa: PLC0415  (brings Gymnasium)
    from virel_deep.run.progress import Progress  # noqa: PLC0415  (after the allocator was set up, like torch)

    with _saying_how_to_go_on(work), Progress([one.title for one in work], work[0].config.steps) as progress:
        one = jobs == 1 or len(work) == 1
        envs = (*work[0].config.env_specs, *work[0].config.eval_specs)
        here = one and not (survive and any(found_elsewhere(env.id) for env in envs))
        status = (_here if here else _apart)(work, jobs, progress.update, callbacks)
    return max(status, FAILED if broken else DONE)


def _nothing_left(runs: Sequence[Path]) -> str:
    """Sentence on runs all of whose seeds are done: at the last step, or stopped early by the run's rule."""
    configs = read_together(runs)
    ends = [done(run, seed) for run, config in zip(runs, configs, strict=True) for seed in config.seeds]
    stopped = [end for end in ends if "stopped" in end]
    whose = f"every seed of {', '.join(map(str, runs))}"
    reached = f"{whose} has already reached step {configs[0].steps}"
    if not stopped:
        return f"{reached}; pass --steps to train further"
    steps = sorted({end["step"] for end in stopped})
    rule = f"stopped by its rule ({stopped[0]['stopped']}) at step {' or '.join(map(str, steps))}"
    if len(stopped) == len(ends):
        return f"{whose} was {rule}; nothing is left to train"
    return f"{reached}, or was {rule}; pass --steps to train the others further"


@contextmanager
def _saying_how_to_go_on(work: Sequence[Work]) -> Iterator[None]:
    """Say how to continue runs when the block is interrupted, or when it ends before any seed has begun."""
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        for run in dict.fromkeys(one.run for one in work):
            begun = any(run.glob("seed-*"))
            if interrupted or not begun:
                what = "interrupted" if begun else "stopped before the first step"
                say(f"{what}; to continue: {_resuming(run)}")


def _resuming(run: Path) -> str:
    """Command that continues a run, to be copied into a shell: a folder's name with a space is quoted."""
    return shlex.join(("virel", "train", "--resume", as_argument(run)))


def _work(runs: Sequence[Path], jobs: int) -> tuple[list[Work], list[str]]:
    """Find what is left to train, with the reasons why some seeds can't be; say what changed meanwhile."""
    work: list[Work] = []
    broken: list[str] = []
    for run, config in zip(runs, read_together(runs), strict=True):
        found = survey(run, config)
        broken = [*dict.fromkeys([*broken, *found.broken.values()])]
        for change in found.changes:
            say(f"note: {change}; results may not be those of an uninterrupted run")
        place = f"{run} " if len(runs) > 1 else ""
        split = bundles(found, jobs)
        work += [Work(f"{place}{title_of(seeds)}", run, config, seeds, resume) for seeds, resume in split]
    return work, broken


def _here(work: Sequence[Work], _jobs: int, show: Callable[..., None], callbacks: Callbacks) -> int:
    """Train one bundle of seeds after the other in this process; start none after a stop."""
    statuses = []
    for title, run, config, seeds, resume in work:

        def report(step: int, values: Mapping[str, float | None], title: str = title) -> bool:
            show(title, step, values)
            return callbacks.log(step, values)

        status = train_bundle(
            run, config, seeds, resume,
            report=report, evaluated=callbacks.evaluation, failed=callbacks.failures.append,
        )  # fmt: skip
        statuses.append(status)
        if status == INTERRUPTED:
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
    failed: Callable[[str], object] = lambda _: None,
) -> int:
    """Train a bundle of seeds together in this process; return the exit status.

    Args:
        run: run folder.
        config: configuration of the run.
        seeds: seeds to train.
        resume: whether they continue from checkpoints.
        report: called after a step whose `train` rows were written; if it returns True, all save and stop.
        evaluated: called alike with the mean returns by seed of the evaluation after a step.
        failed: called with what failed, in words, where seeds don't reach their last step.
    """
    from virel_deep.data.global_generators import require_single  # noqa: PLC0415
    from virel_deep.data.guarded import EnvironmentFailure  # noqa: PLC0415
    from virel_deep.networks.threads import computing_threads  # noqa: PLC0415
    from virel_deep.run.trainer import Trainer  # noqa: PLC0415

    if config.precision == "compiled":  # loads SciPy's BLAS, before its threads are limited
        import virel_deep.networks.compiled  # noqa: F401, PLC0415
    try:
        require_single()
        with computing_threads(config.threads), stop_requests() as stopped:
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
                        title = title_of([one.seed for one in trainer.runs])
                        say(f"{title} stopped at step {trainer.step}; to continue: {_resuming(run)}")
                        return INTERRUPTED
            finally:
                trainer.close()
    except (InputError, StorageError, EnvironmentFailure) as error:
        return _failed(str(error), failed)
    except OSError as error:
        if error.filename is None:
            raise
        return _failed(f"{error.filename}: {error.strerror}", failed)
    status = DONE
    if trainer.failed:
        status = FAILED
        failed(f"{title_of(trainer.failed)} failed, as said on the standard error stream")
    for group in trainer.behind:  # seeds that go on from an earlier step, as a newer checkpoint is damaged
        again = train_bundle(run, config, group, True, report=report, evaluated=evaluated, failed=failed)
        if again == INTERRUPTED:
            return INTERRUPTED
        status = max(status, again)
    return status


def _failed(what: str, failed: Callable[[str], object]) -> int:
    """Say what failed, and pass it on; return the exit status."""
    say(f"virel train: {what}")
    failed(what)
    return FAILED


def _apart(work: Sequence[Work], jobs: int, show: Callable[..., None], callbacks: Callbacks) -> int:
    """Train each bundle of seeds in its own process; of one that dies, the other seeds train on."""

    def hear(one: Work, kind: str, step: int, values: Any) -> bool:
        if kind == "failed":
            callbacks.failures.append(values)
            return False
        if kind == "log":
            show(one.title, step, values)
        return (callbacks.log if kind == "log" else callbacks.evaluation)(step, values)

    def bury(death: Death) -> list[Work]:
        callbacks.failures.append(f"the process of {death.work.title} ended {death.how}")
        return _bury(death)

    return train_apart(work, jobs, _child, hear=hear, bury=bury)


def _bury(death: Death) -> list[Work]:
    """Say how a process died; if inside of a seed's environment, record that and return what is left."""
    (title, run, config, seeds, _), last = death.work, death.last
    if not last.place:
        say(f"virel train: the process of {title} ended {death.how}; {_resuming(run)} continues it")
        return []
    envs = config.eval_specs if last.place == EVALUATION else config.env_specs
    detail = f"{either(envs)} ended its process {death.how}, at step {last.step}"
    where = f"{last.place}, process"
    with suppress(StorageError):
        failure = {"step": last.step, "what": "environment", "where": where, "detail": detail}
        record_failure(run, last.seed, failure)
    say(f"virel train: seed-{last.seed} failed at step {last.step}: {last.place}: {detail}")
    rest = tuple(seed for seed in seeds if seed != last.seed)
    if not rest:
        return []
    say(f"{title_of(rest)} continue{'s' * (len(rest) == 1)} from the newest checkpoint in a new process")
    found = survey(run, replace(config, seeds=rest))
    for line in dict.fromkeys(found.broken.values()):
        say(f"virel train: left out: {line}")
    return [Work(title, run, config, of_step, resume) for of_step, resume in bundles(found, 1)]


def _child(work: Work, channel: Channel, parent: int) -> None:
    """Train a bundle of seeds in a process of its own, which ends with its parent."""
    status = INTERRUPTED
    if hear_stops_of(parent):
        _keep_freed_memory()
        note_in(channel.presence)
        report, evaluated = (partial(channel.tell, kind) for kind in ("log", "evaluation"))
        status = train_bundle(
            work.run, work.config, work.seeds, work.resume,
            report=report, evaluated=evaluated, failed=partial(channel.tell, "failed", 0),
        )  # fmt: skip
    channel.tell("status", status, None)
    sys.exit(status)


def title_of(seeds: Sequence[int]) -> str:
    """Name of seeds in messages."""
    return f"seed{'s' * (len(seeds) > 1)} {','.join(map(str, seeds))}"


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory; otherwise it maps each tensor above 128 KiB anew, page by page."""
    if sys.platform == "linux":
        m_trim_threshold, m_mmap_threshold = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 32 << 20)  # the largest value that glibc accepts
        libc.mallopt(m_trim_threshold, 2**31 - 1)
