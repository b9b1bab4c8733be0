"""Arguments of functions that people call: paths and whole numbers, checked and of one type."""

import os
from numbers import Integral, Number
from pathlib import Path
from typing import Any

from virel_common.errors import require


def as_path(path: object, *, name: str = "path") -> Path:
    """Path of a file or folder that an argument names by text or a path object; empty text is none.

    Raises:
        InputError: it is neither, or it is empty.

    Example:
        >>> as_path("out/run", name="run").name
        'run'
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    ok = isinstance(text, str) and text != "" and "\0" not in text
    require(ok, name, path, "must be the path of a file or folder, as text or a `Path`")
    return Path(str(text))


def as_whole(n: object, *, name: str, least: int = 0) -> int:
    """Integer that an argument gives, of at least `least`; truth values and floats are refused.

    Raises:
        InputError: it is none, or less.

    Example:
        >>> as_whole(3, name="episodes", least=1)
        3
    """
    rule = "must be a positive integer" if least == 1 else f"must be an integer of at least {least}"
    whole = isinstance(n, Integral) and not isinstance(n, bool)
    require(whole and int(n) >= least, name, n, rule)  # type: ignore[call-overload]
    return int(n)  # type: ignore[call-overload, no-any-return]


def require_flag(value: object, *, name: str) -> None:
    """Raise `InputError` unless `value`, the argument called `name`, is a truth value of Python or numpy."""
    kind = type(value)  # numpy itself is not loaded here
    of_numpy = kind.__module__ == "numpy" and kind.__name__ in {"bool", "bool_"}
    require(kind is bool or of_numpy, name, value, "must be True or False")


def plain_number(value: Any) -> Any:
    """Python's own number in place of one of numpy's; everything else as it is.

    Example:
        >>> import numpy as np
        >>> plain_number(np.int64(3)), plain_number("auto")
        (3, 'auto')
    """
    return value.item() if isinstance(value, Number) and hasattr(value, "item") else value
