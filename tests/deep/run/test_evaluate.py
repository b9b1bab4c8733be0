"""Evaluation episodes: reproducible, one seed each, unscaled returns, loud failures."""

import gymnasium
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_deep.data import environments
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.run.evaluate import PolicyFailure, evaluate_policy

pytestmark = pytest.mark.mujoco


class Counter(gymnasium.Env):
    """Pays its action each step (scaled to [-2, 2]); ends after `length` steps, or never."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-2, 2, (1,), np.float64)

    def __init__(self, length=None, bad=None):
        self.length, self.bad = length, bad

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.t = 0
        return np.array([self.np_random.uniform()]), {}

    def step(self, action):
        self.t += 1
        observation = np.array([self.np_random.uniform()])
        reward = self.bad if self.bad is not None else float(action[0])
        return observation, reward, self.t == self.length, False, {}


@pytest.fixture
def counter():
    """Registers `Counter` with the given arguments; returns its id."""
    names = []

    def register(**kwargs):
        name = f"Counter{len(names)}-v0"
        gymnasium.register(name, lambda: Counter(**kwargs))
        names.append(name)
        return name

    yield register
    for name in names:
        del gymnasium.registry[name]


def constant(value, size=1):
    return lambda observation: np.full((len(observation), size), value, np.float32)


def linear(observation):
    return np.tanh(observation @ np.full((4, 1), 0.5, np.float32))


def seed(*key):
    return np.random.SeedSequence(7, spawn_key=key)


def test_the_return_is_the_sum_of_unscaled_rewards_of_rescaled_actions(counter):
    # 3 steps of action 0.5 in [-1, 1], that is 1.0 in [-2, 2].
    episodes = evaluate_policy(constant(0.5), counter(length=3), seed(), 2)
    assert [(e.return_, e.length) for e in episodes] == [(3.0, 3)] * 2


def test_the_same_seed_gives_the_same_episodes_and_another_seed_others():
    first = evaluate_policy(linear, "InvertedPendulum-v5", seed(1), 3)
    assert evaluate_policy(linear, "InvertedPendulum-v5", seed(1), 3) == first
    pushed = lambda x: np.clip(3 * x[:, 1:2] + 0.1, -1, 1)  # noqa: E731  (balances for a while)
    assert evaluate_policy(pushed, "InvertedPendulum-v5", seed(1), 3) != evaluate_policy(
        pushed, "InvertedPendulum-v5", seed(2), 3
    )


def test_an_episode_does_not_depend_on_how_many_run_beside_it():
    # An elementwise policy: matrix products may round differently for other numbers of rows.
    act = lambda x: np.clip(2 * x[:, 1:2] + x[:, 3:4], -1, 1)  # noqa: E731
    three = evaluate_policy(act, "InvertedPendulum-v5", seed(), 3)
    assert evaluate_policy(act, "InvertedPendulum-v5", seed(), 1) == three[:1]


def test_episodes_of_one_call_differ_from_each_other():
    act = lambda x: np.clip(x[:, 1:2], -1, 1)  # noqa: E731
    returns = [e.return_ for e in evaluate_policy(act, "InvertedDoublePendulum-v5", seed(), 4)]
    assert len(set(returns)) == 4


def test_the_policy_sees_only_the_episodes_that_have_not_ended():
    seen = []

    def act(observation):
        seen.append(len(observation))
        return np.zeros((len(observation), 1), np.float32)

    lengths = sorted(e.length for e in evaluate_policy(act, "InvertedPendulum-v5", seed(), 5))
    assert seen == [sum(length > t for length in lengths) for t in range(lengths[-1])]


def test_the_seed_sequence_is_not_advanced():
    sequence = seed()
    evaluate_policy(linear, "InvertedPendulum-v5", sequence, 2)
    assert sequence.n_children_spawned == 0


def test_an_environment_without_an_end_is_cut(counter, monkeypatch):
    monkeypatch.setattr(environments, "LONGEST", 5)
    (episode,) = evaluate_policy(constant(1.0), counter(), seed(), 1)
    assert (episode.return_, episode.length) == (10.0, 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5])
def test_an_action_that_is_none_is_a_policy_failure_that_shows_it(value):
    with pytest.raises(PolicyFailure, match=str(value)):
        evaluate_policy(constant(value), "InvertedPendulum-v5", seed(), 1)


def test_a_reward_that_is_no_number_is_an_environment_failure(counter):
    with pytest.raises(EnvironmentFailure, match="nan"):
        evaluate_policy(constant(0.0), counter(bad=np.nan), seed(), 1)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="`episodes` must be at least 1; found 0"):
        evaluate_policy(linear, "InvertedPendulum-v5", seed(), 0)
    with pytest.raises(InputError, match="NoSuch-v5"):
        evaluate_policy(linear, "NoSuch-v5", seed(), 1)
