"""Replay rows on disk: immutable files (chunks), each written once, shared by checkpoints.

Rows are numbered from the first one ever stored. A checkpoint needs the last `capacity` rows;
its ledger lists the chunks that hold them. So it writes only the rows that are new since the previous one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.files import (
    TEMPORARY,
    Stamp,
    check_stamp,
    make_folder,
    rename_synced,
    write_synced,
)

NAME = re.compile(r"rows-\d{12}-\d{12}-[0-9a-f]{16}\.npy")
"""Names of chunks: first row, last row, start of the SHA-256. Equal names mean equal bytes."""


class Rows(NamedTuple):
    """Consecutive rows of a replay buffer, numbered from the first one ever stored."""

    first: int
    """Number of the row `data[0]`: how many rows were stored before it."""
    data: NDArray[Any]
    """`[n, D]` numbers, one row per transition."""
    capacity: int
    """Most rows that the replay holds; only the last `capacity` rows are ever read again."""

    @property
    def end(self) -> int:
        """Number of the replay row that comes next."""
        return self.first + len(self.data)

    @property
    def begin(self) -> int:
        """Number of the oldest row that the replay buffer still holds."""
        return max(0, self.end - self.capacity)


@dataclass(frozen=True)
class Chunk:
    """File of consecutive replay rows: its name, first and last row, checksum and size."""

    file: str
    first: int
    """Number of the chunk's first row."""
    last: int
    """Number of the chunk's last row."""
    sha256: str
    size: int
    """Size of the file in bytes."""


@dataclass(frozen=True)
class Ledger:
    """List of the chunk files that hold the replay rows of one checkpoint."""

    capacity: int
    """Most rows that the replay holds."""
    end: int
    """How many rows were ever stored."""
    columns: int
    """Numbers per row."""
    dtype: str
    """Type of the numbers, as numpy writes it."""
    chunks: tuple[Chunk, ...]
    """Chunks in the order of their rows; together they hold the last `capacity` rows."""

    @property
    def begin(self) -> int:
        """Number of the oldest row that the replay buffer still holds."""
        return max(0, self.end - self.capacity)


def check_rows(rows: Rows) -> None:
    """Raise `InputError` unless replay rows are a numeric table with a valid first number and capacity."""
    require(isinstance(rows.data, np.ndarray), "rows.data", type(rows.data).__name__, "must be a numpy array")
    require(rows.data.ndim == 2, "rows.data", rows.data.shape, "must have shape [n, D]")
    require(rows.data.dtype.kind in "biufc", "rows.data", rows.data.dtype, "must hold numbers")
    require(rows.first >= 0, "rows.first", rows.first, "must be at least 0")
    require(rows.capacity >= 1, "rows.capacity", rows.capacity, "must be at least 1")


def append(folder: Path, rows: Rows, previous: Ledger | None) -> Ledger:
    """Write new replay rows as a chunk file; return the updated list of chunks.

    Args:
        folder: where the chunks are; created if missing.
        rows: the rows since `previous`; rows before the last `capacity` may be left out.
        previous: ledger of the previous checkpoint, if any.

    Raises:
        InputError: the rows don't continue `previous`.
        OSError: the chunk can't be written, for instance because the disk is full.
    """
    if rows.first < rows.begin:
        rows = Rows(rows.begin, rows.data[-rows.capacity :], rows.capacity)
    older = _older_chunks(rows, previous)
    make_folder(folder)
    chunks = (*older, _write_chunk(folder, rows)) if len(rows.data) else older
    return Ledger(rows.capacity, rows.end, rows.data.shape[1], rows.data.dtype.str, chunks)


def gather(folder: Path, ledger: Ledger) -> Rows:
    """Read the last `capacity` replay rows from the chunk files, and check them.

    Raises:
        InputError: a chunk is missing, damaged, or not the one that the ledger lists.
    """
    check(folder, ledger)
    data = np.empty((ledger.end - ledger.begin, ledger.columns), np.dtype(ledger.dtype))
    for rows in blocks(folder, ledger):
        data[rows.first - ledger.begin : rows.end - ledger.begin] = rows.data
    return Rows(ledger.begin, data, ledger.capacity)


