"""Reader of the archives of the Quantitative Verification Benchmark Set (QVBS)."""

import json
from typing import Any, Literal

import numpy as np

from virel_common.errors import InputError, require
from virel_theory.checks import as_float_array, is_one_of
from virel_theory.models.assemble import Ints, point_mass
from virel_theory.models.choices import Choices, as_indices

Sense = Literal["max", "min"]


def qvbs_choices(name: str, arrays: dict[str, Any], objective: str) -> tuple[Choices, Ints]:
    """Choices and goal states of one objective of a QVBS archive."""
    keys = ("choice_ptr", "indptr", "indices", "prob", "init", "meta", f"goal__{objective}")
    for key in keys:
        require(key in arrays, name, sorted(arrays), f"must hold the array {key!r}")
    n_entries = arrays["prob"].size
    indptr = _as_pointer(arrays["indptr"], n_entries, name=f"{name}: indptr")
    n_choices = len(indptr) - 1
    choice_ptr = _as_pointer(arrays["choice_ptr"], n_choices, name=f"{name}: choice_ptr")
    n_states = len(choice_ptr) - 1
    init = as_indices(arrays["init"].ravel(), n_states, name=f"{name}: init")
    require(len(init) == 1, f"{name}: init", init.shape, "must hold exactly one state")
    goal_name = f"goal__{objective}"
    goal = as_indices(np.atleast_1d(arrays[goal_name]), n_states, name=f"{name}: {goal_name}")
    shape = arrays["indices"].shape
    require(
        shape == (n_entries,),
        f"{name}: indices",
        shape,
        f"must have one entry per entry of `prob`, {n_entries}",
    )
    reward_name = f"reward__{objective}"
    choices = Choices(
        name=name,
        choice_ptr=choice_ptr,
        choice=np.repeat(np.arange(n_choices), np.diff(indptr)),
        successor=arrays["indices"],
        prob=as_float_array(arrays["prob"], (n_entries,), name=f"{name}: prob"),
        reward=as_float_array(arrays[reward_name], (n_choices,), name=f"{name}: {reward_name}"),
        initial=point_mass(n_states, int(init[0])),
    )
    return choices, goal


def qvbs_sense(name: str, arrays: dict[str, Any], objective: str) -> Sense:
    """Optimisation sense of a QVBS objective, "max" or "min", from the metadata of its archive."""
    try:
        sense: Any = json.loads(str(arrays["meta"]))["properties"][objective]["sense"]
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        message = f"`{name}: meta` must be JSON that gives the sense of the objective {objective!r}; {err!r}"
        raise InputError(message) from None
    require(
        is_one_of(sense, ("max", "min")),
        f"{name}: meta",
        sense,
        "must give the sense of the objective as 'max' or 'min'",
    )
    return "max" if sense == "max" else "min"


def _as_pointer(x: Any, total: int, *, name: str) -> Ints:
    """Return the row pointers `x` of a QVBS archive as integers that rise from 0 to `total`."""
    ok = x.ndim == 1 and x.size > 1 and x.dtype.kind in "iu"
    require(ok, name, (x.shape, str(x.dtype)), "must be a vector of integers")
    out: Ints = x.astype(np.int64)
    ok = out[0] == 0 and out[-1] == total and bool((np.diff(out) >= 0).all())
    require(ok, name, (int(out[0]), int(out[-1])), f"must rise from 0 to {total}")
    return out
