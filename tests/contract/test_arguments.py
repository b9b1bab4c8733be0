"""Every argument of every public function and class: what is no number, array, MDP or file is one error.

What an argument takes is read from its annotation. Each bad value takes the place of one argument of a call
that works (`good_calls`), and must raise `InputError`: one line that names the argument.
"""

import inspect
import os
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest

import virel_theory as vt
from tests.contract.good_calls import ENDING, OTHERS, RECORDS, good_calls
from virel_theory.objective.residual import NormOptions
from virel_theory.solvers.problem import SolveOptions

LARGE = np.zeros((30, 3, 30))
RAGGED = [[1.0], [1.0, 2.0]]
BAD = {
    "number": {
        "a": "a",
        "list": [1, 2],
        "complex": 1j,
        "object": object(),
        "array": LARGE,
        "masked": np.ma.masked,
    },
    "whole": {"a": "a", "half": 2.5, "list": [1, 2], "nan": np.nan, "true": True, "array": LARGE},
    "array": {"a": "a", "ragged": RAGGED, "object": object(), "complex": [[1j]]},
    "text": {"five": 5, "list": ["a"], "array": LARGE, "unknown": "no such text"},
    "mdp": {"five": 5, "list": [ENDING, 5], "array": LARGE},
    "file": {"five": 5, "empty": "", "bytes": b"a", "array": LARGE, "zero byte": "a\0b"},
    "function": {"five": 5, "a": "a", "array": LARGE},
    "generator": {"zero": 0, "a": "a"},
    "object": {"five": 5, "a": "a", "array": LARGE},
}
"""Bad values by what an argument takes. `None` is one more, unless the annotation has it."""
STRANGE = {
    "number": {"true": True, "nan": np.nan, "inf": np.inf, "minus": -1.0},
    "whole": {"zero": 0, "minus": -1},
}
"""Values that may be right or wrong: whatever raises, raises the same kind of error."""
CALLED = {"algorithm_row-name": "algorithm", "load_mdp-objective": "goal", "load_problem-objective": "goal"}
"""Arguments that an error calls by another name, which they have where most people give them."""


def parameters():
    """`name, argument, annotation` of every argument, the keywords of `**options` included."""
    for name in vt.__all__:
        if name in RECORDS | OTHERS:
            continue
        for one in inspect.signature(getattr(vt, name)).parameters.values():
            if one.kind is one.VAR_KEYWORD:
                options = SolveOptions if "SolveOptions" in str(one.annotation) else NormOptions
                keywords = options.__annotations__ if one.annotation is not Any else {}
                yield from ((name, key, kind) for key, kind in keywords.items())
            else:
                yield name, one.name, one.annotation


def kind_of(annotation):
    """What an argument takes, a key of `BAD`; None for what is true or false."""
    members = members_of(annotation)
    types = {get_origin(member) or member for member in members}
    if any(isinstance(one, type) and issubclass(one, os.PathLike) for one in types):
        return "file"
    for kind, one in {"array": complex, "number": float, "whole": int, "mdp": vt.TabularMDP}.items():
        if one in types:
            return kind
    if types & {str, Literal}:
        return "text"
    if types & {Callable}:
        return "function"
    if np.random.Generator in types:
        return "generator"
    if np.ndarray in types:
        return "array"
    return None if types <= {bool, NoneType} else "object"


def masked_like(value):
    """The value with its first entry masked, if it is an array of numbers or a list of them; else None."""
    if not isinstance(value, list | tuple | np.ndarray) or np.asarray(value).dtype.kind not in "biuf":
        return None
    out = np.ma.array(value)
    out.mask = np.ma.make_mask_none(out.shape, out.dtype)
    out.mask.flat[0] = True
    return out


def members_of(annotation):
    union = get_origin(annotation) in {Union, UnionType}
    return get_args(annotation) if union else (annotation,)


ARGUMENTS = [pytest.param(*one, id=f"{one[0]}-{one[1]}") for one in parameters()]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return good_calls(tmp_path_factory.mktemp("models"))


def test_every_public_function_and_class_has_a_call_that_works(good):
    named = {name for name in vt.__all__ if callable(getattr(vt, name))}
    assert named - RECORDS - OTHERS == {*good}
    for name, arguments in good.items():
        getattr(vt, name)(**arguments)


def wrong_answers(function, arguments, name, values, *, called=None, may_pass=False):
    """What is wrong with the answers to bad values of the argument called `name`."""
    for label, value in values.items():
        try:
            function(**arguments | {name: value})
        except vt.InputError as err:
            text = str(err)
            if not may_pass and (f"`{called or name}" not in text or "\n" in text or len(text) > 600):
                yield f"{label}: {text}"
        except Exception as err:
            yield f"{label}: {type(err).__name__}: {err}"
        else:
            if not may_pass:
                yield f"{label}: no error"


@pytest.mark.parametrize(("name", "argument", "annotation"), ARGUMENTS)
def test_a_value_of_another_kind_is_one_error_in_one_line_that_names_the_argument(
    good, name, argument, annotation
):
    kind, function = kind_of(annotation), getattr(vt, name)
    if kind is None:
        return
    values = dict(BAD[kind])
    if not {NoneType, Any} & set(members_of(annotation)):
        values["none"] = None
    masked = masked_like(good[name].get(argument, [[1.0, 0.0]]))
    if masked is not None and kind == "array":
        values["masked"] = masked
    called = CALLED.get(f"{name}-{argument}")
    assert list(wrong_answers(function, good[name], argument, values, called=called)) == []
    strange = STRANGE.get(kind, {})
    assert list(wrong_answers(function, good[name], argument, strange, may_pass=True)) == []


@pytest.mark.parametrize("name", ["TabularMDP", "solve_batch", "boltzmann_policy", "entropy"])
def test_an_array_whose_mask_hides_nothing_is_an_array(good, name):
    arguments = good[name]
    given = {key: np.ma.array(value) for key, value in arguments.items() if masked_like(value) is not None}
    assert given
    getattr(vt, name)(**arguments | given)


@pytest.mark.parametrize("field", ["transition", "reward", "initial", "mask"])
def test_no_field_of_an_mdp_may_be_masked(field):
    fields = {"transition": ENDING.transition, "reward": ENDING.reward, "initial": ENDING.initial}
    fields["mask"] = ENDING.available.copy()
    with pytest.raises(vt.InputError, match=f"`{field}` must have no masked entries"):
        vt.TabularMDP(**fields | {field: masked_like(fields[field])}, gamma=0.5)


def test_masked_arrays_in_a_list_are_refused_too():
    rows = [np.ma.array([1.0, 0.0], mask=[False, True]), np.ma.array([0.0, 1.0])]
    with pytest.raises(vt.InputError, match="`q` must have no masked entries; fill or remove them first"):
        vt.boltzmann_policy(rows, eps=1.0)


def test_the_search_finds_raw_errors_silence_and_messages_that_name_nothing():
    def takes_anything(x):
        if x == "raw":
            raise TypeError("unsupported operand")
        if x == "nameless":
            raise vt.InputError("wrong")
        if x == "two lines":
            raise vt.InputError("`x` must be\nright")

    values = {label: label for label in ("raw", "nameless", "two lines", "silent")}
    found = list(wrong_answers(takes_anything, {}, "x", values))
    assert [one.split(":")[0] for one in found] == list(values)
