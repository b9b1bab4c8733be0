"""Options of `virel train` that are words NAME=VALUE (settings, arguments, tasks), and what they mean."""

from collections.abc import Iterable, Sequence
from itertools import chain

from virel_common.errors import require
from virel_common.values import value_of
from virel_deep.design.fields import Table, Tables

Words = Sequence[Sequence[str]]
"""Words of an option that may be given several times."""


def pairs(option: str, pairs: Iterable[str]) -> dict[str, object]:
    """Parse words given as `NAME=VALUE`; values as `virel_common.values.value_of` reads them."""
    out: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        require(bool(equals and name), option, pair, "must be NAME=VALUE")
        require(name not in out, option, pair, f"must not give {name} twice")
        read = value_of(value, name=name)
        out[name] = tuple(read) if isinstance(read, list) and option == "set" else read
    return out


def first_id(tasks: Words) -> str | None:
    """Id of the environment that the first task names; None if there is none."""
    return next((words[0] for words in tasks if words and "=" not in words[0]), None)


def tasks_of(given: Words, env: str) -> Tables:
    """Tasks from the words of each `--task`: NAME=VALUE, after an id where it is not that of `env`.

    Raises:
        InputError: there is one task, a word is neither, or a name is given twice.

    Example:
        >>> tasks_of([["goal=0"], ["Sea-v0", "goal=1"]], "Lake-v0")[1]
        {'id': 'Sea-v0', 'arguments': {'goal': 1}}
    """
    single = " ".join(chain(*given))
    rule = "must be given twice or more; a single task is --env and --env-arg"
    require(len(given) != 1 or not single, "task", single, rule)
    out: list[Table] = []
    for words in given:
        require(len(words) > 0, "task", list(words), "must have arguments as NAME=VALUE, or an id")
        own = "=" not in words[0]
        arguments = pairs("task", words[1:] if own else words)
        out.append({"id": words[0] if own else env, "arguments": arguments})
    return tuple(out)
