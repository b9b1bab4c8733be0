"""Find and read the newest valid checkpoint of a seed; nothing is written here."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from virel_common.errors import InputError, require
from virel_common.files import read_checked
from virel_common.terminal import say
from virel_deep.storage.chunks import Ledger, Rows, blocks, check, find, gather
from virel_deep.storage.folders import checkpoints, replay_of, step_of
from virel_deep.storage.manifest import Manifest, read_manifest
from virel_deep.storage.state import BROKEN, unpack

TakeRows = Callable[[Path, Ledger], Rows | None]
"""What to do with the replay rows of a checkpoint: `gather`, `check`, `find` or `_leave`."""


class Loaded(NamedTuple):
    """Contents of a checkpoint: step, training state and replay rows."""

    step: int
    """Environment steps done."""
    state: dict[str, Any]
    """The state that was saved, with tensors on the CPU."""
    rows: Rows | None
    """Rows that are still in the replay; None if there was no replay, or the rows were not asked for."""
    ledger: Ledger | None = None
    """Where the rows are on the disk; None without a replay."""


def load(folder: Path, *, with_rows: bool = True, checked: bool = False) -> Loaded:
    """Load the newest valid checkpoint; skip a damaged one, with a line on stderr.

    Args:
        folder: `RUN/seed-<s>/checkpoints`; only read, even while a training process writes there.
        with_rows: whether to read and check the replay rows; acting alone does not need these gigabytes.
        checked: whether to check the rows also if they are not read; `rows_of` then reads them.

    Raises:
        InputError: there is no checkpoint, or none is valid; names each file and what is wrong with it.
    """
    loaded, damaged = _newest(folder, gather if with_rows else check if checked else _leave)
    for message in damaged:
        say(f"{message}; using step-{loaded.step:09d} instead")
    return loaded


def newest(folder: Path) -> Loaded:
    """Newest valid checkpoint; its replay rows are looked for, but neither read nor checked.

    Raises:
        InputError: there is no checkpoint, or none is valid; names each file and what is wrong with it.
    """
    return _newest(folder, find)[0]


def rows_of(folder: Path, loaded: Loaded) -> Iterator[Rows]:
    """Yield the replay rows of a checkpoint that was loaded `checked`, some at a time, in their order.

    Raises:
        InputError: a file is missing, or not the one that was checked.
    """
    return iter(()) if loaded.ledger is None else blocks(replay_of(folder), loaded.ledger)


def _newest(folder: Path, take: TakeRows) -> tuple[Loaded, list[str]]:
    """Find the newest valid checkpoint, and list what is wrong with each newer one."""
    paths = checkpoints(folder)
    require(paths != [], "folder", str(folder), "must hold a checkpoint")
    damaged: list[str] = []
    for path in reversed(paths):
        try:
            return _read(path, take), damaged
        except InputError as error:
            damaged.append(str(error))
    if checkpoints(folder) != paths:  # a training process has replaced them meanwhile
        return _newest(folder, take)
    raise InputError("; ".join(damaged))


def _leave(_folder: Path, _ledger: Ledger) -> None:
    """Skip the replay rows of a checkpoint, neither reading nor checking them."""


def whole(path: Path) -> Manifest:
    """Read a checkpoint's manifest and check its files; of replay chunks, only sizes are checked."""
    manifest = read_manifest(path, step=step_of(path))
    _read_files(path, manifest)
    if manifest.rows is not None:
        find(replay_of(path.parent), manifest.rows)
    return manifest


def valid(path: Path) -> bool:
    """Whether a checkpoint can be loaded, replay rows included."""
    try:
        _read(path, check)
    except InputError as error:
        raise_unreadable(error)
        return False
    return True


def raise_unreadable(error: InputError) -> None:
    """Raise the operating system's error if a file was only unreadable at present, which is not damage.

    Examples are too many open files and a lost network disk.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno not in {None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}:
        raise cause


def _read(path: Path, take: TakeRows) -> Loaded:
    manifest = read_manifest(path, step=step_of(path))
    files = _read_files(path, manifest)
    try:
        state = unpack(files)
        rows = None if manifest.rows is None else take(replay_of(path.parent), manifest.rows)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{path}: not a valid checkpoint: {error}") from error
    return Loaded(manifest.step, state, rows, manifest.rows)


def _read_files(path: Path, manifest: Manifest) -> dict[str, bytes]:
    return {name: read_checked(path / name, stamp) for name, stamp in manifest.files.items()}
