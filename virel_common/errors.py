"""Errors about invalid input: every message names the argument, the rule and the value found."""


class InputError(ValueError):
    """Invalid input; the command line shows the message as one line on stderr and exits with status 2.

    Example:
        >>> raise InputError("`gamma` must be below 1; found 2.0")
        Traceback (most recent call last):
            ...
        virel_common.errors.InputError: `gamma` must be below 1; found 2.0
    """


LONGEST = 300
"""Number of characters up to which an error shows a value as it is."""
ENTRIES = 50
"""Number of entries up to which an error shows a list as it is."""
FEW = 6
"""Number of entries up to which an error shows an array as it is."""


def require(ok: bool, name: str, value: object, rule: str) -> None:
    """Check a condition: raise `InputError` with argument, rule and value found, unless `ok` is true.

    The message is one line, whatever the value: see `shown`.
    """
    if not ok:
        raise InputError(f"`{name}` {rule}; found {shown(value)}")


def in_one_line(error: BaseException) -> str:
    r"""Type and message of an exception in one line.

    Example:
        >>> in_one_line(ValueError("two\nlines"))
        'ValueError: two lines'
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def shown(value: object) -> str:
    """Text of a value, in one line: short ones as they are, arrays and long ones by their type and size.

    Example:
        >>> import numpy as np
        >>> shown("vi"), shown(np.zeros((30, 2, 30))), shown([0.0] * 1000)
        ("'vi'", 'ndarray of shape (30, 2, 30), float64', 'list of length 1000')
    """
    shape, kind = getattr(value, "shape", None), type(value).__name__
    if isinstance(shape, tuple) and shape:
        dtype = getattr(value, "dtype", None)
        described = f"{kind} of shape {shape}" + ("" if dtype is None else f", {dtype}")
        is_array = hasattr(value, "__array__") or hasattr(value, "nnz")  # or a sparse matrix
        is_short = not is_array or (kind == "ndarray" and getattr(value, "size", FEW) <= FEW)
    elif isinstance(value, list | tuple | set | frozenset | dict):
        described, is_short = f"{kind} of length {len(value)}", len(value) <= ENTRIES
    else:
        described, is_short = "", True
    try:
        text = repr(value) if is_short else described
    except ValueError:  # an integer of thousands of digits
        return kind
    if len(text) <= LONGEST and "\n" not in text:
        return text
    return described or f"{' '.join(text.split())[:LONGEST]}..."
