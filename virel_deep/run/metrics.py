"""Log of one seed's training: rows of `metrics.jsonl`, and the same numbers for TensorBoard."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from virel_common.errors import InputError, require
from virel_common.files import Appender, storing, write_atomically
from virel_deep.run.tensorboard_log import Board

FILE = "metrics.jsonl"
KINDS = ("train", "eval", "episode", "event")
CLOCKED = ("wall", "steps_per_second")
"""Values of a row that are measured times."""

Row = dict[str, Any]
"""Row of `metrics.jsonl`: `step`, `kind`, `wall` (seconds since the start, without pauses), and values."""


class SeedLog:
    """Log that appends rows to a seed's `metrics.jsonl` and scalars to its TensorBoard file.

    Args:
        folder: `RUN/seed-<s>`; created if missing.
        resume_step: step of the checkpoint that the run continues from; later rows are removed. -1 removes
            all rows (the run was stopped before its first checkpoint). None is for a new run, which must find
            no rows.
        eval_every: steps between regular evaluations. The one of an earlier last policy that falls between
            two is removed on resuming, so that a run with a new goal has the rows of the longer run.
        ended: whether the run is at its goal, so that the last evaluation stays.

    Raises:
        InputError: there are rows although the run is new, or a row can't be read.
        StorageError: a file can't be written, for instance because the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = SeedLog(Path(folder), resume_step=None)
        ...     log.write(1000, "eval", {"returns": [1.0, 3.0], "return": 2.0})
        ...     log.close()
        ...     read_rows(Path(folder) / "metrics.jsonl", "eval")[0]["return"]
        2.0
    """

    def __init__(
        self, folder: Path, *, resume_step: int | None, eval_every: int = 1, ended: bool = False
    ) -> None:
        """Open `metrics.jsonl` and the TensorBoard file, and remove rows after `resume_step`."""
        with storing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        kept = _keep(folder / FILE, resume_step, 1 if ended else eval_every)
        self._start = time.monotonic() - (kept[-1]["wall"] if kept else 0.0)
        self._digest, self._eval_every = hashlib.sha256(), eval_every
        for row in kept:
            self._add(row)
        self._file = Appender(folder / FILE)
        self._board = Board(folder, resume_step=resume_step)

    def write(self, step: int, kind: str, values: Mapping[str, Any]) -> None:
        """Append a row to the log; once this returns, the row survives a kill of this process.

        Args:
            step: environment steps done, never less than in the previous row.
            kind: one of `KINDS`; TensorBoard's tag is the kind and the value's name, as in `eval/return`.
            values: JSON values. Numbers also go to TensorBoard, those of a dictionary by its name and
                theirs. A number that is not finite becomes null.

        Raises:
            InputError: the kind is unknown, or a value is not JSON.
            StorageError: the row can't be written; the previous rows stay readable.
        """
        require(kind in KINDS, "kind", kind, f"must be one of {', '.join(KINDS)}")
        taken = sorted({"step", "kind", "wall"} & values.keys())
        require(
            taken == [],
            "values",
            taken,
            "must not contain the names step, kind and wall, which every row has",
        )
        row = {"step": step, "kind": kind, "wall": round(time.monotonic() - self._start, 3)} | _strict(values)
        try:
            line = json.dumps(row, allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise InputError(f"`values` must be JSON values; {error}") from None
        self._file.append(line)
        self._add(row)
        self._board.write(step, {f"{kind}/{name}": x for name, x in _numbers(values)})

    @property
    def digest(self) -> str:
        """SHA-256 of all rows so far but events, without measured times: equal runs have equal digests."""
        return self._digest.hexdigest()

    def _add(self, row: Row) -> None:
        irregular = (
            row["kind"] == "eval" and row["step"] % self._eval_every != 0
        )  # it goes if the run goes on
        if (
            row["kind"] != "event" and not irregular
        ):  # a restart writes one after the checkpoint that it continues from
            untimed = {name: x for name, x in row.items() if name not in CLOCKED}
            self._digest.update(json.dumps(untimed, sort_keys=True).encode())

    def close(self) -> None:
        """Close `metrics.jsonl` and the TensorBoard file."""
        self._file.close()
        self._board.close()


def read_rows(path: Path, kind: str) -> list[Row]:
    """Read all rows of one kind from a `metrics.jsonl`; skip an incomplete last line, which a kill leaves.

    Raises:
        InputError: the file can't be read, or one of its lines is not a row; names file and line.
    """
    require(kind in KINDS, "kind", kind, f"must be one of {', '.join(KINDS)}")
    return [row for row, _ in _rows(path) if row["kind"] == kind]


def last_step(folder: Path) -> int:
    """Step of the last row in a seed's `metrics.jsonl`, damaged rows left out; -1 without a file or a row."""
    step = -1
    with suppress(InputError):
        for row, _ in _rows(folder / FILE):
            step = row["step"]
    return step


def check_rows(folder: Path, step: int) -> None:
    """Raise `InputError` if a row up to `step` in a seed's `metrics.jsonl` is damaged."""
    if (folder / FILE).exists():
        _until(folder / FILE, step)


def _rows(path: Path) -> Iterator[tuple[Row, bytes]]:
    """Yield each row of a `metrics.jsonl`, parsed, with its original line."""
    for place, line in _lines(path):
        yield _row(line, place), line


def _until(path: Path, step: int) -> list[tuple[Row, bytes]]:
    """Rows up to `step`, with their lines, in the order of steps; damage after them doesn't matter."""
    kept: list[tuple[Row, bytes]] = []
    damage: InputError | None = None
    for place, line in _lines(path):
        try:
            row = _row(line, place)
        except InputError as error:
            damage = damage or error
            continue
        if row["step"] > step:
            break
        if damage:
            raise damage
        kept.append((row, line))
    return kept


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the place and the bytes of each line of a file that is complete."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                yield f"{path}:{number}", line
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _row(line: bytes, place: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON: {error}") from None
    if not (
        isinstance(row, dict)
        and type(row.get("step")) is int
        and row.get("kind") in KINDS
        and _is_number(row.get("wall"))
        and abs(row["wall"]) < math.inf
    ):
        raise InputError(f"{place}: must be a row with valid `step`, `kind` and `wall`; found {line[:80]!r}")
    return row


def _keep(path: Path, resume_step: int | None, eval_every: int) -> list[Row]:
    """Remove log rows after `resume_step`, and the evaluation there if it only ended a run; return others."""
    if not path.exists():
        return []
    if resume_step is None:
        raise InputError(f"`folder` must be new, without the {FILE} of another run; found {path}")
    before = _until(path, resume_step)
    kept = [(row, line) for row, line in before if not _only_ended(row, resume_step, eval_every)]
    write_atomically(path, b"".join(line for _, line in kept))
    return [row for row, _ in kept]


def _only_ended(row: Row, resume_step: int, eval_every: int) -> bool:
    """Whether a row is the evaluation at the end of a run that goes on, between regular ones."""
    return bool(row["kind"] == "eval" and row["step"] == resume_step and resume_step % eval_every != 0)


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Numbers among some values and in the dictionaries among them, such as the means of tasks, by name."""
    for name, value in values.items():
        inner = value if isinstance(value, Mapping) else {}
        yield from ((f"{name}/{part}", x) for part, x in inner.items() if _is_number(x))
        if _is_number(value):
            yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _strict(value: Any) -> Any:
    """Replace NaN and infinities in a value, which JSON lacks, by None."""
    match value:
        case Mapping():
            return {name: _strict(item) for name, item in value.items()}
        case list() | tuple():
            return [_strict(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value
