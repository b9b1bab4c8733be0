"""Run folder: `config.json`, and one subfolder per seed, which only one process at a time may write."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from virel_common.errors import InputError, require
from virel_common.files import LOCK, lock_file, read_object, storing, write_json
from virel_deep.design.records import dotted, encode
from virel_deep.design.run import RunConfig, from_json, to_json
from virel_deep.versions import run_versions

FORMAT, FILE = 1, "config.json"


def seed_folder(run: Path, seed: int) -> Path:
    """Folder of one seed of a run, `RUN/seed-<s>`."""
    return run / f"seed-{seed}"


@contextmanager
def locked(run: Path, seeds: Sequence[int]) -> Iterator[None]:
    """Lock the folders of all these seeds against other processes, creating missing ones.

    Raises:
        InputError: another process trains one of the seeds; then no folder stays locked.
        StorageError: a folder can't be created.
    """
    with ExitStack() as held:
        for seed in seeds:
            folder = seed_folder(run, seed)
            with storing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            handle = lock_file(folder / LOCK)
            if handle is None:
                raise InputError(f"{folder}: another process trains this seed; wait for it, or stop it")
            held.callback(os.close, handle)
        yield


def write_config(run: Path, config: RunConfig, environment: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write a run's `config.json`: its whole configuration, the command, and the package versions in use.

    `environment` is what its environments were found to be, the record of `first_look`.

    Raises:
        StorageError: the run folder can't be created or written.
    """
    document = {
        "format": FORMAT,
        "config": to_json(config),
        "command": ["virel", *sys.argv[1:]],
        "versions": run_versions(),
        **({"environment": [dict(one) for one in environment]} if environment else {}),
    }
    with storing(run):
        run.mkdir(parents=True, exist_ok=True)
    write_json(run / FILE, document)


def set_steps(run: Path, steps: int, seeds: tuple[int, ...] | None = None) -> None:
    """Change a run's number of steps, and its seeds if given; the recorded command and versions stay.

    Raises:
        InputError: the number is invalid for the run, or another process trains it.
    """
    config = read_config(run)
    config = replace(config, steps=steps, seeds=config.seeds if seeds is None else seeds)
    with locked(run, config.seeds):
        document = _read(run)
        document["config"] |= {"steps": config.steps, "seeds": list(config.seeds)}
        write_json(run / FILE, document)


def read_config(run: Path) -> RunConfig:
    """Read the configuration of a run from its folder.

    Raises:
        InputError: `run` is not a run folder, or its `config.json` is damaged or of another format.
    """
    document = _read(run)
    try:
        return from_json(document["config"])
    except InputError as error:
        raise InputError(f"{run / FILE}: {error}") from None


def read_together(runs: Sequence[Path], *, any_steps: bool = False) -> list[RunConfig]:
    """Read the configurations of runs that are one: they differ in their seeds alone, and share none.

    Args:
        runs: run folders.
        any_steps: whether their numbers of steps may differ, as they will be made equal.

    Raises:
        InputError: a folder is no run folder; or two runs share a folder, a seed, or differ in a setting.
    """
    configs = [read_config(run) for run in runs]
    first, seen = configs[0], set(configs[0].seeds)
    require(len({run.resolve() for run in runs}) == len(runs), "runs", [*map(str, runs)], "must be different")
    for run, config in zip(runs[1:], configs[1:], strict=True):
        same: dict[str, Any] = {"seeds": (0,)} | ({"steps": first.steps} if any_steps else {})
        mine, theirs = (dotted(encode(replace(one, **same))) for one in (config, first))
        differing = [
            f"`{name}` is {mine.get(name)!r} and {theirs.get(name)!r}"
            for name in mine | theirs
            if mine.get(name) != theirs.get(name)
        ]
        rule = f"must differ from {runs[0]} in seeds alone ({'; '.join(differing)})"
        require(not differing, "runs", str(run), rule)
        shared = sorted(seen & set(config.seeds))
        require(not shared, "runs", str(run), f"must not have seeds of the runs before it ({shared})")
        seen |= set(config.seeds)
    return configs


def record_failure(run: Path, seed: int, failure: Mapping[str, Any]) -> None:
    """Write a seed's `failure.json`: step, what failed, where, and details.

    Raises:
        StorageError: it can't be written.
    """
    write_json(seed_folder(run, seed) / "failure.json", dict(failure))


def changed_versions(run: Path) -> dict[str, tuple[str, str]]:
    """Package versions that changed since the run began, by name: recorded and present version."""
    recorded = _read(run).get("versions")
    recorded = recorded if isinstance(recorded, dict) else {}
    now = run_versions()
    return {name: (str(recorded.get(name)), now[name]) for name in now if recorded.get(name) != now[name]}


def recorded_environment(run: Path) -> list[dict[str, Any]]:
    """What the environments of a run were when it began; empty if the run didn't record them.

    A run of an earlier version recorded the first one alone.
    """
    return environment_records(_read(run))


def environment_records(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Records of environments in the object that a run's `config.json` holds; empty if it has none."""
    found = document.get("environment")
    listed = found if isinstance(found, list) else [found]
    return [one for one in listed if isinstance(one, dict)]


def _read(run: Path) -> dict[str, Any]:
    path = run / FILE
    document = read_object(path, "`run` must be a run folder; ")
    require(isinstance(document.get("config"), dict), str(path), document, "must have an object `config`")
    if document.get("format") != FORMAT:
        raise InputError(
            f"{path}: `format` must be {FORMAT} for this version of virel; found {document.get('format')!r}"
        )
    return document
