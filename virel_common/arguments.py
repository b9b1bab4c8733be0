"""Arguments of functions that people call: paths and whole numbers, checked and of one type."""

import os
from numbers import Integral, Number
from pathlib import Path
from typing import Any

from virel_common.errors import require


def as_path(value: object, *, name: str) -> Path:
    """Path that an argument names.

    Raises:
        InputError: it is neither text nor a path, or it is empty.

    Example:
        >>> as_path("out/run", name="run").name
        'run'
    """
    ok = isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str) and os.fspath(value) != ""
    require(ok, name, value, "must be a path, as text or a `Path`")
    return Path(value)  # type: ignore[arg-type]


def as_whole(value: object, *, name: str, least: int) -> int:
    """Whole number that an argument gives, numpy's included; truth values are none.

    Raises:
        InputError: it is no whole number, or less than `least`.

    Example:
        >>> as_whole(3, name="episodes", least=1)
        3
    """
    ok = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
    require(ok, name, value, f"must be a whole number of at least {least}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def plain_number(value: Any) -> Any:
    """Python's own number in place of one of numpy's; everything else as it is.

    Example:
        >>> import numpy as np
        >>> plain_number(np.int64(3)), plain_number("auto")
        (3, 'auto')
    """
    return value.item() if isinstance(value, Number) and hasattr(value, "item") else value
