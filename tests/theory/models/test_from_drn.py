"""Storm's `.drn` files as MDPs: rewards by name, other kinds of models, broken and packed files."""

import gzip
import lzma

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory import TabularMDP, from_drn, load_mdp
from virel_theory.cli import main_solve

HEAD = "// Exported by hand\n@type: MDP\n@value_type: double\n@parameters\n\n@reward_models\n{names}\n"
COUNTS = "@nr_states\n3\n@nr_choices\n4\n@model\n"
WALK = """state 0 [1, 0] init
\taction fair [0.5, 0]
\t\t0 : 1/3
\t\t1 : 2/3
\taction sure [2, 1/4]
\t\t1 : 1
state 1 "half way" goal
\taction on
\t\t2 : $one
state 2 [0, 9] end
\taction stay [0, 0]
\t\t2 : 1
"""
DRN = HEAD.format(names="steps tolls") + "@placeholders\n$one : 1\n" + COUNTS + WALK
STEPS = np.array([[1.5, 3.0], [0.0, 0.0], [0.0, 0.0]])
TOLLS = np.array([[0.0, 0.25], [0.0, 0.0], [9.0, 0.0]])
MOVES = np.zeros((3, 2, 3))
MOVES[0, 0, :2], MOVES[0, 1, 1], MOVES[1, 0, 2], MOVES[2, 0, 2] = (1 / 3, 2 / 3), 1, 1, 1
EXISTS = [[True, True], [True, False], [True, False]]


def write(folder, text=DRN, name="m.drn"):
    (folder / name).write_bytes(text.encode())
    return folder / name


@pytest.mark.parametrize(("reward", "wanted"), [("steps", STEPS), ("tolls", TOLLS)])
def test_a_model_is_read_with_the_reward_model_that_is_named(tmp_path, reward, wanted):
    found = from_drn(write(tmp_path), gamma=0.5, reward=reward)
    np.testing.assert_array_equal(found.dense_transition, MOVES)
    np.testing.assert_array_equal(found.reward, wanted)
    assert found.available.tolist() == EXISTS
    assert found.initial.tolist() == [1, 0, 0]


def test_goals_absorb_and_without_rewards_arrival_counts(tmp_path):
    found = from_drn(write(tmp_path), gamma=0.5, reward="steps", goal="half way")
    assert found.dense_transition[1, 0].tolist() == [0, 1, 0]
    text = DRN.replace("steps tolls", "").replace("[0.5, 0]", "").replace("[2, 1/4]", "")
    for reward in ("[1, 0]", "[0, 9]", "[0, 0]"):
        text = text.replace(reward, "")
    assert from_drn(write(tmp_path, text), gamma=0.5, goal="goal").reward[0].tolist() == [2 / 3, 1.0]


