"""Save and load checkpoints of one seed: each is whole or absent, checksummed, and free of pickle.

```
RUN/seed-0/checkpoints/step-000010000/   manifest.json, state.json, tensors.safetensors, arrays.npz
RUN/seed-0/replay/rows-FIRST-LAST-HASH.npy
```

The newest two are kept. A checkpoint gets its name by a rename once all of it is on the disk, so a kill at
any moment leaves the earlier ones intact. Checkpoints share the rows of the replay (`chunks.py`): if the disk
damages a chunk, every checkpoint that names it is lost.
"""

import shutil
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
    remove_temporary,
    rename_synced,
    sync_folder,
    write_synced,
)
from virel_deep.storage.chunks import Ledger, Rows, append, check_rows, remove_unnamed
from virel_deep.storage.folders import checkpoints, is_ours, replay_of, require_ours, step_of
from virel_deep.storage.manifest import MANIFEST, Manifest, manifest_bytes, read_manifest
from virel_deep.storage.reading import Loaded, load, newest, raise_unreadable, rows_of, valid, whole
from virel_deep.storage.state import pack

__all__ = ["CheckpointError", "Loaded", "Rows", "load", "newest", "require_ours", "rows_of", "save", "tidy"]


class CheckpointError(StorageError):
    """A checkpoint could not be written; the earlier ones are unchanged."""


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


def tidy(folder: Path) -> None:
    """Remove what a kill left: temporary files, and chunks of the replay that no checkpoint names.

    `folder` is as in `save`.

    Raises:
        CheckpointError: they can't be removed.
    """
    try:
        _clean(folder)
        _remove_unnamed_chunks(folder)
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename})"
        raise CheckpointError(f"can't remove what a kill left in {folder}: {reason}") from error


def _write(folder: Path, step: int, files: dict[str, bytes], rows: Rows | None, before: _Before) -> Path:
    ledger = None if rows is None else append(replay_of(folder), rows, before.ledger)
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
    for path in checkpoints(folder):
        if path not in {final, before.path} and is_ours(path):
            _remove(path)
    _remove_unnamed_chunks(folder)
    return final


def _write_bytes(path: Path, content: bytes) -> Stamp:
    return write_synced(path, lambda file: file.write(content))


def _before(folder: Path, step: int, rows: Rows | None) -> _Before:
    """Find the checkpoint that a new one continues; a later valid checkpoint is an error."""
    ledger, damaged = None, []
    for path in reversed(checkpoints(folder)):
        place = step_of(path)
        if place == step and not is_ours(path):
            raise InputError(f"{path}: not a virel checkpoint; move it away, to save step {step}")
        try:
            manifest = whole(path)
        except InputError as error:
            raise_unreadable(error)
            damaged.append(str(error))
            continue
        if rows is not None and manifest.rows is not None and manifest.rows.end == rows.first:
            ledger = ledger or manifest.rows
        if place < step and _continues(rows, manifest.rows):
            break
        if place != step and valid(path):
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


def _remove(path: Path) -> None:
    """Remove a checkpoint by renaming it first, so that half a checkpoint never looks like a whole one."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    rename_synced(path, temporary)
    shutil.rmtree(temporary)


def _clean(folder: Path) -> None:
    for place in (folder, replay_of(folder)):
        remove_temporary(place)


def _remove_unnamed_chunks(folder: Path) -> None:
    ours = [path for path in checkpoints(folder) if is_ours(path)]
    with suppress(InputError):  # a manifest that can't be read may name any chunk
        remove_unnamed(replay_of(folder), [read_manifest(path, step=step_of(path)).rows for path in ours])
