"""Toy-text environments of Gymnasium as MDPs: published values, table rules, broken tables."""

import re
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from tests.support.model_files import optimal_values
from virel_common.errors import InputError
from virel_theory.cli import main_solve
from virel_theory.models.readers import from_gymnasium


def toy_values(env_id, gamma, n_sweeps=3000):
    """Value of the start distribution from the table itself: terminated transitions end the sum."""
    env = gymnasium.make(env_id).unwrapped
    v = dict.fromkeys(env.P, 0.0)
    for _ in range(n_sweeps):
        v = {
            s: max(
                sum(p * (r + gamma * v[t] * (not done)) for p, t, r, done in outcomes)
                for outcomes in actions.values()
            )
            for s, actions in env.P.items()
        }
    return float(sum(p * v[s] for s, p in enumerate(env.initial_state_distrib))), np.array(list(v.values()))


@pytest.mark.parametrize(
    ("env_id", "published", "digits"),
    [
        ("FrozenLake-v1", 0.5420259320004729, 12),
        ("CliffWalking-v1", -12.2479, 4),
        pytest.param("Taxi-v4", 6.33, 2, marks=pytest.mark.long),
    ],
)
def test_toy_text_values_agree_with_the_table_and_with_the_published_ones(env_id, published, digits):
    mdp = from_gymnasium(env_id, gamma=0.99)
    v = optimal_values(mdp)
    assert round(float(mdp.initial @ v), digits) == round(published, digits)
    start, values = toy_values(env_id, 0.99, 1500)  # 0.99**1500 * 100 < 3e-5
    assert mdp.initial @ v == pytest.approx(start, abs=1e-4)
    np.testing.assert_allclose(v[:-1], values, rtol=0, atol=1e-4)


def test_frozen_lake_by_a_direct_solve_for_its_optimal_policy():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.99)
    q = mdp.reward + 0.99 * mdp.expect_next(optimal_values(mdp))
    states, policy = np.arange(mdp.n_states), q.argmax(axis=1)
    system = np.eye(mdp.n_states) - 0.99 * mdp.transition[states, policy]
    value = mdp.initial @ np.linalg.solve(system, mdp.reward[states, policy])
    assert value == pytest.approx(0.5420259320004729, abs=1e-14)


def test_the_added_state_absorbs_at_reward_zero_and_is_never_a_start():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.9)
    assert mdp.shape == (17, 4)
    assert (mdp.transition[16, :, 16] == 1).all()
    assert (mdp.reward[16] == 0).all()
    assert mdp.initial[16] == 0


def toy(table, **others):
    env = SimpleNamespace(P=table, **others)
    env.unwrapped = env
    return env


def test_successors_listed_twice_add_up_and_termination_overrides_the_successor():
    table = {
        0: {0: [(0.25, 1, 4.0, False), (0.25, 1, 8.0, False), (0.5, 1, 2.0, True)]},
        1: {0: [(1.0, 0, 0.0, False)]},
    }
    mdp = from_gymnasium(toy(table), gamma=0.5)
    assert mdp.transition[:, 0].tolist() == [[0, 0.5, 0.5], [1, 0, 0], [0, 0, 1]]
    assert mdp.reward[:, 0].tolist() == [0.25 * 4 + 0.25 * 8 + 0.5 * 2, 0, 0]
    assert mdp.initial.tolist() == [0.5, 0.5, 0]


def test_without_termination_no_state_is_added_and_missing_actions_are_masked():
    table = {0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 1.0, False)]}, 1: {1: [(1.0, 0, 0.0, False)]}}
    mdp = from_gymnasium(toy(table, initial_state_distrib=[0.0, 1.0]), gamma=0.5)
    assert mdp.available.tolist() == [[True, True], [False, True]]
    assert mdp.initial.tolist() == [0.0, 1.0]


def test_an_id_without_version_is_the_newest_version():
    assert from_gymnasium("Taxi", gamma=0.9).shape == (501, 6)


GOOD = [(1.0, 0, 0.0, False)]
BROKEN_TABLES = {
    "no table": None,
    "no states": {},
    "gap in the states": {0: {0: GOOD}, 2: {0: GOOD}},
    "a state without actions": {0: {0: GOOD}, 1: {}},
    "no actions at all": {0: {}},
    "an action without outcomes": {0: {0: GOOD, 1: []}},
    "half a tuple": {0: {0: [(1.0, 0)]}},
    "a word for a number": {0: {0: [("often", 0, 0.0, False)]}},
    "successor out of range": {0: {0: [(1.0, 1, 0.0, False)]}},
    "negative successor": {0: {0: [(1.0, -1, 0.0, False)]}},
    "negative probability": {0: {0: [(1.5, 0, 0.0, False), (-0.5, 0, 0.0, False)]}},
    "nan probability": {0: {0: [(float("nan"), 0, 0.0, False)]}},
    "sum below one": {0: {0: [(0.999, 0, 0.0, False)]}},
    "nan reward": {0: {0: [(1.0, 0, float("nan"), False)]}},
    "a list for the successor": {0: {0: [(1.0, [0], 0.0, False)]}},
    "half a state": {0: {0: [(1.0, 0.7, 0.0, False)]}},
    "a boolean for the successor": {0: {0: [(1.0, False, 0.0, False)]}},
    "text for a probability": {0: {0: [("1.0", 0, 0.0, False)]}},
    "text for a reward": {0: {0: [(1.0, 0, "5", False)]}},
    "text for termination": {0: {0: [(1.0, 0, 0.0, "False")]}},
    "nan for termination": {0: {0: [(1.0, 0, 0.0, float("nan"))]}},
    "two for termination": {0: {0: [(1.0, 0, 0.0, 2)]}},
    "a list for a transition": {0: [[(1.0, 0, 0.0, False)]]},
    "nothing for a state": {0: None},
    "nothing for an action": {0: {0: None}},
    "a number for an action": {0: {0: 3}},
    "half a number for a state": {0.0: {0: GOOD}},
    "a boolean for a state": {False: {0: GOOD}},
    "an action far out": {0: {10**13: GOOD}},
}


@pytest.mark.parametrize("name", BROKEN_TABLES)
def test_a_broken_table_is_one_error(name):
    with pytest.raises(InputError) as caught:
        from_gymnasium(toy(BROKEN_TABLES[name]), gamma=0.9)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("terminated", [True, np.True_, 1, np.int64(1)])
def test_termination_may_be_a_flag_or_zero_and_one(terminated):
    table = {0: {0: [(np.float32(1.0), np.int64(0), 1, terminated)]}}
    assert from_gymnasium(toy(table), gamma=0.9).n_states == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["reward_schedule=[1]"], "`env` must be a Gymnasium id that can be made.*IndexError"),
        (['desc=["FF","FG"]'], "must"),
    ],
)
def test_what_a_constructor_raises_or_warns_of_is_one_line(options, named, capsys):
    arguments = [word for option in options for word in ("--env-arg", option)]
    assert main_solve(["gym:FrozenLake-v1", "--gamma", "0.9", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(named, line)


@pytest.mark.parametrize("env", ["NoSuchEnv-v0", "CartPole-v1", "no_such_module:Env-v0", 3])
def test_what_is_not_a_toy_text_environment_is_one_error(env):
    with pytest.raises(InputError, match="`env`"):
        from_gymnasium(env, gamma=0.9)
