"""Checkpoints of one seed: whole or absent, checksummed, without pickle.

```
RUN/seed-0/checkpoints/step-000010000/   manifest.json, state.json, tensors.safetensors, arrays.npz
RUN/seed-0/replay/rows-FIRST-LAST-HASH.npy
```

The newest two are kept. A checkpoint gets its name by a rename once all of it is on the disk, so a kill at
any moment leaves the ones before. Rows of the replay are shared between checkpoints (`chunks.py`): a chunk
that the disk damages is lost to every checkpoint that names it.
"""

import errno
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from virel_common.errors import InputError, require
from virel_common.files import (
    TEMPORARY,
    Stamp,
    StorageError,
    make_folder,
    read_checked,
    remove_temporary,
    rename_synced,
    sync_folder,
    write_synced,
)
from virel_deep.storage.chunks import Ledger, Rows, append, check_rows, gather, remove_unnamed
from virel_deep.storage.manifest import MANIFEST, Manifest, manifest_bytes, read_manifest
from virel_deep.storage.state import BROKEN, pack, unpack

NAME = re.compile(r"step-(\d{9,})(\.replaced)?")
"""`.replaced`: a kill fell between the two renames that put a new checkpoint where one of its step was."""

__all__ = ["CheckpointError", "Loaded", "Rows", "load", "save"]


class CheckpointError(StorageError):
    """A checkpoint can't be written; those before it are as they were."""


class Loaded(NamedTuple):
    """A checkpoint: environment steps done, the state (tensors on the CPU), the rows still in the replay."""

    step: int
    state: dict[str, Any]
    rows: Rows | None


class _Before(NamedTuple):
    path: Path | None
    """The newest earlier checkpoint of this run that is whole: it is kept."""
    ledger: Ledger | None
    """Of the checkpoint that ends where the new rows begin."""


def save(folder: Path, step: int, state: Mapping[str, Any], *, rows: Rows | None) -> Path:
    """Write a checkpoint, then remove those older than the one before.

    Args:
        folder: `RUN/seed-<s>/checkpoints`, of this seed alone and written by one process at a time; made
            where it is missing. The replay's chunks go to `replay` beside it.
        step: environment steps done.
        state: nested dicts and lists of tensors, arrays of numbers or text, int, float, str, bool and None.
        rows: rows of the replay since the checkpoint before; None without a replay.

    Returns:
        The folder of the new checkpoint. One of the same step is replaced.

    Raises:
        InputError: a leaf can't be stored; the rows don't continue the checkpoint before; or the folder holds
            a valid checkpoint later than this one, which must be of another run.
        CheckpointError: the disk is full, or can't be written for another reason.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as run:
        ...     path = save(Path(run) / "checkpoints", 10, {"alpha": 0.5}, rows=None)
        ...     path.name, load(Path(run) / "checkpoints").state
        ('step-000000010', {'alpha': 0.5})
    """
    require(type(step) is int and step >= 0, "step", step, "must be an int of at least 0")
    if rows is not None:
        check_rows(rows)
    files = pack(state)
    try:
        make_folder(folder)
        _clean(folder)
        before = _before(folder, step, rows)
        try:
            return _write(folder, step, files, rows, before)
        except OSError:
            with suppress(OSError):  # gives the disk back what the failed one took
                _clean(folder)
                _remove_unnamed_chunks(folder)
            raise
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename or 'while writing'})"
        raise CheckpointError(
            f"can't save step {step} in {folder}: {reason}; the checkpoints before are unchanged"
        ) from error


def load(folder: Path, *, with_rows: bool = True) -> Loaded:
    """The newest valid checkpoint; a damaged one is passed over with a warning.

    Args:
        folder: `RUN/seed-<s>/checkpoints`. Only read, also while a training writes there.
        with_rows: whether to read and check the replay; who only acts doesn't need its gigabytes.

    Raises:
        InputError: there is none, or none is valid; names each file and what is wrong with it.
    """
    paths = _checkpoints(folder)
    require(paths != [], "folder", str(folder), "must hold a checkpoint")
    damaged: list[str] = []
    for path in reversed(paths):
        try:
            loaded = _read(path, with_rows=with_rows)
        except InputError as error:
            damaged.append(str(error))
            continue
        for message in damaged:
            warnings.warn(f"{message}; using {path.name} instead", stacklevel=2)
        return loaded
    if _checkpoints(folder) != paths:  # a training has replaced them while we read
        return load(folder, with_rows=with_rows)
    raise InputError("; ".join(damaged))


