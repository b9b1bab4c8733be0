"""Options of `virel study plan`, `run`, `status` and `report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

StudyFile = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STUDY.toml")]


@dataclass(frozen=True)
class PlanOptions:
    """Check a study file; print its jobs, their expected time, and what its hypotheses can reach.

    Writes nothing. Exit status: 0 the plan is sound; 2 bad input.
    """

    study: StudyFile
    """Study file (TOML) to check."""
    out: Path | None = None
    """Folder of the study, whose recorded plan the study file is compared with; default out/study/NAME for a
    study file NAME.toml."""
    probe: bool = True
    """Estimate each job's training time from a short training of it; takes some seconds per job."""


@dataclass(frozen=True)
class RunOptions:
    """Start or continue a study's unfinished jobs, some at a time; Ctrl-C saves, the next run continues.

    Exit status: 0 every job is finished; 1 a job failed; 2 bad input; 130 stopped, run again to continue.
    """

    study: StudyFile
    """Study file (TOML); its plan is recorded in the study's folder before the first run."""
    out: Path | None = None
    """Folder of the study's plan, runs and report; default out/study/NAME for a study file NAME.toml."""
    jobs: int | None = None
    """Number of jobs that run at a time, each in its own process; default one per usable CPU core, or as many
    as the cores give the study's `threads` to."""
    engine: str | None = None
    """Cluster that runs the jobs: ray://HOST:PORT, ray://auto, ray://local or dask://HOST:PORT; none means
    this machine. --out must be on a file system that its machines share (docs/guide/clusters.md)."""
    job: int | None = None
    """Run only one job, in this process: its number, from 0, as `virel study plan` lists it. Meant for job
    arrays of a cluster's scheduler."""
    amend: str | None = None
    """Reason why the study file differs from the recorded plan; the report shows it as a deviation."""


@dataclass(frozen=True)
class StatusOptions:
    """Print how far each job of a study has come, which seeds failed, and the time left.

    Exit status: 0 every job is finished; 1 some are not; 2 bad input, or a job whose files are damaged.
    """

    study: StudyFile
    """Study file (TOML) whose progress to print."""
    out: Path | None = None
    """Folder of the study's plan, runs and report; default out/study/NAME for a study file NAME.toml."""


@dataclass(frozen=True)
class ReportOptions:
    """Write the report of a study, finished or not: OUT/report/index.html and report.md.

    Exit status: 0 written; 2 bad input, or the folder can't be written.
    """

    study: StudyFile
    """Study file (TOML) whose report to write."""
    out: Path | None = None
    """Folder of the study's plan, runs and report; default out/study/NAME for a study file NAME.toml."""
