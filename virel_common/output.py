"""Standard output and error that may be closed, full, or a pipe without a reader: a run goes on."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Guarded:
    """Text stream that keeps the first error of a write, and drops what is written after it.

    Everything but `write` and `flush` is the stream's own.
    """

    def __init__(self, stream: TextIO) -> None:
        """Guard an open text stream, such as `sys.stdout`."""
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text, or drop it if the stream has failed; return its length."""
        if self.error is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered; never fail."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.error = error
        with suppress(OSError, ValueError):  # a stream of a test has no handle
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # for what is flushed at exit

    def __getattr__(self, name: str) -> Any:
        """Any other attribute of the stream."""
        return getattr(self._stream, name)


class _Closed(io.StringIO):
    """Stream that was closed when the process began: Python has none for it."""

    def write(self, _: str) -> int:
        raise OSError(errno.EBADF, "it is closed")


@contextmanager
def guarded_output() -> Iterator[Guarded]:
    """Guard standard output and error inside the block; yield the guard of standard output.

    Where one is closed, its number leads to the null device, before another file can take it; writing to it
    is an error as any other.
    """
    closed = [number for number in range(3) if _is_closed(number)]
    for number in closed:
        handle = os.open(os.devnull, os.O_RDWR)
        if handle != number:
            os.dup2(handle, number)
    before = sys.stdout, sys.stderr
    out, err = (Guarded(_Closed() if stream is None else stream) for stream in before)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False
