"""What errors show of a value, and which numbers, arrays and names the checks take."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse

from virel_common.arguments import as_whole
from virel_common.errors import LONGEST, InputError, require, shown
from virel_theory import (
    TabularMDP,
    average_reward,
    finite_horizon,
    from_drn,
    from_prism,
    from_toolbox,
    garnet,
    gridworld,
    load_mdp,
    policy_evaluation,
    reachability,
    ring,
    shortest_path,
    soft_value_iteration,
    solve,
)
from virel_theory.checks import (
    as_array,
    as_finite_number,
    as_generator,
    as_non_negative,
    as_number,
    as_positive,
    as_probability,
    as_real,
    as_temperature,
    is_one_of,
    require_function,
    require_kind,
)
from virel_theory.mdp.validation import as_gamma
from virel_theory.solvers.linear_program import linear_program
from virel_theory.solvers.solve import METHODS

MDP = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
LARGE = np.zeros((40, 30))


class Wordy:
    def __repr__(self):
        return "many\nlines " * 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.5, "2.5"),
        ("vi", "'vi'"),
        (None, "None"),
        ((2, 3), "(2, 3)"),
        ([0.5, 1], "[0.5, 1]"),
        ([], "[]"),
        (np.array([1, 2]), "array([1, 2])"),
        (np.array(3.0), "array(3.)"),
        (LARGE, "ndarray of shape (40, 30), float64"),
        (np.eye(2), "ndarray of shape (2, 2), float64"),  # two lines, if it were printed
        (np.ma.array(LARGE), "MaskedArray of shape (40, 30), float64"),
        (sparse.csr_array(LARGE), "csr_array of shape (40, 30), float64"),
        (MDP, "TabularMDP(S=1, A=2, 2 pairs, dense, gamma=0.5)"),
        ([MDP], "[TabularMDP(S=1, A=2, 2 pairs, dense, gamma=0.5)]"),
        (LARGE.tolist(), "list of length 40"),
        ([0.0] * 51, "list of length 51"),
        ({"a": LARGE}, "dict of length 1"),
        pytest.param(10**5000, "int", id="a number that Python refuses to print"),
    ],
)
def test_short_values_are_shown_and_long_ones_described(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("value", ["a" * 5000, Wordy(), 10**4000])
def test_a_text_without_an_end_is_cut(value):
    found = shown(value)
    assert "\n" not in found
    assert len(found) <= LONGEST + 3
    assert found.endswith("...")


def test_a_rule_that_holds_raises_nothing_and_one_that_fails_names_all_three():
    require(True, "x", LARGE, "must be small")
    with pytest.raises(InputError) as caught:
        require(False, "x", LARGE, "must be small")
    assert str(caught.value) == "`x` must be small; found ndarray of shape (40, 30), float64"


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int8(1), np.array(1.0), Fraction(1), Decimal(1)])
def test_numbers_of_every_kind_are_floats(value):
    found = as_number(value, name="x")
    assert type(found) is float
    assert found == 1.0


@pytest.mark.parametrize(
    "value", ["one", b"1", None, 1j, [1.0], 10**400, np.datetime64("2020"), np.ma.masked, object()]
)
def test_what_is_no_number_is_named_with_its_value(value):
    with pytest.raises(
        InputError, match=r"`x` must (be a single number|fit into float64|have no masked entries)"
    ):
        as_number(value, name="x")
    with pytest.raises(InputError, match="`x`"):
        as_real([value, [2.0, 3.0]], name="x")


@pytest.mark.parametrize("value", [True, False, np.True_, np.array(False)])
def test_a_truth_value_is_no_number(value):
    for check in (as_number, as_probability, as_gamma, as_temperature):
        name = {} if check is as_gamma else {"name": "x"}
        with pytest.raises(InputError, match="must be a single number; found"):
            check(value, **name)


TAKES_FLAG = {
    solve: ("throw", (MDP,), {"atol": 1e-9}),
    soft_value_iteration: ("throw", (MDP,), {"c": 1.0, "atol": 1e-9}),
    linear_program: ("throw", (MDP,), {"atol": 1e-9}),
    policy_evaluation: ("throw", (MDP,), {"pi": [[1.0, 0.0]]}),
    average_reward: ("throw", (MDP,), {"atol": 1e-9}),
    finite_horizon: ("throw", (MDP, 2), {}),
    reachability: ("throw", (MDP, [0]), {"atol": 1e-9}),
    shortest_path: ("throw", (MDP, [0]), {"atol": 1e-9}),
    garnet: ("sparse", (3, 2, 2), {"gamma": 0.5, "rng": np.random.default_rng(0)}),
    gridworld: ("sparse", (2, 2), {"gamma": 0.5}),
    ring: ("closed", (4,), {"gamma": 0.5}),
    load_mdp: ("normalise", ("a.drn",), {"gamma": 0.5}),
    from_drn: ("normalise", ("a.drn",), {"gamma": 0.5}),
    from_prism: ("normalise", ("a.tra",), {"gamma": 0.5}),
    from_toolbox: ("normalise", ([[[1.0]]], [[1.0]]), {"gamma": 0.5}),
}


@pytest.mark.parametrize("value", ["no", 1, None, np.ones(2)], ids=["text", "number", "None", "array"])
@pytest.mark.parametrize("function", TAKES_FLAG, ids=lambda f: f.__name__)
def test_a_flag_is_a_truth_value(function, value):
    name, positional, keywords = TAKES_FLAG[function]
    with pytest.raises(InputError, match=f"`{name}` must be True or False; found"):
        function(*positional, **keywords, **{name: value})


@pytest.mark.parametrize(
    ("check", "fine", "bad", "rule"),
    [
        (as_finite_number, [0.0, -2.0], [np.inf, np.nan], "must be finite"),
        (as_probability, [0.0, 1.0], [-0.1, 1.1, np.nan], r"must lie in \[0, 1\]"),
        (as_non_negative, [0.0, 2.0], [-1.0, np.inf, np.nan], "must be non-negative and finite"),
        (as_positive, [1e-300, 2.0], [0.0, -1.0, np.inf, np.nan], "must be positive and finite"),
    ],
)
def test_ranges_hold_at_their_ends(check, fine, bad, rule):
    assert [check(x, name="x") for x in fine] == fine
    for x in bad:
        with pytest.raises(InputError, match=f"`x` {rule}; found {x!r}"):
            check(x, name="x")


def test_whole_numbers_are_integers_and_neither_floats_nor_truth_values():
    assert as_whole(np.uint8(3), name="n") == 3
    assert type(as_whole(np.int64(3), name="n")) is int
    for value in (2.0, True, np.True_, "2", None, np.array(2)):
        with pytest.raises(InputError, match="`n` must be a positive integer; found"):
            as_whole(value, name="n", least=1)
    with pytest.raises(InputError, match="`n` must be an integer of at least 2; found 1"):
        as_whole(1, name="n", least=2)


@pytest.mark.parametrize(
    "value",
    [
        [None],
        [[1.0], [1.0, 2.0]],
        np.array(["1"]),
        np.array([["1"]], dtype=object),
        np.array([b"1", 2], dtype=object),
        [1j],
        {},
        sparse.eye_array(2),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value):
    with pytest.raises(InputError, match="`x` must be an array"):
        as_real(value, name="x")


@pytest.mark.parametrize(
    "value",
    [
        np.ma.array([1.0, 2.0], mask=[True, False]),
        [np.ma.array([1.0, 2.0], mask=[True, False]), [1.0, 2.0]],
        ([[1.0, np.ma.masked]],),
        np.ma.masked,
    ],
    ids=["array", "in a list", "in a list in a tuple", "an entry"],
)
def test_masked_entries_are_refused_however_deep_they_lie(value):
    with pytest.raises(InputError, match="`x` must have no masked entries; fill or remove them first; found"):
        as_array(value, name="x")


def test_an_object_that_cannot_become_an_array_is_named_with_the_reason():
    class Tensor:  # as torch's, which carries a gradient
        def __array__(self, *_, **__):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    with pytest.raises(InputError, match=r"`x` must be an array; found Tensor \(RuntimeError: Can't call"):
        as_real(Tensor(), name="x")


def test_an_array_that_may_be_masked_but_is_not_is_an_array():
    found = as_real([np.ma.array([1.0, 2.0]), [3.0, 4.0]], name="x")
    assert type(found) is np.ndarray
    assert found.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_names_functions_generators_and_classes():
    assert is_one_of("vi", METHODS)
    assert not any(is_one_of(value, METHODS) for value in ("vii", ["vi"], None, LARGE))
    rng = np.random.default_rng(0)
    assert as_generator(rng) is rng
    require_function(len, name="f", of="a list")
    require_kind(1, (int, str), name="x")
    with pytest.raises(InputError, match=r"`rng` must be a numpy Generator, such as .*; found 0"):
        as_generator(0)
    with pytest.raises(InputError, match="`f` must be a function of a list; found 5"):
        require_function(5, name="f", of="a list")
    with pytest.raises(InputError, match=r"`x` must be of the class int or str; found 2\.5"):
        require_kind(2.5, (int, str), name="x")


@pytest.mark.parametrize("mdp", [LARGE, [MDP], (MDP, MDP), None, "model.npz"])
def test_what_is_no_mdp_is_described_in_one_line(mdp):
    with pytest.raises(
        InputError, match="`mdp` must be a TabularMDP; `load_mdp` reads one from a file; found"
    ) as one:
        solve(mdp, atol=1e-9)
    assert len(str(one.value)) < 200
    assert "\n" not in str(one.value)


def test_a_watch_is_a_function():
    with pytest.raises(InputError, match="`watch` must be a function of a `Progress`; found 5"):
        solve(MDP, atol=1e-9, watch=5)
