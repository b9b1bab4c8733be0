"""Jobs of a study on a cluster: those that wait for priors in later rounds; one that fails stops no other."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from virel_common.engine import Engine
from virel_common.jobs import Ended, ended_jobs
from virel_common.signals import stop_signals_interrupt
from virel_common.terminal import DONE, FAILED, INTERRUPTED, say
from virel_common.worker import Stopped
from virel_deep.study.jobs import Job
from virel_deep.study.plan import Study
from virel_deep.study.runner import LOG, last_line
from virel_deep.study.state import job_state

Work = list[tuple[Job, Path]]
"""Jobs with their run folders."""


def run_on_cluster(engine: Engine, study: Study, out: Path, work: Work, slots: int) -> tuple[int, list[Job]]:
    """Run a study's jobs on a cluster, those that wait for priors in later rounds.

    Args:
        engine: the cluster.
        study: the study.
        out: the study's folder.
        work: jobs to run.
        slots: jobs at a time on a Ray that is started on this machine (`ray://local`).

    Returns:
        The overall exit status, and the jobs that could not start.
    """
    statuses = [DONE]
    try:
        with stop_signals_interrupt():
            while ready := [one for one in work if job_state(out, study, one[0]).waits_for is None]:
                work = [one for one in work if one not in ready]
                statuses += _round(engine, ready, slots)
    except BrokenExecutor as error:
        say(f"virel study run: {error}; a new run continues from the newest checkpoints")
        statuses.append(FAILED)
    except KeyboardInterrupt:
        statuses.append(INTERRUPTED)
    return max(statuses), [job for job, _ in work]


def _round(engine: Engine, work: Work, slots: int) -> Sequence[int]:
    """Run jobs on a cluster at once, printing a line as each ends; return their exit statuses."""
    statuses: list[int] = []
    runs = [(run.resolve(),) for _, run in work]
    with closing(ended_jobs(train_to_the_end, runs, engine=engine, jobs=min(slots, len(runs)))) as ended:
        for one in ended:
            job, run = work[one.number]
            status, what = _status(one, run / LOG)
            statuses.append(status)
            say(f"{len(statuses)} of {len(work)} jobs ended: {job.name} {what}")
            if one.error is not None:
                _keep_traceback(run, one.error)
    return statuses


def train_to_the_end(run: Path) -> int:
    """Train a job as `train_job` does, but raise `Stopped` if it saved and stopped before its end.

    Whoever wants a job to stop no longer waits for its result. So the signal came from elsewhere, such as a
    scheduler that ends a worker at its time limit, and the job must go on.
    """
    from virel_deep.study.worker import train_job  # noqa: PLC0415

    with saying_into(run / LOG):
        status = train_job(run)
    if status == INTERRUPTED:
        raise Stopped(f"a signal stopped {run.name}")
    return status


@contextmanager
def saying_into(log: Path) -> Iterator[None]:
    """Append what this process says on stdout and stderr in the block to a file, if that can be written."""
    with ExitStack() as stack:
        with suppress(OSError):
            file = stack.enter_context(log.open("ab"))
            for number in (1, 2):
                kept = os.dup(number)
                stack.callback(os.close, kept)
                stack.callback(_direct, number, kept)
                _direct(number, file.fileno())
        yield


def _direct(number: int, target: int) -> None:
    """Make a file descriptor another name of `target`, once what was written before is out."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(target, number)


def _status(one: Ended, log: Path) -> tuple[int, str]:
    """Exit status of a job that has ended, and what happened to it, in words."""
    if isinstance(one.error, Stopped):
        return INTERRUPTED, f"was stopped: {one.error}"
    if one.error is not None:
        reason = next(iter(str(one.error).splitlines()), "")
        return FAILED, f"failed: {type(one.error).__name__}: {reason}"
    if one.result == DONE:
        return DONE, "is finished"
    return one.result, f"failed, see {log}: {last_line(log) or 'it says nothing'}"


def _keep_traceback(run: Path, error: BaseException) -> None:
    """Append the traceback of a job's exception, which is a note, to the log in the job's run folder."""
    with suppress(OSError), (run / LOG).open("a", encoding="utf-8") as log:
        log.writelines(getattr(error, "__notes__", []))
