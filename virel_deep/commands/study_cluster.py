"""Jobs of a study on a cluster: those that wait for priors in later rounds; one that fails stops no other."""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing, suppress
from pathlib import Path

from virel_common.engine import Engine
from virel_common.jobs import Ended, ended_jobs
from virel_common.signals import stop_signals_interrupt
from virel_common.terminal import DONE, FAILED, INTERRUPTED, say
from virel_common.worker import Stopped
from virel_deep.study.jobs import Job
from virel_deep.study.plan import Study
from virel_deep.study.runner import LOG
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
            (job, run), (status, what) = work[one.number], _status(one)
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

    status = train_job(run)
    if status == INTERRUPTED:
        raise Stopped(f"a signal stopped {run.name}")
    return status


def _status(one: Ended) -> tuple[int, str]:
    """Exit status of a job that has ended, and what happened to it, in words."""
    if isinstance(one.error, Stopped):
        return INTERRUPTED, f"was stopped: {one.error}"
    if one.error is not None:
        reason = next(iter(str(one.error).splitlines()), "")
        return FAILED, f"failed: {type(one.error).__name__}: {reason}"
    return one.result, "is finished" if one.result == DONE else "failed"


def _keep_traceback(run: Path, error: BaseException) -> None:
    """Append the traceback of a job's exception, which is a note, to the log in the job's run folder."""
    with suppress(OSError), (run / LOG).open("a", encoding="utf-8") as log:
        log.writelines(getattr(error, "__notes__", []))
