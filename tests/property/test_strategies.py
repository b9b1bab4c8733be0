"""The public strategies: what they shrink to, what they draw, what they print, what they refuse."""

import random
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.vendor.pretty import pretty

from verify.strategies import approximators, distributions, instances, mdps, policies, q_tables
from virel_common.errors import InputError
from virel_theory import TabularMDP, ring

QUIET = settings(deadline=None, database=None, max_examples=2000)


def is_stochastic(mdp):
    return bool(((mdp.transition > 0) & (mdp.transition < 1)).any())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("strategy", "has", "shape"),
    [
        (mdps(), is_stochastic, (2, 1)),
        (mdps(max_states=10), is_stochastic, (2, 1)),
        (mdps(), lambda mdp: (mdp.reward < 0).any(), (1, 1)),
        (mdps(), lambda mdp: mdp.reward.max() > mdp.reward.min(), (1, 2)),
        (mdps(masked=True), lambda mdp: not mdp.available.all(), (1, 2)),
    ],
)
def test_shrinking_ends_at_the_fewest_states_and_actions(seed, strategy, has, shape):
    smallest = find(strategy, has, settings=QUIET, random=random.Random(seed))
    assert smallest.shape == shape
    assert smallest.gamma == 0


def test_a_third_of_the_mdps_is_stochastic_and_every_kind_is_drawn():
    seen = {"stochastic": 0, "ring": 0, "one state": 0, "ties": 0, "absorbing": 0}

    @settings(
        max_examples=400,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(mdps())
    def draw(mdp):
        n = mdp.n_states
        seen["stochastic"] += is_stochastic(mdp)
        seen["ring"] += n > 1 and bool(((np.arange(n) + 1) % n == mdp.transition.argmax(axis=2).T).all())
        seen["one state"] += n == 1
        seen["ties"] += mdp.n_actions > 1 and bool((np.diff(mdp.reward, axis=1) == 0).any())
        seen["absorbing"] += bool((mdp.transition[np.arange(n), :, np.arange(n)] == 1).all(axis=1).any())

    draw()
    assert seen["stochastic"] >= 120
    assert min(seen.values()) >= 10


@given(mdps(masked=True))
@settings(deadline=None, max_examples=50)
def test_what_hypothesis_prints_of_an_mdp_makes_it_again(mdp):
    again = eval(pretty(mdp), {"TabularMDP": TabularMDP, "inf": np.inf})
    for name in ("transition", "reward", "gamma", "initial", "available"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mdp, name))
    assert (again.mask is None) == (mdp.mask is None)


def test_of_a_large_or_sparse_mdp_hypothesis_prints_the_sizes():
    for mdp in (ring(30, gamma=0.9), ring(3, gamma=0.9).to_sparse()):
        assert pretty(mdp) == repr(mdp)


MDP = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)


WHOLE = "must be an integer of at least 0"
STRATEGY = "must be a hypothesis strategy, such as `st.just(0.9)`, or None"
PART = "must be a hypothesis strategy, such as `mdps()`, or a function of the MDP, such as `q_tables`"
AFTER = "must come after a part named `mdp`: it is a function of that"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mdps(max_states="5"), f"`max_states` {WHOLE}; found '5'"),
        (lambda: mdps(max_states=None), f"`max_states` {WHOLE}; found None"),
        (lambda: mdps(max_actions=True), f"`max_actions` {WHOLE}; found True"),
        (lambda: mdps(gammas=0.9), f"`gammas` {STRATEGY}; found 0.9"),
        (lambda: mdps(rewards=[1.0]), f"`rewards` {STRATEGY}; found [1.0]"),
        (lambda: mdps(masked="no"), "`masked` must be True or False; found 'no'"),
        (lambda: q_tables(MDP, values=1.0), "`values` must be a hypothesis strategy, or None; found 1.0"),
        (lambda: q_tables(3), "`mdp` must be a TabularMDP; `load_mdp` reads one from a file; found 3"),
        (lambda: policies(None), "`mdp` must be a TabularMDP; `load_mdp` reads one from a file; found None"),
        (lambda: policies(MDP, full_support="no"), "`full_support` must be True or False; found 'no'"),
        (lambda: distributions(MDP, full_support=1), "`full_support` must be True or False; found 1"),
        (
            lambda: approximators((2, 2)),
            "`mdp` must be a TabularMDP; `load_mdp` reads one from a file; found (2, 2)",
        ),
        (lambda: instances(mdp=mdps(), q=3), f"`q` {PART}; found 3"),
        (lambda: instances(m=mdps(), q=q_tables), f"`q` {AFTER}; found <function q_tables"),
        (lambda: instances(q=q_tables, mdp=mdps()), f"`q` {AFTER}; found <function q_tables"),
        (lambda: instances(mdp=mdps), f"`mdp` {PART}; found <function accept"),
        (
            lambda: instances(mdp=st.just(3), q=q_tables),
            "`mdp` must be a TabularMDP; `load_mdp` reads one from a file; found 3",
        ),
    ],
    ids=range(17),
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match="^" + re.escape(message)):
        find(call(), lambda _: True, settings=QUIET)
