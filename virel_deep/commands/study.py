"""The commands `virel study plan`, `run`, `status` and `report`: parse options, call the library, print."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from virel_common.engine import parse_engine, require_reachable
from virel_common.errors import InputError, require
from virel_common.machine import available_cpus
from virel_common.ray_jobs import require_ray
from virel_common.terminal import DONE, FAILED, INTERRUPTED, as_argument, run_command, say, tell
from virel_deep.commands.study_cluster import run_on_cluster
from virel_deep.commands.study_options import PlanOptions, ReportOptions, RunOptions, StatusOptions
from virel_deep.results.tables import notes_on, print_tables
from virel_deep.study.jobs import Job, check_jobs, prepare, prior_job
from virel_deep.study.plan import Study, read_study
from virel_deep.study.record import (
    FILE,
    Record,
    as_recorded,
    differing,
    precision_of,
    read_record,
    register,
)
from virel_deep.study.state import is_finished, job_state, unfinished


def main_study(argv: Sequence[str]) -> int:
    """`virel study`: run its action `plan`, `run`, `status` or `report`; return the exit status."""
    actions: dict[str, Callable[[Sequence[str]], int]] = {
        "plan": lambda rest: run_command(PlanOptions, rest, prog="virel study plan", run=_plan),
        "run": lambda rest: run_command(RunOptions, rest, prog="virel study run", run=_start),
        "status": lambda rest: run_command(StatusOptions, rest, prog="virel study status", run=_status),
        "report": lambda rest: run_command(ReportOptions, rest, prog="virel study report", run=_report),
    }
    name, *rest = argv or ["--help"]
    if name in {"-h", "--help"}:
        sys.stdout.write(USAGE)
        return 0
    if name not in actions:
        say(f"virel study: unknown action {name!r}; known: {', '.join(actions)} (see virel study --help)")
        return 2
    return actions[name](rest)


USAGE = """\
usage: virel study plan STUDY.toml [--out DIR] [--no-probe]
       virel study run STUDY.toml [--out DIR] [--jobs N] [--engine E] [--job I]
                       [--amend WHY]
       virel study status STUDY.toml [--out DIR]
       virel study report STUDY.toml [--out DIR]
       virel study ACTION --help

