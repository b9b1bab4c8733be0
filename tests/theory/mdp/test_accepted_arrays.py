"""Arrays that the checks accept: real numbers only; complex ones, dates, text and overflows are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from scipy import sparse

from verify.strategies import mdps
from virel_common.errors import InputError
from virel_theory import TabularMDP, solve_batch
from virel_theory.models.from_gymnasium import gym_table
from virel_theory.operators.policies import boltzmann_policy

ONE = np.ones((1, 1, 1))
NOT_REAL = [1j, "1", np.datetime64("2020-01-01"), 10**400, b"1"]


@pytest.mark.parametrize("value", NOT_REAL, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["transition", "reward", "gamma"])
def test_only_real_numbers_make_an_mdp(name, value):
    parts = {"transition": ONE, "reward": [[1.0]], "gamma": 0.5}
    parts[name] = value if name == "gamma" else np.full(np.shape(parts[name]), value)
    too_large = "(fit|be of numbers that fit) into float64"
    kind = "be a single number" if name == "gamma" else "be an array of real numbers"
    kind = too_large if isinstance(value, int) else kind
    with pytest.raises(InputError, match=f"`{name}` must {kind}"):
        TabularMDP(**parts)
    kind = too_large if isinstance(value, int) else "be an array of real numbers"
    with pytest.raises(InputError, match=f"`{name}` must {kind}"):
        solve_batch(parts["transition"][None], np.asarray(parts["reward"])[None], parts["gamma"], atol=1e-9)


@pytest.mark.parametrize(
    ("transition", "rule"),
    [
        (sparse.coo_array(np.array([1.0])), r"must have shape \[S\*A, S\]; found \(1,\)"),
        (sparse.csr_array(np.array([[1j]])), "must be an array of real numbers"),
        (sparse.csr_array(([1.5, -0.5], [0, 0], [0, 2])), r"must be non-negative; found -0\.5"),
        (sparse.coo_array(([1.5, -0.5], ([0, 0], [0, 0]))), r"must be non-negative; found -0\.5"),
    ],
)
def test_a_sparse_transition_is_a_matrix_of_real_numbers(transition, rule):
    with pytest.raises(InputError, match=rule):
        TabularMDP(transition, [[1.0]], 0.5)


@pytest.mark.parametrize(
    ("transition", "shape"),
    [
        (np.ones((0, 0, 0)), r"\[S, A, S\], S and A at least 1; found \(0, 0, 0\)"),
        (sparse.csr_array((0, 2)), r"\[S\*A, S\], S and A at least 1; found \(0, 2\)"),
    ],
)
def test_an_mdp_has_a_state_and_an_action(transition, shape):
    with pytest.raises(InputError, match=f"`transition` must have shape {shape}"):
        TabularMDP(transition, [[1.0]], 0.5)


def test_an_mdp_is_shown_in_one_line_by_its_sizes():
    transition, mask = np.full((2, 2, 2), 0.5), np.array([[True, True], [True, False]])
    mdp = TabularMDP(transition * mask[..., None], np.ones((2, 2)), 0.9, mask=mask)
    assert repr(mdp) == "TabularMDP(S=2, A=2, 3 pairs, dense, gamma=0.9)"
    assert repr(mdp.to_sparse()) == "TabularMDP(S=2, A=2, 3 pairs, sparse, gamma=0.9)"


def test_whole_numbers_truth_values_and_objects_are_numbers():
    for kind in (np.int8, np.bool_, np.object_, np.float32):
        assert TabularMDP(ONE.astype(kind), np.ones((1, 1), kind), 0.5).reward.tolist() == [[1.0]]


@pytest.mark.parametrize("eps", ["abc", [1.0, 2.0], 1j])
def test_a_temperature_is_one_number(eps):
    with pytest.raises(InputError, match="`eps` must be"):
        boltzmann_policy([[1.0, 0.0]], eps=eps)


class Table:
    def __init__(self, table):
        self.P = table


@pytest.mark.parametrize(
    ("actions", "rule"),
    [
        ({-1: [(1.0, 0, 0.0, False)]}, "must number the actions 0, 1"),
        ({0.5: [(1.0, 0, 0.0, False)]}, "must number the actions 0, 1"),
        ({"a": [(1.0, 0, 0.0, False)]}, "must number the actions 0, 1"),
        ({0: [(1.0, 10**30, 0.0, False)]}, "must list"),
        ({0: [(1.0, 0, 10**400, False)]}, "must list"),
    ],
)
def test_a_transition_table_with_other_keys_or_numbers_is_refused(actions, rule):
    with pytest.raises(InputError, match=rule):
        gym_table(Table({0: actions}))


@pytest.mark.parametrize("sizes", [{"max_states": 300}, {"max_states": 0}, {"min_actions": 4}])
def test_strategies_refuse_what_hypothesis_cannot_draw(sizes):
    @settings(max_examples=1, database=None)
    @given(mdps(**sizes))
    def drawn(_):
        pass

    with pytest.raises(InputError, match=r"`(max_states|min_actions)` must"):
        drawn()
