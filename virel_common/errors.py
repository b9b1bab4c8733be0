"""Errors about input: every message names the argument, the rule and the value found."""


class InputError(ValueError):
    """Bad input; the command line shows it as one line on stderr and exits with status 2."""


def require(ok: bool, name: str, value: object, rule: str) -> None:
    """Raise `InputError` with the argument's name, the rule and the value found, unless `ok`."""
    if not ok:
        raise InputError(f"`{name}` {rule}; found {value!r}")
