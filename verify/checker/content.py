"""What an instance is to the formulas of a claim: the numbers that these read, however they are written."""

import ast
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from .formulas import DEFINED, Instance, parsed

WALKS = {"chance_of_walk", "total", "product"}
"""Functions that go along trajectories: they read the initial distribution and the transitions."""
BOXES = {"ends", "low", "high"}
"""Parts that are a proof, not an instance: where the solutions lie may be shown in many ways."""


@cache
def names_of(facts: tuple[str, ...]) -> frozenset[str]:
    """Names in formulas, and in the definitions that these use; without `one`, which is 1 for any r."""
    found, waiting = set[str](), [parsed(fact) for fact in facts]
    while waiting:
        names = {node.id for node in ast.walk(waiting.pop()) if isinstance(node, ast.Name)} - found
        found |= names
        waiting += [DEFINED[name][1] for name in names & DEFINED.keys() - {"one"}]
    return frozenset(found)


def digest_of(point: Instance, claim: Sequence[str]) -> str:
    """SHA-256 of what the formulas of a claim (its parts, then its facts) read of an instance.

    Not in it are names of actions, the order of successors, how a number is written, and whatever part of the
    MDP no formula asks for.
    """
    parts, *facts = claim
    names = set(names_of(tuple(facts)))
    names |= {"q", "r", "gamma", "E"} if "ends" in parts.split() else set()
    names |= {"p0", "E", "horizon"} if names & WALKS else set()
    read = {name: plain(x) for name, x in point.known.items() if name in names - BOXES - {"h"}}
    rows = [sorted((t, str(p)) for t, p in row) for row in point.rows] if names & {"E", "into"} else []
    sizes = [len(own) for own in point.own]
    return hashlib.sha256(json.dumps([sizes, rows, read], sort_keys=True).encode()).hexdigest()


def plain(x: Any) -> Any:
    """Numbers, or lists of them, as texts: fractions in lowest terms."""
    return [plain(y) for y in x] if isinstance(x, list) else str(x)