A study compares algorithms: arms, environments, seeds and hypotheses stand in one file, written before the
first run. `plan` prints jobs, their time and the smallest p-value of each hypothesis; `run` starts or
continues; `status` shows progress; `report` decides the hypotheses.
docs/guide/studies.md shows one from an empty folder.
"""


def _plan(options: PlanOptions) -> int:
    from virel_deep.study.probe import probe  # noqa: PLC0415
    from virel_deep.study.status import plan_notes, plan_table  # noqa: PLC0415

    study, out, jobs = _study(options.study, options.out)
    record = read_record(out)
    speeds = {}
    if options.probe:
        with Console(stderr=True).status("probing") as status:
            precision = record.precision if record else precision_of(study)
            speeds = dict(
                probe(study, jobs, precision, seen=lambda job: status.update(f"probing {job.name}"))
            )
    print_tables([plan_table(study, jobs, speeds)], plan_notes(study, jobs, speeds, available_cpus()))
    if record is None:
        tell(f"SHA-256 of the plan: {study.sha256}; `virel study run` writes it down in {out / FILE}")
    else:
        _say_changes(record, study, options.study)
    return 0


def _start(options: RunOptions) -> int:
    require(options.jobs is None or options.jobs >= 1, "jobs", options.jobs, "must be at least 1")
    study, out, jobs = _study(options.study, options.out)
    known = options.job is None or 0 <= options.job < len(jobs)
    require(known, "job", options.job, f"must be from 0 to {len(jobs) - 1}, as `virel study plan` lists them")
    engine = None if options.engine is None else parse_engine(options.engine)
    slots = options.jobs or max(1, available_cpus() // study.run.get("threads", 1))
    if engine is not None:
        require(options.job is None, "job", options.job, "must not be given with --engine")
        require_reachable(engine)
        if engine.kind == "ray":  # before anything is written
            require_ray(engine, slots)
    record = register(study, out, str(options.study), amend=options.amend)
    if options.job is not None:
        return _one(study, out, record, jobs[options.job])
    states = [job_state(out, study, job) for job in jobs]
    work = [(job, prepare(out, study, job, record.precision)) for job in unfinished(states)]
    failures = sum(len(state.failures) for state in states if state.finished)
    if not work:
        say(f"every job of {out} is finished, {failures} seeds failed; `virel study report` shows the scores")
        return 1 if failures else 0
    if engine is None:
        status, waiting = _here(study, out, jobs, work, slots)
    else:
        status, waiting = run_on_cluster(engine, study, out, work, slots)
    if status != INTERRUPTED:
        _say_waiting(out, study, waiting)
    folder, file = ("--out", as_argument(out)), as_argument(options.study)
    if status == INTERRUPTED:
        again = shlex.join(("virel", "study", "run", file, *folder, *_where(options)))
        say(f"stopped; continue with: {again}")
    elif status == DONE:
        report = shlex.join(("virel", "study", "report", file, *folder))
        say(f"every job is finished; next: {report}")
    return max(status, 1 if failures else 0)


def _where(options: RunOptions) -> list[str]:
    """Arguments of `virel study run` that say where, and how many at a time, its jobs run."""
    jobs = [] if options.jobs is None else ["--jobs", str(options.jobs)]
    return jobs if options.engine is None else [*jobs, "--engine", options.engine]


def _here(
    study: Study, out: Path, jobs: list[Job], work: list[tuple[Job, Path]], slots: int
) -> tuple[int, list[Job]]:
    """Run a study's jobs in processes of this machine, showing progress.

    Returns:
        The overall exit status, and the jobs that could not start.
    """
    from virel_deep.study.display import Display  # noqa: PLC0415
    from virel_deep.study.runner import LOG, Jobs  # noqa: PLC0415

    running = Jobs(work, slots, lambda job: job_state(out, study, job).waits_for is None)
    done = len(jobs) - len(work)
    with Display(len(jobs), done, lambda job: job_state(out, study, job)) as shown:
        status = running.run(shown)
    for name, why in running.failures.items():
        say(f"virel study: {name} failed, see {out / 'jobs' / name / LOG}: {why}")
    return status, [job for job, _ in running.waiting]


def _say_waiting(out: Path, study: Study, jobs: Sequence[Job]) -> None:
    """Say of each job that could not start which other one it waits for."""
    for job in jobs:
        if source := job_state(out, study, job).waits_for:
            say(f"virel study: {job.name} did not start: it waits for the priors of {source}")


def _one(study: Study, out: Path, record: Record, job: Job) -> int:
    """Train one job of a study in this process; return its exit status."""
    from virel_deep.study.worker import train_job  # noqa: PLC0415

    source = prior_job(study, job)
    known = source is None or is_finished(out, study, source)
    rule = f"must be one whose prior is learned; {job.name} waits for {source and source.name}"
    require(known, "job", job.number, f"{rule}, job {source and source.number}")
    run = prepare(out, study, job, record.precision)
    state = job_state(out, study, job)
    if state.finished:
        say(f"{job.name} is finished, {len(state.failures)} seeds failed")
        return FAILED if state.failures else DONE
    return train_job(run)


def _status(options: StatusOptions) -> int:
    from virel_deep.study.status import status_notes, status_table  # noqa: PLC0415

    study, out, record = _recorded(options.study, options.out)
    states, damaged = [], []
    for job in check_jobs(record.study, str(out / FILE)):
        try:
            states.append(job_state(out, record.study, job))
        except InputError as error:  # the others' state can be told
            damaged.append(f"{job.name} can't be read: {error}")
    print_tables([status_table(record.study, states)], status_notes(states, damaged))
    _say_changes(record, study, options.study)
    return 2 if damaged else 0 if all(state.finished for state in states) else 1


def _report(options: ReportOptions) -> int:
    from virel_deep.study.page import write_report  # noqa: PLC0415  (brings matplotlib)
    from virel_deep.study.report import contents  # noqa: PLC0415

    study, out, record = _recorded(options.study, options.out)
    found = contents(out, record, differing=differing(record, study))
    paths = write_report(found, out / "report")
    tables = [table for part in found.parts for table in part.tables]
    print_tables(tables, [*notes_on(tables), found.progress])
    for one in found.decisions:
        tell(f"{one.hypothesis.name}: {one.hypothesis.better} above {one.hypothesis.than}: {one.outcome}")
    tell(f"written: {', '.join(map(str, paths))}")
    return 0


def _study(path: Path, out: Path | None) -> tuple[Study, Path, list[Job]]:
    """Read a study file; return the study, its output folder, and its checked jobs."""
    folder = _folder(path, out)
    study = as_recorded(read_study(path), folder)
    return study, folder, check_jobs(study, str(path))


def _recorded(path: Path, out: Path | None) -> tuple[Study, Path, Record]:
    """Read a study file and the plan recorded in its folder; return study, folder and recorded plan."""
    study, folder = read_study(path), _folder(path, out)
    record = read_record(folder)
    if record is None:
        raise InputError(
            f"`out` must hold a study; {folder} has no {FILE}: begin with virel study run {path}"
        )
    return study, folder, record


def _folder(path: Path, out: Path | None) -> Path:
    return out or Path("out/study") / path.stem


def _say_changes(record: Record, study: Study, path: Path) -> None:
    """Print one line with all changes of the study file against the recorded plan, if there are any."""
    if changed := differing(record, study):
        say(f"note: {path} differs from the recorded plan, which is in force: {'; '.join(changed)}")
