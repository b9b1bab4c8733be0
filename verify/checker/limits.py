"""Limits of the checker: a hostile file must not take time or memory without bound.

Every loop over a file's data calls `need`, which asks for the time; whatever may be large is measured before
it is built. `child` is the belt beside these braces: it ends a process that does not keep to them.
"""

import resource
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_BYTES = 1 << 28
"""Bytes of a file, and of all its arrays once unpacked."""
MAX_SECONDS = 300
"""Seconds for one file."""
MEMORY = 128 << 20
"""Bytes of memory for a small file; `PER_BYTE` more for each byte of a file and of its unpacked arrays."""
PER_BYTE = 32
UNPACKED, UNPACKED_PER_BYTE = 1 << 20, 64
"""Bytes that the arrays of a file may unpack to: so many, and so many more for each byte of the file."""
MAX_MEMORY = 8 << 30
"""Bytes of memory for any file."""
MAX_ITEMS = 5000
"""Certificates in a file."""
MAX_VALUES = 1_000_000
"""Numbers, texts, lists and objects in a file."""
MAX_DEPTH = 16
"""Depth of nested lists and objects in a file."""
MAX_ENTRIES = 10_000
"""Terms of a polynomial; transitions of an exact MDP; trajectories."""
MAX_BITS = 4096
"""Bits of ball arithmetic."""
MAX_HEIGHT = 1 << 17
"""Bits of the numerator and of the denominator of a number that is computed."""


class Rejected(Exception):
    """Exception: a certificate file is not accepted; `Rejected(why, status)` holds reason and exit status.

    Status 1: a claim is false or undecided. Status 2: the file is not a certificate, or it was changed.
    """


DEADLINE = [float("inf")]
"""End of the current file's time, by `time.monotonic`."""
GRANTED: list[int] = []
"""Address space before the file was opened and memory granted since, in bytes; empty: without a limit."""


def need(ok: object, why: str = "", status: int = 1) -> None:
    """Reject the certificate file, for the reason `why`, unless the condition `ok` holds and time is left."""
    if time.monotonic() > DEADLINE[0]:
        raise Rejected(f"undecided: out of time, after {MAX_SECONDS} seconds", 1)
    if not ok:
        raise Rejected(why, status)


WRONG_SHAPE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    zlib.error,
    struct.error,
)
"""What malformed data raise."""


@contextmanager
def within(what: str) -> Iterator[None]:
    """Put `what`, the part of a file that is read, before why it is rejected; reject malformed data."""
    try:
        yield
    except Rejected as rejected:
        why, status = rejected.args
        raise Rejected(f"{what}: {why}", status) from None
    except WRONG_SHAPE as error:
        raise Rejected(f"{what}: malformed: {type(error).__name__}: {str(error)[:80]}", 2) from None


def start_clock() -> None:
    """Give the next file its time."""
    DEADLINE[0] = time.monotonic() + MAX_SECONDS


def limit_process() -> None:
    """Limit this process to the time and memory of one file; it must do nothing else afterwards."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(MAX_SECONDS) + 1, int(MAX_SECONDS) + 2))
    with suppress(OSError):  # Linux; elsewhere only time is limited
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        GRANTED[:] = [pages * resource.getpagesize()]
        grant(MEMORY)


def grant(n_bytes: int) -> None:
    """Raise the memory limit of this process, if it has one, by `n_bytes`, up to `MAX_MEMORY` in all."""
    if GRANTED:
        GRANTED.append(n_bytes)
        soft = GRANTED[0] + min(sum(GRANTED[1:]), MAX_MEMORY)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