def test_the_only_reward_model_needs_no_name_and_a_dtmc_is_an_mdp_with_one_action(tmp_path):
    text = "@type: DTMC\n@reward_models\nr\n@nr_states\n2\n@model\n"
    text += "state 0 [3] init\n\t0 : 0.5\n\t1 : 0.5\nstate 1\n"
    for last in ("\t1 : 1\n", "\taction 0 [0]\n\t\t1 : 1\n"):
        found = from_drn(write(tmp_path, text + last), gamma=0.5)
        assert found.shape == (2, 1)
        assert found.reward[:, 0].tolist() == [3, 0]
    with pytest.raises(InputError, match="line 13` must be the only action"):
        from_drn(write(tmp_path, text + "\taction 0\n\t\t1 : 1\n\taction 1\n\t\t1 : 1\n"), gamma=0.5)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: ("m.drn", text.replace("\n", "\r\n").encode()),
        lambda text: ("m.drn", b"\xef\xbb\xbf" + text.encode()),
        lambda text: ("m.drn.gz", gzip.compress(text.encode(), mtime=0)),
        lambda text: ("m.drn.xz", lzma.compress(text.encode())),
        lambda text: ("m.drn", gzip.compress(text.encode(), mtime=0)),
        lambda text: ("m.drn", lzma.compress(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())),
    ],
    ids=["CRLF", "byte-order mark", "gzip", "xz", "gzip without its suffix", "all but gzip"],
)
def test_bytes_may_be_packed_and_lines_end_as_on_windows(tmp_path, encode):
    name, data = encode(DRN)
    (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(load_mdp(tmp_path / name, 0.5, reward="tolls").reward, TOLLS)


@pytest.mark.parametrize(
    ("name", "data", "named"),
    [
        ("m.drn.gz", DRN.encode(), "must be a gzip file, as its name says; found other bytes"),
        ("m.drn.gz", lzma.compress(DRN.encode()), "found an xz file"),
        (
            "m.drn.xz",
            gzip.compress(DRN.encode(), mtime=0),
            "must be an xz file, as its name says; found a gzip file",
        ),
        ("m.drn.xz", lzma.compress(DRN.encode())[:80], "must be a whole compressed file"),
        ("m.drn", gzip.compress(DRN.encode(), mtime=0)[:80], "must be a whole compressed file"),
        ("m.drn", b"PK\x03\x04\xff\xff", "not UTF-8"),
    ],
)
def test_bytes_that_are_not_what_they_seem_are_one_error(tmp_path, name, data, named):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=named) as caught:
        load_mdp(tmp_path / name, 0.5, reward="steps")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("@type: MDP", "@type: CTMC", "in discrete time.*found 'CTMC'"),
        ("@type: MDP", "@type: Markov Automaton", "in discrete time.*found 'MARKOV AUTOMATON'"),
        ("@type: MDP", "@type: POMDP", "whose states are seen.*found 'POMDP'"),
        ("@type: MDP", "@type: SMG", "with one player.*found 'SMG'"),
        ("@type: MDP\n", "", "must be a DTMC or an MDP, as its @type"),
        (
            "@value_type: double",
            "@value_type: double-interval",
            "must have the @value_type double or rational",
        ),
        ("steps tolls", "steps steps", "must have @reward_models of different names"),
        ("@parameters\n\n", "@parameters\np q\n", "must have no parameters.*found 'p q'"),
        ("@model\n", "", "must have a line @model"),
        ("@nr_states\n3", "@nr_states\n4", "must hold the 4 states"),
        (COUNTS + WALK, "@nr_states\n0\n@model\n", "must have at least one state; found 0"),
        ("@nr_choices\n4", "@nr_choices\n5", "must hold the 5 choices"),
        ("@nr_states\n3\n", "", "must have one number below @nr_states"),
    ],
)
def test_models_of_other_kinds_and_broken_heads_are_refused(tmp_path, old, new, named):
    assert old in DRN
    with pytest.raises(InputError, match=named):
        from_drn(write(tmp_path, DRN.replace(old, new)), gamma=0.5, reward="steps")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("state 1 ", "state 2 ", "line 21` must be `state 1"),
        ("state 0 [1, 0] init", "state 0 !2 [1, 0] init", "line 15` must be `state 0"),
        ("[0.5, 0]", "[0.5]", "line 16` must give one reward to each of the 2"),
        ("[0.5, 0]", "[0.5, -inf]", "line 16` must hold a finite number here; found '-inf'"),
        ("[0.5, 0]", "[0.5, nan]", "line 16` must hold a finite number here; found 'nan'"),
        ("[1, 0] init", "[NaN, 0] init", "line 15` must hold a finite number here; found 'NaN'"),
        ("[1, 0] init", "[1, 0", "line 15` must be `state 0"),
        ("0 : 1/3", "0 : [0.2, 0.4]", "line 17` must hold a finite number here"),
        ("0 : 1/3", "0 : p", "line 17` must hold a finite number here; found 'p'"),
        ("0 : 1/3", "7 : 1/3", "line 17` must number states below 3; found 7"),
        ("0 : 1/3", "0 1/3", "line 17` must be `STATE : PROBABILITY`"),
        ("\taction on\n", "", "line 22` must stand below an action"),
        ("$one\n", "$two\n", "line 23` must be one of the @placeholders"),
        ("0 : 1/3", "0 : 30", "must hold probabilities.*found the sum 30.6667 in state 0"),
        ("0 : 1/3", "0 : 0.333", "`normalise`"),
        ("\taction on\n\t\t2 : $one\n", "", "must hold the 4 choices"),
    ],
)
def test_broken_lines_are_refused_with_their_number(tmp_path, old, new, named):
    assert old in DRN
    with pytest.raises(InputError, match=named):
        from_drn(write(tmp_path, DRN.replace(old, new, 1)), gamma=0.5, reward="steps")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "`reward` must be one of the reward models"),
        ({"reward": "x"}, "`reward` must be one of the reward models"),
        ({"reward": "steps", "goal": "x"}, "`goal` must be one of the labels"),
        ({"goal": "goal"}, "`reward` must be one of the reward models"),
        ({"reward": "steps", "gamma": 1.0}, "`gamma`"),
    ],
)
def test_what_is_not_in_the_file_is_named(tmp_path, options, named):
    with pytest.raises(InputError, match=named):
        from_drn(write(tmp_path), **{"gamma": 0.5} | options)


def test_rounded_rows_are_rescaled_on_request_and_a_line_says_by_how_much(tmp_path, capsys):
    path = write(
        tmp_path, DRN.replace("1/3", "0.333").replace("2/3", "0.667").replace("0 : 0.333", "0 : 0.334")
    )
    with pytest.warns(UserWarning, match="differed from 1 by up to 0.001"):
        found = from_drn(path, gamma=0.5, reward="steps", normalise=True)
    np.testing.assert_allclose(found.dense_transition[0, 0, :2], [0.334 / 1.001, 0.667 / 1.001], rtol=1e-15)
    assert main_solve([str(path), "--gamma", "0.5", "--reward", "tolls", "--normalise"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel solve: rows of")
    far = write(tmp_path, DRN.replace("1/3", "2/3"))
    with pytest.raises(InputError, match="must have rows whose sums are 1, but for rounding"):
        from_drn(far, gamma=0.5, reward="steps", normalise=True)


def test_options_of_other_files_are_refused(tmp_path, capsys):
    TabularMDP([[[1.0]]], [[1.0]], 0.5).save(tmp_path / "m.npz")
    for spec in (str(tmp_path / "m.npz"), "gym:FrozenLake-v1"):
        for options in (["--reward", "r"], ["--normalise"]):
            assert main_solve([spec, "--gamma", "0.5", *options]) == 2
            assert "must be left out" in capsys.readouterr().err
