"""The run folder: `config.json`, and a folder a seed, which one process at a time writes."""

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from virel_common.errors import InputError
from virel_common.files import StorageError, write_atomically
from virel_common.versions import versions
from virel_deep.design.algorithm import RunConfig, from_json, to_json

FORMAT, FILE = 1, "config.json"


def seed_folder(run: Path, seed: int) -> Path:
    """`RUN/seed-<s>`."""
    return run / f"seed-{seed}"


@contextmanager
def locked(run: Path, seeds: Sequence[int]) -> Iterator[None]:
    """Hold the folders of all these seeds, made where they are missing; no other process can meanwhile.

    Raises:
        InputError: another process trains one of them; then none is held.
        StorageError: a folder can't be made.
    """
    with ExitStack() as held:
        for seed in seeds:
            folder = seed_folder(run, seed)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"can't write {folder}: {error.strerror or error}") from error
            handle = os.open(folder, os.O_RDONLY)
            held.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{folder}: another process trains this seed") from None
        yield


def write_config(run: Path, config: RunConfig) -> None:
    """Write `config.json`: the whole configuration, the command, the versions that it runs with.

    Raises:
        StorageError: the run folder can't be made or written.
    """
    document = {
        "format": FORMAT,
        "config": to_json(config),
        "command": ["virel", *sys.argv[1:]],
        "versions": versions(),
    }
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"can't write {run}: {error.strerror or error}") from error
    _write(run, document)


def set_steps(run: Path, steps: int, seeds: tuple[int, ...] | None = None) -> None:
    """Give a run another goal, and more seeds; command and versions stay those that it began with.

    Raises:
        InputError: the run can't have this goal, or is being trained.
    """
    config = read_config(run)
    config = replace(config, steps=steps, seeds=config.seeds if seeds is None else seeds)
    with locked(run, config.seeds):
        document = _read(run)
        document["config"] |= {"steps": config.steps, "seeds": list(config.seeds)}
        _write(run, document)


def read_config(run: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        InputError: `run` is no run folder, or its `config.json` is damaged or of another format.
    """
    document = _read(run)
    try:
        return from_json(document["config"])
    except InputError as error:
        raise InputError(f"{run / FILE}: {error}") from None


def changed_versions(run: Path) -> dict[str, tuple[str, str]]:
    """What `write_config` recorded and is different now: name, then what it was and is."""
    recorded = _read(run).get("versions")
    recorded = recorded if isinstance(recorded, dict) else {}
    now = versions()
    return {name: (str(recorded.get(name)), now[name]) for name in now if recorded.get(name) != now[name]}


def _write(run: Path, document: dict[str, Any]) -> None:
    write_atomically(run / FILE, (json.dumps(document, indent=1) + "\n").encode())


def _read(run: Path) -> dict[str, Any]:
    path = run / FILE
    try:
        document: Any = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"`run` must be a run folder; {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not (isinstance(document, dict) and isinstance(document.get("config"), dict)):
        raise InputError(f"{path}: must be an object with `config`; found {str(document)[:80]!r}")
    if document.get("format") != FORMAT:
        raise InputError(f"{path}: `format` must be {FORMAT}; found {document.get('format')!r}")
    return document
