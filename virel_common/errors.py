"""Bad input: every message names the argument, the rule and the value found."""


class InputError(ValueError):
    """Bad input: the command line turns it into one line on stderr and exit code 2."""


def require(ok: bool, name: str, value: object, rule: str) -> None:
    """Raise `InputError` naming the argument, the rule and the value unless `ok`."""
    if not ok:
        raise InputError(f"`{name}` {rule}; found {value!r}")
