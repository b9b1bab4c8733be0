"""Files that are whole or absent: written under a temporary name, synced to the disk, then renamed."""

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from virel_common.errors import InputError

TEMPORARY = ".tmp-"
"""Prefix of every temporary name. A file found under such a name was left by a killed process."""

BLOCK = 1 << 20
"""Bytes that `check_stamp` reads at a time."""


class StorageError(RuntimeError):
    """A file could not be written; every file that was complete before is unchanged."""


class Stamp(NamedTuple):
    """What a file's bytes must be: their SHA-256 in hexadecimal and their number."""

    sha256: str
    size: int


class HashingWriter:
    """Binary file for writing that computes the stamp of all bytes written to it."""

    def __init__(self, file: BinaryIO) -> None:
        """Wrap an open, empty file."""
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        """Write all of `data`; raise OSError if the disk is full."""
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    @property
    def stamp(self) -> Stamp:
        """Stamp of all bytes written so far."""
        return Stamp(self._hash.hexdigest(), self._size)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, else remove it.

    A reader, or a kill at any moment, sees the old file or the new one. The caller syncs what it writes.

    Raises:
        OSError: `path` is a folder, or can't be written; names `path`, not the temporary file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    try:
        try:
            yield temporary
            rename_synced(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.filename not in {None, str(temporary)}:  # another file, in the caller's block
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that becomes `path` if the block succeeds, and otherwise leaves nothing.

    Raises:
        OSError: `path` is a folder, or can't be written; names `path`.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old one or the new one.

    Raises:
        StorageError: it can't be written, for instance because the disk is full; the old file is unchanged.
    """
    try:
        with replacing(path) as temporary:
            write_synced(temporary, lambda writer: writer.write(data))
    except OSError as error:
        raise StorageError(f"can't write {path}: {error.strerror or error}") from error


def write_synced(path: Path, fill: Callable[[HashingWriter], object]) -> Stamp:
    """Let `fill` write a file, and wait until it is on the disk; return its stamp.

    Not atomic: `path` must be a temporary name or lie in a temporary folder.
    """
    with path.open("wb") as file:
        writer = HashingWriter(file)
        fill(writer)
        file.flush()
        os.fsync(file.fileno())
    return writer.stamp


def rename_synced(source: Path, target: Path) -> None:
    """Rename inside one file system, and wait until the new name is on the disk; a file replaces a file."""
    source.rename(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, and wait until their names are on the disk."""
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


def lock_folder(folder: Path) -> int | None:
    """Lock a folder against other processes; return the handle, or None if another process holds it.

    The lock ends when the handle is closed, or with this process, however it ends; it leaves no file.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


class Appender:
    """File that grows by whole pieces; a kill leaves at most a part of the last piece.

    Raises:
        StorageError: the file can't be written, for instance because the disk is full. `append` raises it
            too, after it has removed what it had written of its piece.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at its end; create it if it is missing."""
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
    """Read a file whose bytes must match this stamp.

    Raises:
        InputError: the file can't be read, or its bytes differ.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    _require_stamp(path, Stamp(hashlib.sha256(data).hexdigest(), len(data)), stamp)
    return data


def check_stamp(path: Path, stamp: Stamp) -> None:
    """Check that a file's bytes match this stamp, reading them in blocks and keeping none.

    Raises:
        InputError: the file can't be read, or its bytes differ.
    """
    found, size = hashlib.sha256(), 0
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK):
                found.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    _require_stamp(path, Stamp(found.hexdigest(), size), stamp)


def _require_stamp(path: Path, found: Stamp, stamp: Stamp) -> None:
    if found.size != stamp.size:
        raise InputError(f"{path}: must have {stamp.size} bytes, as its manifest says; found {found.size}")
    if found != stamp:
        raise InputError(f"{path}: damaged: its SHA-256 differs from the one in its manifest")


def remove_temporary(folder: Path) -> None:
    """Remove what a killed process left in a folder under temporary names."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
