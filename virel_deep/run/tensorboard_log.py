"""TensorBoard event file of scalars, written at once and in the calling thread.

torch's `SummaryWriter` hands scalars to another thread, which prints a traceback if the disk is full.
"""

import io
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

from virel_common.files import Appender

FILE_VERSION = "brain.Event:2"
"""Version that TensorBoard expects in the first event of a file."""


class Board:
    """New TensorBoard event file in a folder.

    Args:
        folder: folder that TensorBoard reads; earlier event files in it are of the same run.
        resume_step: later steps in earlier files are void; None for a new run.
    """

    def __init__(self, folder: Path, *, resume_step: int | None) -> None:
        """Create a TensorBoard event file and write its first events."""
        # TensorBoard reads files in the order of their names; the number tells files of one second apart.
        number = len(list(folder.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(time.time()):010d}.{number:04d}.{socket.gethostname()}"
        self._file = Appender(folder / name)
        self._append(Event(file_version=FILE_VERSION))
        if resume_step is not None:
            self._append(Event(step=resume_step + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Append scalars, by tag, to the TensorBoard file; raise `StorageError` if the disk is full."""
        if scalars:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
            self._append(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Close the TensorBoard file."""
        self._file.close()

    def _append(self, event: Event) -> None:
        event.wall_time = time.time()
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        self._file.append(record.getvalue())
