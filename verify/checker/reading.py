"""Reading of certificate files: bytes, JSON, fractions, intervals, packed arrays; what is equal as data.

Sizes are measured in the bytes, before lists, numbers and objects are built of them.
"""

import hashlib
import json
import os
import re
import stat
import struct
import zlib
from base64 import b64decode
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, ClassVar

from flint import arb, fmpq

from . import limits
from .limits import Rejected, grant, need

SCHEMA = 2
"""Version of the format that is read."""
NUMBER = re.compile(r"-?[0-9]{1,3000}(/[1-9][0-9]{0,2999})?")
"""A fraction, such as -3/4."""
DYADIC = re.compile(r"(-?[0-9]{1,1300})p(-?[0-9]{1,7})")
"""An end of an interval: MpE is `M 2^E`."""
CHUNK = 1 << 16
"""Bytes that are measured or unpacked at a time."""
ROOM = [0]
"""Bytes that the arrays of the current file may still unpack to."""


class Read(dict[str, Any]):
    """JSON object of a certificate file that tracks which of its keys were never read.

    A file that holds more than its claims need is rejected: nothing in it may go unchecked.
    """

    every: ClassVar[list["Read"]] = []
    """All objects of the current file."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Store a JSON object's keys and values; reject the file if a key is there twice."""
        super().__init__(pairs)
        need(len(self) == len(pairs), "a JSON object has the same key twice", 2)
        self.unread = set(self)
        self.every.append(self)

    def __getitem__(self, key: str) -> Any:
        """Return the value of a key, and mark the key as read; reject the file if it is missing."""
        need(key in self, f"the key `{key}` is missing", 2)
        self.unread.discard(key)
        return super().__getitem__(key)


def read_bytes(path: Path) -> bytes:
    """Bytes of a regular file; a pipe, a device or a folder is rejected without waiting for it."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    state = os.fstat(handle)
    need(stat.S_ISREG(state.st_mode), "not a regular file", 2)
    with open(handle, "rb") as file:  # noqa: PTH123  (a descriptor, not a path)
        need(state.st_size <= limits.MAX_BYTES, f"the file is larger than {limits.MAX_BYTES} bytes", 2)
        grant(limits.PER_BYTE * state.st_size)
        raw = file.read(state.st_size + 1)
    need(len(raw) == state.st_size, "the file changes while it is read", 2)
    ROOM[0] = min(limits.UNPACKED + limits.UNPACKED_PER_BYTE * len(raw), limits.MAX_BYTES)
    return raw


def measure(raw: bytes) -> None:
    """Reject JSON that is deeper or has more values than a file of certificates, or long integers."""
    need(raw.isascii() and b"\\" not in raw, "a certificate file is ASCII, without escapes", 2)
    n_values = depth = 0
    for bare in outside_texts(raw):
        n_values += sum(map(bare.count, (b",", b"[", b"{")))
        need(n_values <= limits.MAX_VALUES, f"the file has more than {limits.MAX_VALUES} values", 2)
        need(not re.search(rb"[0-9]{20}", bare), "an integer is too long", 2)
        steps = [(b in b"[{") - (b in b"]}") for b in bare if b in b"[]{}"]
        depths = list(accumulate(steps, initial=depth))
        depth = depths[-1]
        need(max(depths) <= limits.MAX_DEPTH, f"nested deeper than {limits.MAX_DEPTH}", 2)


def outside_texts(raw: bytes) -> Iterator[bytes]:
    """Bytes of JSON without its texts, a piece at a time."""
    inside = False
    for k in range(0, len(raw), CHUNK):
        parts = raw[k : k + CHUNK].split(b'"')
        yield b"_".join(parts[inside::2])
        inside ^= len(parts) % 2 == 0


def reject_number(text: str) -> None:
    """Reject a number of JSON that is not an integer: a float, NaN or Infinity."""
    raise Rejected(f"the number {text[:40]} is not an integer", 2)


def parse(raw: bytes) -> Any:
    """Parse a certificate file and check its schema and its hash."""
    measure(raw)
    Read.every.clear()
    text = raw.decode("ascii")  # of bytes, `loads` would guess an encoding
    data = json.loads(text, parse_float=reject_number, parse_constant=reject_number, object_pairs_hook=Read)
    need(isinstance(data, Read), "a certificate file is one JSON object", 2)
    need(data["schema"] == SCHEMA, f"`schema` must be {SCHEMA}, of this version", 2)
    claimed = data["sha256"]
    body = {key: x for key, x in data.items() if key != "sha256"}
    need(_digest(body) == claimed, "the content does not match `sha256`", 2)
    return data


def _digest(data: Any) -> str:
    """SHA-256 of canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def chunks(text: str, room: int) -> Iterator[bytes]:
    """Bytes of a packed array, base64 of one zlib stream, a piece at a time; at most `room` in all."""
    machine, data = zlib.decompressobj(), b64decode(text, validate=True)
    while data and not machine.eof:
        piece = machine.decompress(data, CHUNK)
        room -= len(piece)
        need(room >= 0, "the packed arrays are too large for the file", 2)
        need(piece or machine.eof, "a packed array ends too early", 2)
        data = machine.unconsumed_tail
        yield piece
    need(machine.eof and not machine.unused_data, "a packed array ends too early or too late", 2)


