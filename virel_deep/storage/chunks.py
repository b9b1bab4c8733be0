"""The replay on the disk: immutable files of rows, each written once, shared by the checkpoints that name it.

A row has a number, counted from the first one ever stored. A checkpoint needs the last `capacity` rows; its
ledger lists the chunks that hold them. So it writes only the rows that are new since the one before.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.files import TEMPORARY, Stamp, make_folder, read_checked, rename_synced, write_synced

NAME = re.compile(r"rows-\d{12}-\d{12}-[0-9a-f]{16}\.npy")
"""First row, last row, begin of the SHA-256: chunks of one name hold the same bytes, so none ever changes."""


class Rows(NamedTuple):
    """Consecutive rows of a replay."""

    first: int
    """Number of `data[0]`: rows ever stored before it."""
    data: NDArray[Any]
    """`[n, D]` numbers."""
    capacity: int
    """Rows the replay holds at most; only the last `capacity` are ever read again."""

    @property
    def end(self) -> int:
        """Number of the row after the last."""
        return self.first + len(self.data)

    @property
    def begin(self) -> int:
        """Number of the oldest row that is still in the replay."""
        return max(0, self.end - self.capacity)


@dataclass(frozen=True)
class Chunk:
    """A file of rows `first` to `last`, both included."""

    file: str
    first: int
    last: int
    sha256: str
    size: int


@dataclass(frozen=True)
class Ledger:
    """The last `capacity` of `end` rows of `columns` numbers: the chunks that hold them, in order."""

    capacity: int
    end: int
    columns: int
    dtype: str
    chunks: tuple[Chunk, ...]

    @property
    def begin(self) -> int:
        """Number of the oldest row that is still in the replay."""
        return max(0, self.end - self.capacity)


def check_rows(rows: Rows) -> None:
    """Raise `InputError` unless the rows are a table of numbers with a place."""
    require(isinstance(rows.data, np.ndarray), "rows.data", type(rows.data).__name__, "must be a numpy array")
    require(rows.data.ndim == 2, "rows.data", rows.data.shape, "must have shape [n, D]")
    require(rows.data.dtype.kind in "biufc", "rows.data", rows.data.dtype, "must hold numbers")
    require(rows.first >= 0, "rows.first", rows.first, "must be at least 0")
    require(rows.capacity >= 1, "rows.capacity", rows.capacity, "must be at least 1")


def append(folder: Path, rows: Rows, previous: Ledger | None) -> Ledger:
    """Write the new rows as a chunk and return the ledger with it.

    Args:
        folder: where the chunks are; made where it is missing.
        rows: those since `previous`; older ones than the last `capacity` may be left out.
        previous: ledger of the checkpoint before, if any.

    Raises:
        InputError: the rows don't continue `previous`.
        OSError: the disk is full, or can't be written for another reason.
    """
    if rows.first < rows.begin:
        rows = Rows(rows.begin, rows.data[-rows.capacity :], rows.capacity)
    older = _older_chunks(rows, previous)
    make_folder(folder)
    chunks = (*older, _write_chunk(folder, rows)) if len(rows.data) else older
    return Ledger(rows.capacity, rows.end, rows.data.shape[1], rows.data.dtype.str, chunks)


def gather(folder: Path, ledger: Ledger) -> Rows:
    """The last `capacity` rows, read from the chunks and checked.

    Raises:
        InputError: a chunk is missing, or is not the one that the ledger means.
    """
    data = np.empty((ledger.end - ledger.begin, ledger.columns), np.dtype(ledger.dtype))
    filled = ledger.begin
    for chunk in ledger.chunks:
        skipped = filled - chunk.first
        if skipped < 0 or NAME.fullmatch(chunk.file) is None:
            raise InputError(f"{folder / chunk.file}: not the chunk that begins with row {filled}")
        block = _read_chunk(folder, chunk, ledger)[skipped:]
        data[filled - ledger.begin : filled - ledger.begin + len(block)] = block
        filled += len(block)
    if filled != ledger.end:
        raise InputError(f"{folder}: its chunks end at row {filled}, the checkpoint at {ledger.end}")
    return Rows(ledger.begin, data, ledger.capacity)


def remove_unnamed(folder: Path, ledgers: Iterable[Ledger | None]) -> None:
    """Remove the chunks that no ledger names; other files are left alone."""
    named = {chunk.file for ledger in ledgers if ledger is not None for chunk in ledger.chunks}
    for path in folder.glob("rows-*.npy"):
        if NAME.fullmatch(path.name) and path.name not in named:
            path.unlink()


def _older_chunks(rows: Rows, previous: Ledger | None) -> tuple[Chunk, ...]:
    if rows.first <= rows.begin:
        return ()
    end = None if previous is None else previous.end
    require(end == rows.first, "rows.first", rows.first, f"must be where the last checkpoint ends, {end}")
    assert previous is not None
    found = (rows.capacity, rows.data.shape[1], rows.data.dtype.str)
    before = (previous.capacity, previous.columns, previous.dtype)
    require(found == before, "rows", found, f"must have capacity, columns and type as before, {before}")
    return tuple(chunk for chunk in previous.chunks if chunk.last >= rows.begin)


def _write_chunk(folder: Path, rows: Rows) -> Chunk:
    temporary = folder / f"{TEMPORARY}rows.npy"
    stamp = write_synced(temporary, lambda file: np.save(file, rows.data, allow_pickle=False))
    first, last = rows.first, rows.end - 1
    name = f"rows-{first:012d}-{last:012d}-{stamp.sha256[:16]}.npy"
    rename_synced(temporary, folder / name)
    return Chunk(name, first, last, stamp.sha256, stamp.size)


def _read_chunk(folder: Path, chunk: Chunk, ledger: Ledger) -> NDArray[Any]:
    content = read_checked(folder / chunk.file, Stamp(chunk.sha256, chunk.size))
    block: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    found, expected = (
        (block.shape, block.dtype.str),
        ((chunk.last + 1 - chunk.first, ledger.columns), ledger.dtype),
    )
    if found != expected:
        raise InputError(f"{folder / chunk.file}: shape and type {found}, its manifest says {expected}")
    return block
