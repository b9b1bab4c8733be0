"""The list of exact algorithms: every row loads, and a bad name is explained."""

import inspect

import pytest

from virel_common.errors import InputError
from virel_theory.variational.table import ROWS, algorithm_row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_a_documented_function_with_settings_by_keyword(row):
    function = row.load()
    first, *settings = inspect.signature(function).parameters.values()
    assert first.name == ("mdps" if row.several_tasks else "mdp")
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in settings)
    assert function.__doc__


def test_names_are_unique_and_a_near_miss_is_named():
    assert len({row.name for row in ROWS}) == len(ROWS)
    with pytest.raises(InputError, match="did you mean mpo"):
        algorithm_row("mpoo")


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("sac", "soft-policy-iteration"),
        ("SAC", "soft-policy-iteration"),
        ("sac-v", "soft-policy-iteration"),
        ("ddpg", "policy-iteration"),
        ("td3", "policy-iteration"),
        ("virel-twin", "virel"),
        ("beta-twin", "beta"),
    ],
)
def test_a_preset_whose_exact_form_has_another_name_is_told_it(preset, name):
    with pytest.raises(InputError, match=f"found {preset!r}; did you mean {name}\\?$"):
        algorithm_row(preset)