def blocks(folder: Path, ledger: Ledger) -> Iterator[Rows]:
    """Yield the last `capacity` replay rows, chunk by chunk, of files that `check` has found whole.

    Raises:
        InputError: a chunk is missing, or not the one that the ledger lists.
    """
    for chunk, first in _in_order(folder, ledger):
        block = _mapped(folder, chunk, ledger)
        yield Rows(first, np.array(block[first - chunk.first :]), ledger.capacity)


def find(folder: Path, ledger: Ledger) -> None:
    """Look whether the chunk files of a checkpoint are there, of the right sizes, without reading them.

    Raises:
        InputError: a chunk is missing, or of another size.
    """
    for chunk, _ in _in_order(folder, ledger):
        file = folder / chunk.file
        if not file.is_file() or file.stat().st_size != chunk.size:
            raise InputError(f"{file}: missing, or not of {chunk.size} bytes as its manifest says")


def check(folder: Path, ledger: Ledger) -> None:
    """Check the chunk files of a checkpoint as a stream, keeping nothing in memory.

    Raises:
        InputError: a chunk is missing, damaged, or not the one that the ledger lists.
    """
    for chunk, _ in _in_order(folder, ledger):
        check_stamp(folder / chunk.file, Stamp(chunk.sha256, chunk.size))
        _mapped(folder, chunk, ledger)


def _in_order(folder: Path, ledger: Ledger) -> Iterator[tuple[Chunk, int]]:
    """Yield each chunk with the number of the first row to use from it; raise if a row is missing."""
    first = ledger.begin
    for chunk in ledger.chunks:
        if not chunk.first <= first <= chunk.last or NAME.fullmatch(chunk.file) is None:
            raise InputError(f"{folder / chunk.file}: must be a chunk that holds row {first}")
        yield chunk, first
        first = chunk.last + 1
    if first != ledger.end:
        raise InputError(
            f"{folder}: the chunks end at row {first}, but the checkpoint needs rows up to {ledger.end}"
        )


def _mapped(folder: Path, chunk: Chunk, ledger: Ledger) -> NDArray[Any]:
    """Rows of a chunk file, read only where they are used; raise unless shape and type are the expected."""
    block: NDArray[Any] = np.load(folder / chunk.file, mmap_mode="r", allow_pickle=False)
    found = (block.shape, block.dtype.str)
    expected = ((chunk.last + 1 - chunk.first, ledger.columns), ledger.dtype)
    if found != expected:
        raise InputError(
            f"{folder / chunk.file}: must have the shape and type of its manifest, {expected}; found {found}"
        )
    return block


def remove_unnamed(folder: Path, ledgers: Iterable[Ledger | None]) -> None:
    """Remove the chunk files that no checkpoint lists; other files stay."""
    named = {chunk.file for ledger in ledgers if ledger is not None for chunk in ledger.chunks}
    for path in folder.glob("rows-*.npy"):
        if NAME.fullmatch(path.name) and path.name not in named:
            path.unlink()


def _older_chunks(rows: Rows, previous: Ledger | None) -> tuple[Chunk, ...]:
    if rows.first <= rows.begin:
        return ()
    end = None if previous is None else previous.end
    require(end == rows.first, "rows.first", rows.first, f"must be {end}, where the last checkpoint ends")
    assert previous is not None
    found = (rows.capacity, rows.data.shape[1], rows.data.dtype.str)
    before = (previous.capacity, previous.columns, previous.dtype)
    require(found == before, "rows", found, f"must keep the last capacity, columns and type, {before}")
    return tuple(chunk for chunk in previous.chunks if chunk.last >= rows.begin)


def _write_chunk(folder: Path, rows: Rows) -> Chunk:
    temporary = folder / f"{TEMPORARY}rows.npy"
    stamp = write_synced(temporary, lambda file: np.save(file, rows.data, allow_pickle=False))
    first, last = rows.first, rows.end - 1
    name = f"rows-{first:012d}-{last:012d}-{stamp.sha256[:16]}.npy"
    rename_synced(temporary, folder / name)
    return Chunk(name, first, last, stamp.sha256, stamp.size)
