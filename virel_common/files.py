"""Write files that are either whole or absent: temporary name, sync to the disk, then rename."""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from virel_common.errors import InputError, shown

LOCK = ".lock"
"""Name of an empty file by which a process locks the folder that it is in, on all machines."""

TEMPORARY = ".tmp-"
"""Prefix of every temporary name. A file found under such a name was left by a killed process."""

BLOCK = 1 << 20
"""Bytes that `check_stamp` reads at a time."""


OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
"""Errors of a disk that is full or read-only: the fault of no file and no code."""


class StorageError(RuntimeError):
    """A file could not be written; every file that was complete before is unchanged."""


def raise_if_disk(error: BaseException) -> None:
    """Raise an error again if a full or read-only disk is its cause."""
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        raise error


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block, which writes `path`, into a `StorageError` that names it."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"can't write {path}: {error.strerror or error}") from error


class Stamp(NamedTuple):
    """SHA-256 (hexadecimal) and length in bytes that identify a file's contents."""

    sha256: str
    size: int


class HashingWriter:
    """Binary file, open for writing, that computes SHA-256 and length of everything written to it."""

    def __init__(self, file: BinaryIO) -> None:
        """Wrap an open, empty file, whose SHA-256 is computed from its first byte on."""
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        """Write all of `data` to the file and add it to the checksum; raise OSError if the disk is full."""
        self._hash.update(data)
        self._size += len(data)
        return self._file.write(data)

    @property
    def stamp(self) -> Stamp:
        """SHA-256 and length of all bytes written so far."""
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
    """Open a binary file that appears under the name `path` only if the block succeeds.

    Raises:
        OSError: `path` is a folder, or can't be written; names `path`.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader, or a kill at any moment, sees the old or the new contents.

    Raises:
        StorageError: it can't be written, for instance because the disk is full; the old file is unchanged.
    """
    with storing(path), replacing(path) as temporary:
        write_synced(temporary, lambda writer: writer.write(data))


def write_json(path: Path, document: object) -> None:
    """Write a document of JSON values in one step, as `write_atomically` does; it raises the same."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def write_synced(path: Path, fill: Callable[[HashingWriter], object]) -> Stamp:
    """Let the callback `fill` write a file, sync it to the disk, and return its SHA-256 and length.

    Not atomic: `path` must be a temporary name or lie in a temporary folder.
    """
    with path.open("wb") as file:
        writer = HashingWriter(file)
        fill(writer)
        file.flush()
        os.fsync(file.fileno())
    return writer.stamp


def rename_synced(source: Path, target: Path) -> None:
    """Rename a file or folder inside one file system, replacing a file, and sync the new name to the disk."""
    source.rename(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, and sync their names to the disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's list of names to the disk, so that a rename in it survives a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock_folder(folder: Path) -> int | None:
    """Lock a folder against other processes of this machine, as `lock_file` does; it leaves no file."""
    return _locked(os.open(folder, os.O_RDONLY), fcntl.LOCK_NB)


def lock_file(path: Path, *, wait: bool = False) -> int | None:
    """Lock a file, made if missing; return the handle, or None if another process holds the lock.

    The lock ends when the handle is closed, or with this process, however it ends; the file stays. NFS passes
    locks of files on to other machines, those of folders not.

    Args:
        path: the file.
        wait: whether to wait until nobody else holds the lock.

    Raises:
        StorageError: the file can't be made.
    """
    with storing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    return _locked(handle, 0 if wait else fcntl.LOCK_NB)


def _locked(handle: int, how: int) -> int | None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


class Appender:
    """File to which whole pieces are appended; a kill leaves at most a part of the last piece.

    Raises:
        StorageError: the file can't be written, for instance because the disk is full. `append` raises it
            too, after it has removed what it had written of its piece.
    """

    def __init__(self, path: Path) -> None:
        """Open a file for appending; create it if it is missing."""
        self._path = path
        with storing(path):
            self._file = path.open("ab", buffering=0)
        self._end = self._file.tell()

    def append(self, piece: bytes) -> None:
        """Append all bytes of `piece` to the file, or none of them if the disk is full."""
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._file.truncate(self._end)
            raise StorageError(f"can't write {self._path}: {error.strerror or error}") from error
        self._end += len(piece)

    def close(self) -> None:
        """Close the file that is being appended to."""
        self._file.close()


def read_checked(path: Path, stamp: Stamp) -> bytes:
    """Read a file; raise `InputError` unless its SHA-256 and length are the expected ones.

    Raises:
        InputError: the file can't be read, or its bytes differ.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    _require_stamp(path, Stamp(hashlib.sha256(data).hexdigest(), len(data)), stamp)
    return data


def read_object(path: Path, prefix: str = "") -> dict[str, Any]:
    """Read a JSON object from a file, which must exist.

    Args:
        path: file in UTF-8.
        prefix: beginning of the message on a file that can't be read.

    Raises:
        InputError: the file can't be read, is not JSON, or holds something else than an object.
    """
    document = find_object(path, prefix)
    if document is None:
        raise InputError(f"{prefix}{path}: {os.strerror(errno.ENOENT)}")
    return document


def find_object(path: Path, prefix: str = "") -> dict[str, Any] | None:
    """Read a JSON object from a file; None if there is no file, or no longer.

    Args:
        path: file in UTF-8.
        prefix: beginning of the message on a file that can't be read.

    Raises:
        InputError: the file can't be read, is not JSON, or holds something else than an object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{prefix}{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: must hold a JSON object; found {shown(document)}")
    return document


def check_stamp(path: Path, stamp: Stamp) -> None:
    """Compare SHA-256 and length of a file with the expected ones, reading it in blocks to spare memory.

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
    """Remove the temporary files that a killed process left in a folder."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
