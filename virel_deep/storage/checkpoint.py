"""Save and load checkpoints of one seed: each is whole or absent, checksummed, and free of pickle.

```
RUN/seed-0/checkpoints/step-000010000/   manifest.json, state.json, tensors.safetensors, arrays.npz
RUN/seed-0/replay/rows-FIRST-LAST-HASH.npy
```

The newest two are kept. A checkpoint gets its name by a rename once all of it is on the disk, so a kill at
any moment leaves the earlier ones intact. Checkpoints share the rows of the replay (`chunks.py`): if the disk
damages a chunk, every checkpoint that names it is lost.
"""

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
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
from virel_common.terminal import say
from virel_deep.storage.chunks import (
    Ledger,
    Rows,
    append,
    blocks,
    check,
    check_rows,
    find,
    gather,
    remove_unnamed,
)
from virel_deep.storage.manifest import MANIFEST, Manifest, manifest_bytes, read_manifest
from virel_deep.storage.state import BROKEN, pack, unpack

NAME = re.compile(r"step-(\d{9,})(\.replaced)?")
"""Names of checkpoint folders.

`.replaced` marks the older of two checkpoints of one step: a kill fell between the two renames."""

TakeRows = Callable[[Path, Ledger], Rows | None]
"""What to do with the replay rows of a checkpoint: `gather`, `check`, `find` or `_leave`."""

__all__ = ["CheckpointError", "Loaded", "Rows", "load", "newest", "rows_of", "save"]


class CheckpointError(StorageError):
    """A checkpoint could not be written; the earlier ones are unchanged."""


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


class _Before(NamedTuple):
    """Earlier checkpoint to keep, and the replay chunks that a new checkpoint continues."""

    path: Path | None
    """Newest whole checkpoint of this run that is earlier; it is kept."""
    ledger: Ledger | None
    """Ledger of the checkpoint that ends where the new rows begin."""


def save(folder: Path, step: int, state: Mapping[str, Any], *, rows: Rows | None) -> Path:
    """Write a checkpoint, then remove all earlier ones but the latest.

    Args:
        folder: `RUN/seed-<s>/checkpoints`; belongs to this seed alone, is written by one process at a time,
            and is created if missing. The replay's chunks go to the folder `replay` beside it.
        step: environment steps done.
        state: nested dicts and lists of tensors, arrays of numbers or text, int, float, str, bool and None.
        rows: rows of the replay since the previous checkpoint; None without a replay.

    Returns:
        The folder of the new checkpoint, which replaces one of the same step.

    Raises:
        InputError: a leaf can't be stored; the rows don't continue the previous checkpoint; or the folder
            holds a later valid checkpoint, which must belong to another run.
        CheckpointError: the checkpoint can't be written, for instance because the disk is full.

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
            with suppress(OSError):  # free the space that the failed checkpoint took
                _clean(folder)
                _remove_unnamed_chunks(folder)
            raise
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename or 'while writing'})"
        raise CheckpointError(
            f"can't save step {step} in {folder}: {reason}; earlier checkpoints are unchanged"
        ) from error


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
    return iter(()) if loaded.ledger is None else blocks(_replay(folder), loaded.ledger)


def _newest(folder: Path, take: TakeRows) -> tuple[Loaded, list[str]]:
    """Find the newest valid checkpoint, and list what is wrong with each newer one."""
    paths = _checkpoints(folder)
    require(paths != [], "folder", str(folder), "must hold a checkpoint")
    damaged: list[str] = []
    for path in reversed(paths):
        try:
            return _read(path, take), damaged
        except InputError as error:
            damaged.append(str(error))
    if _checkpoints(folder) != paths:  # a training process has replaced them meanwhile
        return _newest(folder, take)
    raise InputError("; ".join(damaged))


def _leave(_folder: Path, _ledger: Ledger) -> None:
    """Skip the replay rows of a checkpoint, neither reading nor checking them."""


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
    """Find the checkpoint that a new one continues; a later valid checkpoint is an error."""
    ledger, damaged = None, []
    for path in reversed(_checkpoints(folder)):
        place = _step(path)
        if place == step and not _is_ours(path):
            raise InputError(f"{path}: not a virel checkpoint; move it away, to save step {step}")
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
                f"`step` must be later than the valid checkpoint {path} (is it of another run?); found {step}"
            )
    else:
        path = None
    if damaged and rows is not None and ledger is None and rows.first > rows.begin:
        raise InputError(
            f"{'; '.join(damaged)}: the new rows begin at {rows.first}, but the rows before are lost there"
        )
    return _Before(path, ledger)


def _continues(rows: Rows | None, before: Ledger | None) -> bool:
    """Whether replay rows begin at or after the end of an earlier checkpoint's rows."""
    return rows is None or before is None or before.end <= rows.first


def _whole(path: Path) -> Manifest:
    """Read a checkpoint's manifest and check its files; of replay chunks, only sizes are checked."""
    manifest = read_manifest(path, step=_step(path))
    _read_files(path, manifest)
    if manifest.rows is not None:
        find(_replay(path.parent), manifest.rows)
    return manifest


def _valid(path: Path) -> bool:
    """Whether a checkpoint can be loaded, replay rows included."""
    try:
        _read(path, check)
    except InputError as error:
        _raise_unreadable(error)
        return False
    return True


def _raise_unreadable(error: InputError) -> None:
    """Raise the operating system's error if a file was only unreadable at present, which is not damage.

    Examples are too many open files and a lost network disk.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno not in {None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}:
        raise cause


def _is_ours(path: Path) -> bool:
    return (path / MANIFEST).exists()


def _read(path: Path, take: TakeRows) -> Loaded:
    manifest = read_manifest(path, step=_step(path))
    files = _read_files(path, manifest)
    try:
        state = unpack(files)
        rows = None if manifest.rows is None else take(_replay(path.parent), manifest.rows)
    except InputError:
        raise
    except BROKEN as error:
        raise InputError(f"{path}: not a valid checkpoint: {error}") from error
    return Loaded(manifest.step, state, rows, manifest.rows)


def _read_files(path: Path, manifest: Manifest) -> dict[str, bytes]:
    return {name: read_checked(path / name, stamp) for name, stamp in manifest.files.items()}


def _checkpoints(folder: Path) -> list[Path]:
    """List checkpoint folders, oldest first; a replaced one comes before the one that replaces it.

    One listing decides: a training process may replace them all before a path is looked at again.
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
    """Remove a checkpoint by renaming it first, so that half a checkpoint never looks like a whole one."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    rename_synced(path, temporary)
    shutil.rmtree(temporary)


def _clean(folder: Path) -> None:
    for place in (folder, _replay(folder)):
        remove_temporary(place)


def _remove_unnamed_chunks(folder: Path) -> None:
    ours = [path for path in _checkpoints(folder) if _is_ours(path)]
    with suppress(InputError):  # a manifest that can't be read may name any chunk
        remove_unnamed(_replay(folder), [read_manifest(path, step=_step(path)).rows for path in ours])


def _replay(folder: Path) -> Path:
    return folder.parent / "replay"
