"""Values typed on a command line as NAME=VALUE, and whether they are of the kind that is asked for."""

import ast
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from virel_common.errors import InputError, require

Maker = Callable[..., Any]
BRACKETS = ("[", "{", "(")


def value_of(text: str, *, name: str) -> Any:
    """Value that a text stands for: a number, truth value, list, dictionary or quoted text, else the text.

    JSON and Python literals are understood alike, so that `true` is `True` and `null` is `None`.

    Args:
        text: what was typed after the equals sign.
        name: what an error calls it.

    Raises:
        InputError: a list or dictionary that is neither JSON nor a Python literal, or one nested too deeply.

    Example:
        >>> [value_of(text, name="env_arg") for text in ("9", "false", "False", "[1, 2]", "ice", "1e-3")]
        [9, False, False, [1, 2], 'ice', 0.001]
    """
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (RecursionError, MemoryError):
            raise InputError(f"`{name}` must not be nested that deeply; found {text[:40]!r}...") from None
        except (ValueError, SyntaxError, TypeError):
            continue
    rule = "must be JSON or a Python literal if it begins with a bracket"
    require(not text.strip().startswith(BRACKETS), name, text, rule)
    return text


def misread(maker: Maker, arguments: Mapping[str, Any], *, defaults: Mapping[str, Any] | None = None) -> str:
    """What is wrong with an argument that is text where the default is a number or a truth value; else empty.

    Any text is true, and fails where a number is computed with, which may be long after.

    Args:
        maker: function or class that takes the arguments.
        arguments: arguments by name.
        defaults: defaults beside those of `maker` itself.

    Example:
        >>> def lake(is_slippery=True): ...
        >>> misread(lake, {"is_slippery": "no"})
        "`is_slippery` must be True or False, as its default is; found 'no'"
    """
    try:
        parameters = inspect.signature(maker).parameters
    except (ValueError, TypeError):  # a builtin
        return ""
    own = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    known = own | dict(defaults or {})
    for name, value in arguments.items():
        default = known.get(name)
        if isinstance(value, str) and isinstance(default, bool | int | float):
            kind = "True or False" if isinstance(default, bool) else "a number"
            return f"`{name}` must be {kind}, as its default is; found {value!r}"
    return ""


def misread_by(env_id: str, arguments: Mapping[str, Any]) -> str:
    """What `misread` finds in the arguments of an environment that Gymnasium knows by its id; else empty."""
    from gymnasium.envs.registration import load_env_creator, spec  # noqa: PLC0415  (slow to import)
    from gymnasium.error import Error  # noqa: PLC0415

    try:
        known = spec(env_id)
        entry = known.entry_point
        maker = load_env_creator(entry) if isinstance(entry, str) else entry
    except (Error, ImportError, AttributeError):  # it will be said when the environment is made
        return ""
    return "" if maker is None else misread(maker, arguments, defaults=known.kwargs)
