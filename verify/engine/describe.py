"""Instances of claims (MDPs, values, policies) as JSON data, as `results.json` shows counterexamples."""

import dataclasses
import math
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np

from virel_theory.mdp.tabular import TabularMDP

MAX_ENTRIES = 4096
"""Most entries of an array that is written in full; a larger array is described by its shape."""
MAX_BITS = 1000
"""Most bits of an integer that is written in full; a larger one, which no float can hold, by its size."""


def describe_instance(instance: dict[str, Any]) -> dict[str, Any]:
    """Convert the instance of a check to JSON values: MDPs become dictionaries, arrays become lists."""
    return {name: as_json(value) for name, value in instance.items()}


def as_json(value: Any) -> Any:
    """Convert any value of an instance to JSON; NaN, infinity, fractions, whatever is large as strings."""
    if isinstance(value, TabularMDP):
        return _mdp_as_json(value)
    if isinstance(value, np.ndarray | np.generic):
        return f"array of shape {list(value.shape)}" if value.size > MAX_ENTRIES else as_json(value.tolist())
    if isinstance(value, Enum):
        return as_json(value.value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half a character could not be written
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_BITS else f"integer of {value.bit_length()} bits"
    if value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {as_json(str(key)): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return _object_as_json(value)


def _mdp_as_json(mdp: TabularMDP) -> dict[str, Any]:
    if mdp.n_states * mdp.n_actions * mdp.n_states > MAX_ENTRIES:
        return {"n_states": mdp.n_states, "n_actions": mdp.n_actions, "gamma": mdp.gamma}
    out = {"transition": mdp.dense_transition, "reward": mdp.reward, "gamma": mdp.gamma}
    if not np.all(mdp.initial == mdp.initial[0]):
        out["initial"] = mdp.initial
    if mdp.mask is not None:
        out["mask"] = mdp.mask
    return {name: as_json(part) for name, part in out.items()}


def is_mdp(value: Any) -> bool:
    """Whether JSON is an MDP as `as_json` writes a small one: sizes fit, and each pair leads somewhere.

    Example:
        >>> is_mdp({"transition": [[[1.0]]], "reward": [[0.0]], "gamma": 0.5}), is_mdp({"transition": 1})
        (True, False)
    """
    if not isinstance(value, dict) or not {"transition", "reward", "gamma"} <= value.keys():
        return False
    transition, reward = value["transition"], value["reward"]
    shape = _shape(reward)
    if 0 in shape or not _is_table(value["gamma"]) or not _is_table(reward, *shape):
        return False
    without: dict[str, Any] = {"mask": [[True] * shape[1]] * shape[0], "initial": [1] * shape[0]}
    exists, initial = (without[key] if value.get(key) is None else value[key] for key in without)
    if not _is_table(exists, *shape, of=bool) or not _is_table(initial, shape[0]):
        return False
    return _is_table(transition, *shape, shape[0]) and all(
        any(on) and all(max(to) > 0 for to, here in zip(rows, on, strict=True) if here)
        for rows, on in zip(transition, exists, strict=True)
    )


def _shape(table: Any) -> tuple[int, int]:
    """Sizes of nested lists, by the first of the inner ones; (0, 0) if they are none."""
    nested = isinstance(table, list) and table and isinstance(table[0], list)
    return (len(table), len(table[0])) if nested else (0, 0)


def is_large_mdp(value: Any) -> bool:
    """Whether JSON is an MDP as `as_json` writes a large one: its sizes and its discount."""
    sizes = isinstance(value, dict) and value.keys() == {"n_states", "n_actions", "gamma"}
    return sizes and all(_is_table(x) for x in value.values())


def _is_table(value: Any, *shape: int, of: type = object) -> bool:
    """Whether JSON is nested lists of a shape, of numbers, or of `bool` if `of` says so."""
    if shape:
        fits = isinstance(value, list) and len(value) == shape[0]
        return fits and all(_is_table(x, *shape[1:], of=of) for x in value)
    return isinstance(value, bool) if of is bool else type(value) in (int, float)


def _object_as_json(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__} | fields
    # Never a memory address: the same seed writes the same text.
    return getattr(value, "__qualname__", None) or f"<{type(value).__name__}>"


def in_short(value: Any, *, width: int = 240) -> str:
    """Write a counterexample in JSON as short text: `1` for `1.0`, no quotes, cut at `width` characters."""
    text = _compact(value)
    return text if len(text) <= width else text[: width - 4] + " ..."


def _compact(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return "; ".join(
            f"{key}: ({_compact(v)})" if isinstance(v, dict) else f"{key} {_compact(v)}"
            for key, v in value.items()
        )
    if isinstance(value, list):
        return f"[{', '.join(map(_compact, value))}]"
    return str(value)
