"""Counterexamples in words."""

import pytest

from verify.report.sentence import number, sentence

TWO = {
    "transition": [[[0.0, 1.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]],
    "reward": [[1.0, 0.0], [0.1, -2.0]],
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "1/2"),
        (2, "2"),
        (0.1, "1/10"),
        (36.29434, "36.2943"),
        (1e-9, "1e-09"),
        ("inf", "inf"),
        (-0.75, "-3/4"),
    ],
)
def test_numbers_are_fractions_only_if_they_are_exactly_those(value, text):
    assert number(value) == text


def test_a_small_mdp_is_told_pair_by_pair():
    assert sentence({"mdp": {**TWO, "gamma": 0.9}, "eps": 0.25}) == (
        "two states, two actions, discount 9/10, where action 0 in state 0 pays 1 and leads to state 1, "
        "action 1 in state 0 pays 0 and leads to state 0 with probability 1/2 and state 1 with probability "
        "1/2, action 0 in state 1 pays 1/10 and leads to state 0 and action 1 in state 1 pays -2 and leads "
        "to state 1; eps = 1/4"
    )


def test_actions_that_do_not_exist_are_left_out():
    mdp = {"transition": [[[1.0], [0.0]]], "reward": [[3.0, 0.0]], "gamma": 0.5, "mask": [[True, False]]}
    assert sentence({"mdp": mdp}) == "one state, one action with reward 3, discount 1/2"


def test_a_large_mdp_is_told_by_its_size():
    rows = [[[1.0] + [0.0] * 4] * 2] * 5
    mdp = {"transition": rows, "reward": [[0.0, 1.0]] * 5, "gamma": 0.5}
    assert sentence({"mdp": mdp}) == "five states, two actions, discount 1/2"
    assert (
        sentence({"mdp": {"n_states": 900, "n_actions": 3, "gamma": 0.5}})
        == "900 states, 3 actions, discount 1/2"
    )


def test_a_long_sentence_is_cut():
    assert sentence({"q": [[1.0, 2.0]] * 90}, width=30) == "q = ((1, 2), (1, 2), (1, 2 ..."


def test_parts_that_only_look_like_an_mdp_are_told_as_they_are():
    assert sentence({"x": {"transition": 1}}) == "x: transition 1"
    assert sentence({"x": {"n_states": 3}}) == "x: n_states 3"
    assert sentence({"mdp": {**TWO, "gamma": "1/2"}}).startswith("mdp: transition ")
    assert sentence({"x": 10**400}) == "x = integer of 1329 bits"


@pytest.mark.parametrize(
    ("start", "said"),
    [([0.0, 1.0], "starting in state 1"), ([0.25, 0.75], "start probabilities (1/4, 3/4)")],
)
def test_a_start_that_is_not_uniform_is_told(start, said):
    text = sentence({"mdp": {**TWO, "gamma": 0.5, "initial": start}})
    assert text.startswith(f"two states, two actions, discount 1/2, {said}, where action 0")


def test_episodes_have_no_discount():
    mdp = {"transition": [[[1.0], [1.0]]], "reward": [[0.0, -1.0]], "gamma": 0.0}
    assert sentence({"mdp": mdp, "horizon": 3}) == "one state, two actions with rewards 0 and -1; horizon = 3"
