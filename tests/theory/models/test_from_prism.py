"""Explicit-state files of PRISM and Storm as MDPs: both dialects, rewards, broken texts."""

import numpy as np
import pytest

from tests.support.model_files import (
    PRISM_LAB,
    PRISM_TRA,
    SREW,
    STORM_LAB,
    STORM_TRA,
    TREW,
    optimal_values,
    write_files,
)
from virel_common.errors import InputError
from virel_theory.models.readers import from_prism


@pytest.mark.parametrize(
    ("tra", "lab"), [(PRISM_TRA, PRISM_LAB), (STORM_TRA, STORM_LAB)], ids=["prism", "storm"]
)
def test_both_dialects_describe_the_same_mdp(tmp_path, tra, lab):
    files = write_files(tmp_path, tra=tra, lab=lab, srew=SREW, trew=TREW)
    rew = [files["srew"], files["trew"]]
    mdp = from_prism(files["tra"], gamma=0.5, lab=files["lab"], rew=rew, goal="goal")
    assert mdp.available.tolist() == [[True, True], [True, False], [True, False]]
    dense = mdp.dense_transition
    assert dense[0].tolist() == [[0.5, 0.5, 0], [0, 1, 0]]
    assert dense[1, 0].tolist() == [0, 0, 1]
    assert dense[2, 0].tolist() == [0, 0, 1]
    assert mdp.reward.tolist() == [[1 + 0.5 * 6, 1 + 4], [0, 0], [0, 0]]  # the goal's 9 is not earned
    assert mdp.initial.tolist() == [1, 0, 0]


def test_without_a_goal_nothing_is_made_absorbing(tmp_path):
    files = write_files(tmp_path, tra=PRISM_TRA, srew=SREW)
    mdp = from_prism(files["tra"], gamma=0.5, rew=files["srew"])
    assert mdp.reward[2, 0] == 9
    assert mdp.initial.tolist() == [1, 0, 0]


