"""Options of `virel train` that are words NAME=VALUE (settings, arguments, tasks), and what they mean."""

import ast
from collections.abc import Iterable, Mapping, Sequence

from virel_common.errors import require
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.fields import Table, Tables
from virel_deep.design.priors import Blind
from virel_deep.design.records import changed

Words = Sequence[Sequence[str]]
"""Words of an option that may be given several times."""


def pairs(option: str, pairs: Iterable[str]) -> dict[str, object]:
    """Parse words given as `NAME=VALUE`; a value is a Python literal if it parses as one, else text."""
    out: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        require(bool(equals and name), option, pair, "must be NAME=VALUE")
        require(name not in out, option, pair, f"must not give {name} twice")
        try:
            literal = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            literal = value
        out[name] = tuple(literal) if isinstance(literal, list) and option == "set" else literal
    return out


def first_id(tasks: Words) -> str | None:
    """Id of the environment that the first task names; None if there is none."""
    return next((words[0] for words in tasks if words and "=" not in words[0]), None)


def tasks_of(given: Words, env: str) -> Tables:
    """Tasks from the words of each `--task`: NAME=VALUE, after an id where it is not that of `env`.

    Raises:
        InputError: a word is neither, or a name is given twice.

    Example:
        >>> tasks_of([["goal=0"], ["Sea-v0", "goal=1"]], "Lake-v0")[1]
        {'id': 'Sea-v0', 'arguments': {'goal': 1}}
    """
    out: list[Table] = []
    for words in given:
        require(len(words) > 0, "task", list(words), "must have arguments as NAME=VALUE, or an id")
        own = "=" not in words[0]
        arguments = pairs("task", words[1:] if own else words)
        out.append({"id": words[0] if own else env, "arguments": arguments})
    return tuple(out)


def with_tasks(algorithm: Algorithm, settings: Mapping[str, object], tasks: int) -> Algorithm:
    """Algorithm whose prior does not see the entries of several tasks, unless the settings say otherwise."""
    if tasks == 0 or not isinstance(algorithm.prior, Blind) or "prior.blind_last" in settings:
        return algorithm
    return changed(algorithm, {"prior.blind_last": tasks})


def with_prior(algorithm: Algorithm, settings: Mapping[str, object]) -> Algorithm:
    """Algorithm whose prior, taken from an earlier run, is frozen unless the settings say otherwise.

    Raises:
        InputError: it has no prior that could be taken from a run.
    """
    kinds = [kind.kind for kind in Blind.__subclasses__()]
    found = algorithm.prior.kind
    require(found in kinds, "prior", found, f"must be one of {', '.join(kinds)} to come from an earlier run")
    return algorithm if "prior.frozen" in settings else changed(algorithm, {"prior.frozen": True})