def _write(folder: Path, step: int, files: dict[str, bytes], rows: Rows | None, before: _Before) -> Path:
    ledger = None if rows is None else append(_replay(folder), rows, before.ledger)
    final = folder / f"step-{step:09d}"
    temporary = folder / f"{TEMPORARY}{final.name}"
    temporary.mkdir()
    stamps = {name: _write_bytes(temporary / name, content) for name, content in files.items()}
    _write_bytes(temporary / MANIFEST, manifest_bytes(Manifest(step, stamps, ledger)))
    sync_folder(temporary)
    if final.exists():
        replaced = final.with_name(f"{final.name}.replaced")
        if replaced.exists():
            _remove(replaced)
        rename_synced(final, replaced)
    rename_synced(temporary, final)
    for path in _checkpoints(folder):
        if path not in {final, before.path} and _is_ours(path):
            _remove(path)
    _remove_unnamed_chunks(folder)
    return final


def _write_bytes(path: Path, content: bytes) -> Stamp:
    return write_synced(path, lambda file: file.write(content))


def _before(folder: Path, step: int, rows: Rows | None) -> _Before:
    """What the new checkpoint follows; later ones must be damaged, so that a run fell back behind them."""
    ledger, damaged = None, []
    for path in reversed(_checkpoints(folder)):
        place = _step(path)
        if place == step and not _is_ours(path):
            raise InputError(f"{path}: not a checkpoint of ours, and in the way of one")
        try:
            manifest = _whole(path)
        except InputError as error:
            _raise_unreadable(error)
            damaged.append(str(error))
            continue
        if rows is not None and manifest.rows is not None and manifest.rows.end == rows.first:
            ledger = ledger or manifest.rows
        if place < step and _continues(rows, manifest.rows):
            break
        if place != step and _valid(path):
            raise InputError(
                f"`step` {step} doesn't continue {path}, which is valid and later: of another run?"
            )
    else:
        path = None
    if damaged and rows is not None and ledger is None and rows.first > rows.begin:
        raise InputError(
            f"{'; '.join(damaged)}: the new rows, from {rows.first} on, continue what is lost there"
        )
    return _Before(path, ledger)


def _continues(rows: Rows | None, before: Ledger | None) -> bool:
    return rows is None or before is None or before.end <= rows.first


def _whole(path: Path) -> Manifest:
    """The manifest; `InputError` where a file is damaged. Its own are hashed (megabytes), chunks are not."""
    manifest = read_manifest(path, step=_step(path))
    _read_files(path, manifest)
    _find_chunks(path, manifest)
    return manifest


def _valid(path: Path) -> bool:
    try:
        _read(path, with_rows=True)
    except InputError as error:
        _raise_unreadable(error)
        return False
    return True


def _raise_unreadable(error: InputError) -> None:
    """A file that can't be read now (too many open files, a lost network disk) is no proof of damage."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno not in {None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}:
        raise cause


def _is_ours(path: Path) -> bool:
    return (path / MANIFEST).exists()


def _read(path: Path, *, with_rows: bool) -> Loaded:
    manifest = read_manifest(path, step=_step(path))
    files = _read_files(path, manifest)
    try:
        state = unpack(files)
        ledger = manifest.rows if with_rows else None
        rows = None if ledger is None else gather(_replay(path.parent), ledger)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{path}: not a checkpoint of ours: {error}") from error
    return Loaded(manifest.step, state, rows)


def _read_files(path: Path, manifest: Manifest) -> dict[str, bytes]:
    return {name: read_checked(path / name, stamp) for name, stamp in manifest.files.items()}


def _find_chunks(path: Path, manifest: Manifest) -> None:
    for chunk in manifest.rows.chunks if manifest.rows is not None else ():
        file = _replay(path.parent) / chunk.file
        if not file.is_file() or file.stat().st_size != chunk.size:
            raise InputError(f"{file}: missing, or not of {chunk.size} bytes")


def _checkpoints(folder: Path) -> list[Path]:
    """Oldest first; a replaced one comes before the one that replaces it.

    One listing decides: a path asked for again may be gone, where a training has replaced them all meanwhile.
    """
    try:
        with os.scandir(folder) as listing:
            names = [entry.name for entry in listing if NAME.fullmatch(entry.name) and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        names = []
    return sorted((folder / name for name in names), key=lambda path: (_step(path), path.suffix == ""))


def _step(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _remove(path: Path) -> None:
    """Take away the name first: half a checkpoint must not look like one."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    rename_synced(path, temporary)
    shutil.rmtree(temporary)


def _clean(folder: Path) -> None:
    for place in (folder, _replay(folder)):
        remove_temporary(place)


def _remove_unnamed_chunks(folder: Path) -> None:
    ours = [path for path in _checkpoints(folder) if _is_ours(path)]
    with suppress(InputError):  # a manifest that can't be read may name any of them
        remove_unnamed(_replay(folder), [read_manifest(path, step=_step(path)).rows for path in ours])


def _replay(folder: Path) -> Path:
    return folder.parent / "replay"
