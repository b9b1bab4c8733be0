"""Errors about invalid input: every message names the argument, the rule and the value found."""


class InputError(ValueError):
    """Invalid input; the command line shows the message as one line on stderr and exits with status 2.

    Example:
        >>> raise InputError("`gamma` must be below 1; found 2.0")
        Traceback (most recent call last):
            ...
        virel_common.errors.InputError: `gamma` must be below 1; found 2.0
    """


def require(ok: bool, name: str, value: object, rule: str) -> None:
    """Check a condition: raise `InputError` with argument, rule and value found, unless `ok` is true."""
    if not ok:
        raise InputError(f"`{name}` {rule}; found {value!r}")
