"""Mutants of a function's source: one text in it is replaced, and the function runs what comes out."""

import functools
import importlib
import inspect
import textwrap


def target(where, gap):
    """The function that a mutant changes: the gap function, one of its module, or `package.module:name`."""
    gap = bare(gap)
    if not where:
        return gap
    module, _, name = where.rpartition(":")
    return getattr(importlib.import_module(module or gap.__module__), name)


def bare(function):
    """The function below any `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def mutated_code(function, old, new):
    """Code of a function with `old`, which must occur once, replaced by `new`; free variables stay free."""
    source, names = textwrap.dedent(inspect.getsource(function)), function.__code__.co_freevars
    assert source.count(old) == 1, f"{function.__qualname__}: {old!r} occurs {source.count(old)} times"
    assert old != new
    changed, space = source.replace(old, new), dict(function.__globals__)
    if names:
        body = textwrap.indent(changed, "    ")
        changed = f"def outer({', '.join(names)}):\n{body}\n    return {function.__name__}\n"
    exec(compile(changed, f"<mutant of {function.__qualname__}>", "exec"), space)
    code = (space["outer"](*names) if names else space[function.__name__]).__code__
    assert code.co_freevars == names, f"the mutant of {function.__qualname__} needs other free variables"
    return code