def test_a_goal_without_rewards_asks_for_the_discounted_time_of_arrival(tmp_path):
    files = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB)
    mdp = from_prism(files["tra"], gamma=0.5, lab=files["lab"], goal="goal")
    np.testing.assert_allclose(optimal_values(mdp, "max", 60), [0.5, 1.0, 0.0], rtol=0, atol=1e-15)
    # fair steps: v = 0.5 (v/2 + 1/2), so v = 1/3
    np.testing.assert_allclose(optimal_values(mdp, "min", 60), [1 / 3, 1.0, 0.0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("header", ["2 3\n", "dtmc\n"])
def test_a_dtmc_is_an_mdp_with_one_action(tmp_path, header):
    files = write_files(tmp_path, tra=header + "0 0 0.5\n0 1 0.5\n1 1 1\n", trew="2 1\n0 1 8\n")
    mdp = from_prism(files["tra"], gamma=0.5, rew=files["trew"])
    assert mdp.shape == (2, 1)
    assert mdp.reward.tolist() == [[4.0], [0.0]]
    np.testing.assert_allclose(optimal_values(mdp, "max", 80), [16 / 3, 0], rtol=0, atol=1e-14)


def test_rewards_may_have_no_header_and_may_belong_to_choices(tmp_path):
    files = write_files(tmp_path, tra=STORM_TRA, srew="0 2\n1 3\n", rew="# choice rewards\n0 1 10\n")
    mdp = from_prism(files["tra"], gamma=0.5, rew=[files["srew"], files["rew"]])
    assert mdp.reward.tolist() == [[2, 12], [3, 0], [0, 0]]


BROKEN_TEXTS = {
    "empty file": {"tra": ""},
    "only a header": {"tra": "3 4 5\n"},
    "truncated": {"tra": PRISM_TRA[:-8]},
    "cut within a line": {"tra": PRISM_TRA[:-3]},
    "too many lines": {"tra": PRISM_TRA + "2 1 2 1\n"},
    "header of one word": {"tra": "3\n0 0 0 1\n"},
    "word for a state": {"tra": "mdp\nzero 0 0 1\n"},
    "negative state": {"tra": "mdp\n-1 0 0 1\n"},
    "fraction of a state": {"tra": "mdp\n0.5 0 0 1\n"},
    "huge state": {"tra": "mdp\n0 0 99999999999999999999 1\n"},
    "large state": {"tra": "mdp\n0 0 999999999999 1\n"},
    "successor out of range": {"tra": "1 1 1\n0 0 1 1\n"},
    "state out of range": {"tra": "1 1 1\n1 0 0 1\n"},
    "state without choices": {"tra": "mdp\n0 0 0 0.5\n0 0 1 0.5\n"},
    "gap in the choices": {"tra": "mdp\n0 1 0 1\n"},
    "word for a probability": {"tra": "mdp\n0 0 0 often\n"},
    "nan probability": {"tra": "mdp\n0 0 0 nan\n"},
    "probability with an underscore": {"tra": "mdp\n0 0 0 1_0\n"},
    "negative probability": {"tra": "mdp\n0 0 0 1.5\n0 0 0 -0.5\n"},
    "sum below one": {"tra": "mdp\n0 0 0 0.999\n"},
    "labels empty": {"lab": ""},
    "label number declared twice": {"lab": '0="init" 0="goal"\n0: 0\n'},
    "labels undeclared": {"lab": "0: 0\n"},
    "labels half declared": {"lab": '0="init" 1=goal"\n0: 0\n'},
    "label number unknown": {"lab": PRISM_LAB + "1: 7\n"},
    "labelled state out of range": {"lab": PRISM_LAB + "3: 2\n"},
    "no goal label": {"lab": '0="init"\n0: 0\n'},
    "no initial state": {"lab": '0="init" 2="goal"\n2: 2\n'},
    "declaration without end": {"lab": "#DECLARATION\ninit goal\n0 init\n"},
    "rewards truncated": {"srew": "3 2\n0 1\n"},
    "reward of an unknown state": {"srew": "4 1\n0 1\n"},
    "rewards of a model with more states": {"srew": "7 1\n0 1\n"},
    "rewards of a model with more choices": {"srew": "3 9 1\n0 0 1 1\n"},
    "reward of an unknown transition": {"srew": "3 4 1\n0 0 2 1\n"},
    "reward given twice": {"srew": "0 1\n0 2\n"},
    "nan reward": {"srew": "3 1\n0 nan\n"},
    "reward of one column": {"srew": "1\n2\n"},
    "reward of five columns": {"srew": "0 0 0 1 2\n"},
    "reward with a word": {"srew": "0 much\n"},
}


@pytest.mark.parametrize("name", BROKEN_TEXTS)
def test_a_broken_text_file_is_one_error(tmp_path, name):
    files = write_files(tmp_path, **({"tra": PRISM_TRA, "lab": PRISM_LAB, "srew": SREW} | BROKEN_TEXTS[name]))
    with pytest.raises(InputError) as caught:
        from_prism(files["tra"], gamma=0.9, lab=files["lab"], rew=files["srew"], goal="goal")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_not_text_a_folder_and_a_missing_file_are_one_error_each(tmp_path):
    path = tmp_path / "model.tra"
    path.write_bytes(b"\xff\xfe\x00")
    for bad in (path, tmp_path, tmp_path / "missing.tra"):
        with pytest.raises(InputError):
            from_prism(bad, gamma=0.9, rew=path)


def test_neither_goal_nor_rewards_is_an_error(tmp_path):
    with pytest.raises(InputError, match="`rew`"):
        from_prism(write_files(tmp_path, tra=PRISM_TRA)["tra"], gamma=0.9)


@pytest.mark.parametrize("goal", [[0.5], [[2]], [True, False, False], 2.0, [None], object()])
def test_goal_states_are_whole_numbers_in_one_list(tmp_path, goal):
    files = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB, srew=SREW)
    with pytest.raises(InputError, match="`goal` must be a label, or a list of state numbers; found"):
        from_prism(files["tra"], gamma=0.5, rew=files["srew"], goal=goal)


@pytest.mark.parametrize("goal", [[2], (2,), {2}, np.array([2]), range(2, 3)])
def test_goal_states_may_be_any_collection_of_numbers(tmp_path, goal):
    files = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB, srew=SREW)
    mdp = from_prism(files["tra"], gamma=0.5, rew=files["srew"], goal=goal)
    assert mdp.reward[2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("rew", [5, "", [None], b"m.srew", []])
def test_reward_files_are_paths(tmp_path, rew):
    files = write_files(tmp_path, tra=PRISM_TRA)
    with pytest.raises(InputError, match="`rew` must"):
        from_prism(files["tra"], gamma=0.5, rew=rew)


def test_a_start_that_is_listed_twice_counts_once(tmp_path):
    files = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB + "0: 0\n1: 0\n", srew=SREW)
    mdp = from_prism(files["tra"], gamma=0.9, lab=files["lab"], rew=files["srew"], goal="goal")
    assert mdp.initial.tolist() == [0.5, 0.5, 0.0]
