"""Nested training state as three files: tensors (safetensors), arrays (.npz), and their tree (JSON)."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from virel_common.errors import InputError

Leaf = TypeVar("Leaf")

TREE, TENSORS, ARRAYS = FILES = ("state.json", "tensors.safetensors", "arrays.npz")
TENSOR_KEY, ARRAY_KEY = "$tensor", "$array"
"""Keys that stand for a tensor or an array in the JSON tree; the value is the leaf's name, a number.

The names are not the user's: an archive ends a name at a NUL, and safetensors refuses lone surrogates."""

BROKEN = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    safetensors.SafetensorError,
)
"""Exceptions that json, numpy, zipfile and safetensors raise on invalid bytes."""


@dataclass(frozen=True)
class _Leaves:
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def pack(state: Mapping[str, Any]) -> dict[str, bytes]:
    """Serialise a nested training state; return the contents of its three files, by name.

    Raises:
        InputError: a leaf is not a tensor, an array of numbers or text, int, float, str, bool or None;
            or a key is not text, or begins with `$`.
    """
    leaves = _Leaves()
    tree = json.dumps(_encode(state, "state", leaves)).encode()
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **leaves.arrays)
    return {TREE: tree, TENSORS: safetensors.torch.save(leaves.tensors), ARRAYS: archive.getvalue()}


def unpack(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Restore a nested training state from its three files, with tensors on the CPU.

    Bytes that `pack` did not write raise one of the exceptions in `BROKEN`.
    """
    with np.load(io.BytesIO(files[ARRAYS]), allow_pickle=False) as archive:
        leaves = _Leaves(safetensors.torch.load(files[TENSORS]), dict(archive))
    state = _decode(json.loads(files[TREE]), leaves)
    if not isinstance(state, dict):
        raise TypeError(f"{TREE} must hold an object")
    return state


def _encode(value: Any, name: str, leaves: _Leaves) -> Any:
    """Convert a value to its JSON tree, and move its tensors and arrays to `leaves`.

    `name` is the value's place in the state, for error messages.
    """
    match value:
        case torch.Tensor():
            # A copy: safetensors refuses two names for one memory, and parameters may be views of one buffer.
            copy = value.detach().cpu().clone(memory_format=torch.contiguous_format)
            return {TENSOR_KEY: _add(leaves.tensors, copy)}
        case np.ndarray() if value.dtype.kind in "biufcSU":
            return {ARRAY_KEY: _add(leaves.arrays, value)}
        case Mapping():
            return {_key(key, name): _encode(item, f"{name}/{key}", leaves) for key, item in value.items()}
        case list():
            return [_encode(item, f"{name}/{i}", leaves) for i, item in enumerate(value)]
        case None | bool() | int() | float() | str():
            return value
    kind = f"array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise InputError(f"`{name}` must be a tensor, an array of numbers or text, or a JSON value; found {kind}")


def _add(leaves: dict[str, Leaf], leaf: Leaf) -> str:
    name = str(len(leaves))
    leaves[name] = leaf
    return name


def _key(key: Any, name: str) -> str:
    if not isinstance(key, str) or key.startswith("$"):
        raise InputError(f"`{name}` must have text without leading `$` as keys; found {key!r}")
    return key


def _decode(value: Any, leaves: _Leaves) -> Any:
    match value:
        case {"$tensor": str(name)}:
            return leaves.tensors[name]
        case {"$array": str(name)}:
            return leaves.arrays[name]
        case dict():
            return {key: _decode(item, leaves) for key, item in value.items()}
        case list():
            return [_decode(item, leaves) for item in value]
    return value
