"""Check claims in worker processes, on this machine or a cluster; yield their results as they are ready.

Claims hold functions and strategies, which cannot be sent between processes: workers get ids and return plain
data.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from virel_common.engine import Engine
from virel_common.errors import require
from virel_common.jobs import run_jobs
from virel_common.versions import versions

if TYPE_CHECKING:
    from verify.engine.results import Row

Task = Literal["run_row", "figures_row", "certify_row"]
SHARED = "must be a folder on a file system that all machines of the cluster (`engine`) share"


def run_rows(
    ids: Sequence[str],
    *,
    seed: int,
    figures: Path | None,
    jobs: int,
    files: Sequence[Path] = (),
    task: Task = "run_row",
    engine: Engine | None = None,
) -> "Generator[Row]":
    """Check, draw or certify each claim in a worker process; yield rows of `results.json` as they finish.

    Args:
        ids: the claims to run.
        seed: seed of the random instances.
        figures: the folder for what the task writes, if any.
        jobs: number of worker processes; 1 runs the claims in this process, one after the other.
        files: Python files with claims that are not on record.
        task: the function of `verify.commands.work` that makes a row.
        engine: the cluster whose workers make the rows; None means this machine.

    Closing the generator, or an interrupt, stops the workers.
    """
    options: dict[str, Any] = {"seed": seed, "figures": figures, "files": tuple(files)}
    if jobs == 1 and engine is None:
        from verify.commands import work  # noqa: PLC0415

        yield from (getattr(work, task)(claim_id, **options) for claim_id in ids)
        return
    from verify.engine.results import PACKAGES  # noqa: PLC0415

    here = None if engine is None else versions(PACKAGES)
    arguments = [(task, claim_id, options, here) for claim_id in ids]
    with closing(run_jobs(_run_row, arguments, engine=engine, jobs=jobs)) as running:
        yield from (row for _, row in running)


def _run_row(task: Task, claim_id: str, options: dict[str, Any], wanted: dict[str, str] | None) -> "Row":
    """Compute a claim's row of `results.json` in a worker process; on a cluster, only if versions agree."""
    if wanted is not None:
        _require_same_versions(wanted)
        _require_shared(options["figures"])
    from verify.commands import work  # noqa: PLC0415

    row: Row = getattr(work, task)(claim_id, **options)
    return row


def _require_same_versions(wanted: dict[str, str]) -> None:
    """Raise `InputError` if this cluster worker has another version of a package than `wanted` maps it to.

    Otherwise `results.json` would record versions that did not compute its results.
    """
    packages = [name for name in wanted if name != "python"]
    for name, version in versions(packages).items():
        rule = f"must be a cluster whose machines all have {name} {wanted[name]}, as this one"
        require(version == wanted[name], "engine", f"{name} {version} on {os.uname().nodename}", rule)


def _require_shared(figures: Path | None) -> None:
    """Raise `InputError` if this cluster worker does not see the output folder of the command (`--out`)."""
    seen = figures is None or figures.parent.is_dir()
    require(seen, "out", f"no {figures and figures.parent} on {os.uname().nodename}", SHARED)
