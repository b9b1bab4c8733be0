"""Errors of the option parser in one line: which option, what it must be, what was found."""

import re

COLOURS, BOXES = re.compile(r"\x1b\[[0-9;]*m"), re.compile("[─╭╮╰╯│]|-{5,}")
"""What the parser draws with."""
END = r"(?: Got errors:| Argument helptext:| Perhaps you meant:| For full helptext|$)"
"""What follows the first sentence of an error."""
RULES = {"INT": "a whole number", "int()": "a whole number", "FLOAT": "a number", "float": "a number"}
"""Kinds of values as the parser names them, and in words."""


def one_line(text: str) -> str:
    """Rewrite the parser's error, a box of several lines, as one line.

    Example:
        >>> one_line("Missing value for argument '--first-seed'. Expected 1 values.")
        '`first_seed` must have a value; found none'
    """
    said = " ".join(BOXES.sub(" ", COLOURS.sub("", text)).split())
    if found := re.search(r"Error parsing --([\w-]+): (.*?)" + END, said):
        return _not_of_its_kind(_name(found[1]), found[2])
    if found := re.search(r"invalid choice '(.*)' for argument '--(.*?)'. Expected one of \((.*?)\)", said):
        choices = found[3].replace("'", "").rstrip(",")
        return f"`{_name(found[2])}` must be one of {choices}; found {found[1]!r}"
    if found := re.search(r"Missing value for argument '--([\w-]+)'", said):
        return f"`{_name(found[1])}` must have a value; found none"
    if found := re.search(r"Missing from [\w ]+: ([^ ]+)", said):
        return f"`{found[1]}` must be given; found nothing"
    if found := re.search(r"Unrecognized options?: (.*?)" + END, said):
        near = re.findall(r"(--[\w-]+) (?:\{None\}\|)?\[?[A-Z]{3}", said.partition("Perhaps you meant:")[2])
        similar = f"; similar: {', '.join(near)}" if near else ""
        return f"options must be those that --help lists; found {found[1]}{similar}"
    return re.split(END, said)[0]


def _not_of_its_kind(name: str, why: str) -> str:
    values, rule = re.findall(r"'([^']*)'", why), [words for kind, words in RULES.items() if kind in why]
    if not values or not rule:
        return f"`{name}`: {why}"
    return f"`{name}` must be {rule[0]}; found {values[0]!r}"


def _name(option: str) -> str:
    return option.replace("-", "_")
