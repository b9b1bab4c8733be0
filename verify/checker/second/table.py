"""The table `statements.toml`, and a parser of its formulas."""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .errors import Wrong

Tree = tuple[Any, ...]
"""Formula: ("number", n), ("name", x), ("call", name, arguments) or (operator, left, right)."""


@cache
def statements() -> dict[str, Any]:
    """The table `statements.toml`."""
    return tomllib.loads((Path(__file__).parents[2] / "statements.toml").read_text("utf-8"))


@cache
def formula_of(text: str) -> Tree:
    """Parse one formula; a fact is a tree whose operator is `==`, `!=`, `>=` or `>`."""
    tokens = re.findall(r"\d+|\w+|[=!>]=|[-+*/(),>]", text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise Wrong(f"cannot read the formula {text}")
    tree, rest = _binary(tokens, [("==", "!=", ">=", ">"), ("+", "-"), ("*", "/")])
    if rest:
        raise Wrong(f"cannot read the formula {text} from {rest[0]} on")
    return tree


def _binary(tokens: list[str], levels: Sequence[tuple[str, ...]]) -> tuple[Tree, list[str]]:
    """Parse operators that associate to the left, those of the first level last."""
    if not levels:
        return _atom(tokens)
    left, rest = _binary(tokens, levels[1:])
    while rest and rest[0] in levels[0]:
        right, after = _binary(rest[1:], levels[1:])
        left, rest = (rest[0], left, right), after
    return left, rest


def _atom(tokens: list[str]) -> tuple[Tree, list[str]]:
    """Parse a number, a name, a call, a formula in brackets, or one with a minus before it."""
    head, rest = tokens[0], tokens[1:]
    if head == "-":
        inner, rest = _atom(rest)
        return ("-", ("number", 0), inner), rest
    if head == "(":
        inner, rest = _binary(rest, [("+", "-"), ("*", "/")])
        if rest[:1] != [")"]:
            raise Wrong("a bracket is not closed")
        return inner, rest[1:]
    if head.isdigit():
        return ("number", int(head)), rest
    if rest[:1] != ["("]:
        return ("name", head), rest
    arguments, rest = [], rest[1:]
    while rest[0] != ")":
        inner, rest = _binary(rest, [("+", "-"), ("*", "/")])
        arguments.append(inner)
        rest = rest[1:] if rest[0] == "," else rest
    return ("call", head, tuple(arguments)), rest[1:]


@cache
def definitions() -> dict[str, tuple[list[str], Tree]]:
    """Arguments and formula of every definition of `statements.toml`."""
    named = ([*re.findall(r"\w+", head), text] for head, text in statements()["define"].items())
    return {name: (between, formula_of(text)) for name, *between, text in named}


@cache
def rules() -> dict[str, list[str]]:
    """Parts and facts of every claim and form."""
    return {
        f"{claim} {names.split()[-1]}": rule
        for names, rule in statements()["claims"].items()
        for claim in names.split()[:-1]
    }
