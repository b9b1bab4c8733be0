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


def describe_instance(instance: dict[str, Any]) -> dict[str, Any]:
    """Convert the instance of a check to JSON values: MDPs become dictionaries, arrays become lists."""
    return {name: as_json(value) for name, value in instance.items()}


def as_json(value: Any) -> Any:
    """Convert any value of an instance to JSON; NaN, infinity, fractions and large arrays as strings."""
    if isinstance(value, TabularMDP):
        return _mdp_as_json(value)
    if isinstance(value, np.ndarray | np.generic):
        return f"array of shape {list(value.shape)}" if value.size > MAX_ENTRIES else as_json(value.tolist())
    if isinstance(value, Enum):
        return as_json(value.value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
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
