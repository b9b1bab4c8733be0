"""Lines and numbers of model files: text that may be compressed, with exact fractions and comments."""

import gzip
import lzma
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from virel_common.errors import InputError, require

Line = tuple[int, list[str]]  # line number in the file, words of the line

COMPRESSED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    ".gz": (b"\x1f\x8b", gzip.decompress),
    ".xz": (b"\xfd7zXZ\x00", lzma.decompress),
}
"""Kinds of compressed files by suffix: how their bytes begin, and what unpacks them."""


NAMES = {".gz": "a gzip", ".xz": "an xz"}


def stem_of(path: Path) -> str:
    """Name of a model file without the suffix of a compressed one."""
    return path.stem if path.suffix in COMPRESSED else path.name


def read_text(path: Path) -> str:
    """Text of a model file, without a byte-order mark and unpacked if its bytes say that it is compressed.

    Raises: InputError: the file can't be read, is damaged, is not UTF-8, or only its name says that it is
        compressed.
    """
    try:
        data = path.read_bytes()
        kind = next((kind for kind, (magic, _) in COMPRESSED.items() if data.startswith(magic)), "")
        if path.suffix in COMPRESSED and path.suffix != kind:
            rule = f"must be {NAMES[path.suffix]} file, as its name says"
            raise InputError(f"`{path}` {rule}; found {f'{NAMES[kind]} file' if kind else 'other bytes'}")
        return (COMPRESSED[kind][1](data) if kind else data).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"`{path}` must be a text file; found bytes that are not UTF-8") from None
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as err:
        raise InputError(f"`{path}` must be a whole compressed file; {err}") from None
    except OSError as err:
        raise InputError(f"`{path}` must be a readable file; {err.strerror or err}") from None


def read_lines(path: Path, *, keep: Sequence[str] = ()) -> list[Line]:
    """Non-empty lines of a model file as numbered words; no comments, but those that begin with `keep`."""
    numbered = ((number, line.split()) for number, line in enumerate(read_text(path).splitlines(), start=1))
    lines = [(number, words) for number, words in numbered if words]
    return [line for line in lines if line[1][0] in keep or not line[1][0].startswith(("#", "//"))]


def as_int(word: str, path: Path, number: int) -> int:
    """Parse `word`, on line `number` of a model file, as a non-negative integer."""
    ok = word.isascii() and word.isdigit() and len(word) <= 18
    require(ok, f"{path} line {number}", word, "must hold an integer >= 0 here: a state, a choice or a count")
    return int(word)


def as_finite_real(word: str, path: Path, number: int) -> float:
    """Parse `word`, on line `number` of a model file, as a finite float: a decimal or a fraction `1/3`."""
    try:
        if "_" in word:  # which Python takes
            raise ValueError
        value = float(Fraction(word)) if "/" in word else float(word)
    except (ValueError, ArithmeticError):
        value = float("nan")
    require(bool(np.isfinite(value)), f"{path} line {number}", word, "must hold a finite number here")
    return value


def in_range(state: int, n_states: int, path: Path, number: int) -> None:
    """Raise `InputError` unless the state on line `number` of a model file is below `n_states`."""
    require(state < n_states, f"{path} line {number}", state, f"must number states below {n_states}")
