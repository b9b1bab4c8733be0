"""Values typed as NAME=VALUE: one syntax for all commands, and text where a number belongs is refused."""

import functools
import math

import pytest

from virel_common.errors import InputError
from virel_common.values import misread, misread_by, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9", 9), ("9.0", 9.0), ("1e-3", 1e-3), ("-2", -2), ("1_000", 1000),
        ("true", True), ("True", True), ("false", False), ("False", False), ("null", None), ("None", None),
        ("[1, 2.5]", [1, 2.5]), ("(1, 2)", (1, 2)),
        ('{"a": [true]}', {"a": [True]}), ("{'a': [True]}", {"a": [True]}),
        ('"8x8"', "8x8"), ("'8x8'", "8x8"), ("8x8", "8x8"), ("no", "no"), ("a=b", "a=b"), ("", ""),
    ],
)  # fmt: skip
def test_json_and_python_literals_are_understood_alike_and_all_else_is_text(text, value):
    found = value_of(text, name="env_arg")
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("text", ["[True, false]", "{a: 1}", "(1, 2", "[" * 10_000])
def test_what_begins_with_a_bracket_is_no_text(text):
    with pytest.raises(InputError, match=r"`env_arg` must (be JSON or a Python literal|not be nested)"):
        value_of(text, name="env_arg")


def lake(is_slippery=True, size=8, depth=1.5, name="4x4", *, seed=None):
    return is_slippery, size, depth, name, seed


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"is_slippery": "no"}, "`is_slippery` must be True or False, as its default is; found 'no'"),
        ({"size": "large"}, "`size` must be a number, as its default is; found 'large'"),
        ({"depth": "deep"}, "`depth` must be a number, as its default is; found 'deep'"),
        ({"name": "8x8", "seed": "a", "unknown": "b", "size": 9.5, "is_slippery": 0}, ""),
    ],
)
def test_text_is_refused_where_the_default_is_a_number_or_truth_value(arguments, wrong):
    assert misread(lake, arguments) == wrong
    assert misread(functools.partial(lake, name="8x8"), arguments) == wrong


def test_a_function_without_a_signature_takes_anything():
    assert misread(math.hypot, {"x": "a"}) == ""


def test_defaults_of_a_registered_id_count_too():
    assert misread_by("FrozenLake-v1", {"is_slippery": "no"}).startswith(
        "`is_slippery` must be True or False"
    )
    assert misread_by("FrozenLake-v1", {"map_name": "8x8"}) == ""
    assert misread_by("Pendulum-v1", {"g": "x"}).startswith("`g` must be a number")
    assert misread_by("Nothing-v0", {"g": "x"}) == ""
