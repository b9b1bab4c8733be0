"""Lines on stderr that never stop a training: whoever read them may have gone, or the disk be full."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def say(line: str) -> None:
    """Write a line."""
    with unheard():
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


@contextmanager
def unheard() -> Iterator[None]:
    """Go on without stderr where it can't be written; rich would end the process there."""
    try:
        yield
    except (OSError, SystemExit):
        _give_up()


def _give_up() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what is still in a buffer is written at the end
