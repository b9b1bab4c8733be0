"""Files that are whole or absent: written under a temporary name, synced to the disk, then renamed."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from virel_common.errors import InputError

TEMPORARY = ".tmp-"
"""First characters of every temporary name: what is found under such a name is the rest of a kill."""


class StorageError(RuntimeError):
    """Something could not be written; nothing that was complete before has changed."""


class Stamp(NamedTuple):
    """What a file's bytes must be: SHA-256 in hexadecimal, and their number."""

    sha256: str
    size: int


class HashingWriter:
    """A file that knows the stamp of what was written into it."""

    def __init__(self, file: BinaryIO) -> None:
        """Start counting at nothing written."""
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        """Write all of `data`; OSError where the disk is full."""
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    @property
    def stamp(self) -> Stamp:
        """Of everything written so far."""
        return Stamp(self._hash.hexdigest(), self._size)


def write_synced(path: Path, fill: Callable[[HashingWriter], object]) -> Stamp:
    """Let `fill` write a file, and wait until it is on the disk. Not atomic: `path` is a temporary place."""
    with path.open("wb") as file:
        writer = HashingWriter(file)
        fill(writer)
        file.flush()
        os.fsync(file.fileno())
    return writer.stamp


def rename_synced(source: Path, target: Path) -> None:
    """Rename inside one file system (a file replaces a file), and wait until the new name is on the disk."""
    source.rename(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, and wait until their names are on the disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old one or the new one.

    Raises:
        StorageError: it can't be written, for instance because the disk is full; the old file is unchanged.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        try:
            write_synced(temporary, lambda writer: writer.write(data))
            rename_synced(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"can't write {path}: {error.strerror or error}") from error


class Appender:
    """A file that grows by whole pieces, handed over at once: a kill leaves at most half of the last one.

    Raises:
        StorageError: the disk is full, or can't be written for another reason; also from `append`, which then
            takes back what it wrote of its piece.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at its end; make it where it is missing."""
        self._path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise StorageError(f"can't write {path}: {error.strerror or error}") from error
        self._end = self._file.tell()

    def append(self, piece: bytes) -> None:
        """Add all of `piece` or nothing."""
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(self._end)
            raise StorageError(f"can't write {self._path}: {error.strerror or error}") from error
        self._end += len(piece)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_checked(path: Path, stamp: Stamp) -> bytes:
    """The bytes of a file that must have this stamp.

    Raises:
        InputError: it can't be read, or its bytes are others.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if len(data) != stamp.size:
        raise InputError(f"{path}: {len(data)} bytes, its manifest says {stamp.size}")
    if hashlib.sha256(data).hexdigest() != stamp.sha256:
        raise InputError(f"{path}: its SHA-256 is not the one in its manifest")
    return data


def remove_temporary(folder: Path) -> None:
    """Remove what a kill left in a folder under temporary names."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