def unpacked(text: str, code: str) -> list[Any]:
    """Decode an array of int32 (code "i") or float64 ("d") from base64 of zlib of its little-endian bytes."""
    raw = b"".join(chunks(text, ROOM[0]))
    ROOM[0] -= len(raw)
    grant(limits.PER_BYTE * len(raw))
    return [x for (x,) in struct.iter_unpack("<" + code, raw)]


def numbers(data: Any, size: int | None = None) -> list[fmpq]:
    """Read rational numbers, `size` of them if given, from a list of texts or a packed array of floats."""
    if isinstance(data, str):
        return [fmpq(*x.as_integer_ratio()) for x in _sized(unpacked(data, "d"), size)]
    for x in _sized(data, size):
        ok = isinstance(x, str) and NUMBER.fullmatch(x)
        need(ok, f"must be a text with a fraction such as -3/4; found {str(x)[:40]!r}", 2)
    return list(map(fmpq, data))


def _sized(data: Any, size: int | None) -> list[Any]:
    need(isinstance(data, list), f"must be a list of numbers; found {str(data)[:40]!r}", 2)
    need(size in (None, len(data)), f"must have {size} numbers; found {len(data)}", 2)
    return list(data)


def interval(pair: Any) -> list[arb]:
    """Read the two ends of an interval, which are exact dyadic numbers written `MpE` for `M 2^E`."""
    ends = [match for x in pair for match in [DYADIC.fullmatch(x)] if match]
    need(len(ends) == len(pair) == 2, f"an interval must be two texts MpE; found {str(pair)[:80]}", 2)
    return [arb((int(match[1]), int(match[2]))) for match in ends]


# What is equal as data: fractions in lowest terms, arrays by their bytes, keys in any order.


def _plain(data: Any) -> Any:
    """Content of a part of a certificate: equal for equal numbers, however these are written."""
    if isinstance(data, dict):
        return {key: _plain(x) for key, x in data.items()}
    if isinstance(data, list):
        return [_plain(x) for x in data]
    if isinstance(data, str) and NUMBER.fullmatch(data):
        return str(fmpq(data))
    return _packed_digest(data) if isinstance(data, str) else data


def _packed_digest(text: str) -> str:
    """SHA-256 of the bytes of a packed array."""
    out = hashlib.sha256()
    for piece in chunks(text, limits.MAX_BYTES):
        out.update(piece)
    return out.hexdigest()


def content_digest(data: Any) -> str:
    """SHA-256 of a part of a certificate, such as an instance or the MDP of a solver, by its content.

    It is that of canonical JSON in which fractions are in lowest terms, and each packed array is the SHA-256
    of its bytes.
    """
    return _digest(_plain(data))
