"""Settings of the exact algorithms, read from their functions: names, kinds, defaults and meanings.

A setting is a keyword-only parameter. Its meaning stands in the section `Args` of the function's docstring,
so that the command line has no list of its own that could grow stale.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from virel_common.errors import InputError, require, shown
from virel_common.values import value_of

NAMES = {bool: "True or False", int: "an integer", float: "a number", str: "a text", NoneType: "None"}
"""Kinds that a text can give, and what an error calls them."""


@dataclass(frozen=True)
class Setting:
    """One setting of an algorithm."""

    name: str
    default: Any
    kinds: tuple[Any, ...]
    """Members of the parameter's annotation: types, and the texts of a `Literal`."""
    meaning: str
    """Meaning, from the docstring; empty if it is not described."""

    @property
    def takes_arrays(self) -> bool:
        """Whether the setting takes whatever numpy makes an array of (`complex` is a part of `ArrayLike`)."""
        return complex in self.kinds

    def checked(self, value: Any) -> Any:
        """Return the value of a setting, an integer as a float where only a float will do.

        Raises: InputError: if its type is not one that the setting takes; the algorithm checks ranges.
        """
        if (
            self.takes_arrays
            or (type(value) in self.kinds)
            or (isinstance(value, str) and value in self.kinds)
        ):
            return value
        if type(value) is int and float in self.kinds:
            return float(value)
        raise InputError(f"`{self.name}` must be {self._wanted()}; found {shown(value)}")

    def _wanted(self) -> str:
        names = [NAMES[kind] for kind in self.kinds if kind in NAMES]
        return " or ".join([repr(kind) for kind in self.kinds if isinstance(kind, str)] + names)


def settings_of(function: Callable[..., Any]) -> dict[str, Setting]:
    """Settings of an algorithm's function by name, in the order in which it takes them.

    Example:
        >>> from virel_theory.variational.table import algorithm_row
        >>> list(settings_of(algorithm_row("mpo").load()))[0]
        'epsilon'
    """
    parameters = inspect.signature(function).parameters.values()
    meanings = meanings_of(inspect.getdoc(function) or "", [parameter.name for parameter in parameters])
    return {
        parameter.name: Setting(
            parameter.name,
            parameter.default,
            _members(parameter.annotation),
            meanings.get(parameter.name, ""),
        )
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def parse_settings(function: Callable[..., Any], texts: Sequence[str], *, algorithm: str) -> dict[str, Any]:
    """Settings given as texts `NAME=VALUE`, checked against the function that takes them.

    A value is a Python literal (`0.1`, `None`, `[[0.5, 0.5]]`) if it parses as one, else a text.

    Args: function: of the algorithm. texts: settings, each once. algorithm: its name, for errors.
    Returns: values by name.
    Raises: InputError: on a text of another form, an unknown name (the error lists all settings), a name
        given twice, or a value of the wrong type.

    Example:
        >>> from virel_theory.variational.table import algorithm_row
        >>> parse_settings(algorithm_row("mpo").load(), ["epsilon=1"], algorithm="mpo")
        {'epsilon': 1.0}
    """
    known, out = settings_of(function), dict[str, Any]()
    for text in texts:
        name, equals, value = text.partition("=")
        require(bool(equals), "set", text, "must be NAME=VALUE")
        require(name not in out, "set", text, f"must not give {name} twice")
        require_known(known, name, algorithm=algorithm)
        out[name] = known[name].checked(value_of(value, name=name))
    return out


def require_known(known: dict[str, Setting], name: str, *, algorithm: str, argument: str = "set") -> None:
    """Raise `InputError`, with a list of all settings, unless `name` is one of them.

    `argument` is what gives them: an option, or the further arguments of a function.
    """
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        found = f"`{argument}` must name a setting of {algorithm}; found {name!r}{hint}"
        raise InputError("\n".join([found, f"settings of {algorithm}:", *described(known)]))


def described(known: dict[str, Setting]) -> list[str]:
    """Lines that list settings: name, default and meaning."""
    heads = [f"{setting.name}={setting.default}" for setting in known.values()]
    width = max(map(len, heads), default=0)
    return [
        f"  {head:<{width}}  {setting.meaning}" for head, setting in zip(heads, known.values(), strict=True)
    ]


def meanings_of(doc: str, names: Sequence[str]) -> dict[str, str]:
    """Meanings of parameters from the section `Args` of a docstring, one line each, without LaTeX marks.

    Both forms of the section are read: a line per parameter, and `Args: q, prior: as in f. d: weights.`

    Example:
        >>> meanings_of("Args: q, prior: as in f. d: state weights.", ["q", "prior", "d"])
        {'q': 'as in f', 'prior': 'as in f', 'd': 'state weights'}
    """
    section = re.search(r"^Args:(.*?)(?=^\S|\Z)", doc, re.DOTALL | re.MULTILINE)
    if section is None:
        return {}
    text = re.sub(r"\s+", " ", section.group(1)).translate({ord(mark): None for mark in "$\\"})
    one = "|".join(map(re.escape, names))
    parts = re.split(rf"(?:^|(?<=[.;]))\s*((?:{one})(?:, (?:{one}))*): ", text)
    out: dict[str, str] = {}
    for heads, meaning in zip(parts[1::2], parts[2::2], strict=True):
        out |= dict.fromkeys(heads.split(", "), meaning.strip().rstrip("."))
    return out


def _members(annotation: Any) -> tuple[Any, ...]:
    """Members of a union, with the texts of a `Literal` in place of it."""
    kinds = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    out: list[Any] = []
    for kind in kinds:
        out += get_args(kind) if get_origin(kind) is Literal else [kind]
    return tuple(out)
