"""What `reset` and `step` return is checked in full: one line says what came back and what is wanted."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from tests.support.envs import registered
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure

SEED = np.random.SeedSequence(0)
GOOD = np.zeros(2, np.float32)


class Scripted(gymnasium.Env):
    """Returns from reset and step what it is told to."""

    action_space = Box(-1, 1, (1,))

    def __init__(self, first=(GOOD, {}), then=(GOOD, 0.5, False, False, {}), dtype=np.float32):
        low = -9 if np.issubdtype(dtype, np.signedinteger) or np.issubdtype(dtype, np.floating) else 0
        self.observation_space = Box(low, 9, (2,), dtype)
        self.first, self.then = first, then

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        return self.first

    def step(self, action):  # noqa: ARG002
        return self.then


def stepped(**script):
    envs = SeedEnvs(registered(Scripted, **script), 1, SEED)
    return envs.step(np.zeros((1, 1), np.float32))


@pytest.mark.parametrize(
    ("first", "named"),
    [
        (GOOD, r"its reset\(\) must return \(observation, info\); it returned an array of shape \[2\]"),
        ((GOOD, 1.0, False), "it returned a tuple of 3"),
        (None, "it returned NoneType"),
        ((GOOD[:1], {}), r"observation of shape \[1\]; it must be \[2\]"),
        ((np.zeros((1, 2)), {}), r"shape \[1, 2\]; it must be \[2\]"),
        ((0.5, {}), r"shape \[\]; it must be \[2\]"),
        ((["a", "b"], {}), "no numbers"),
        (([[1.0], [1.0, 2.0]], {}), "no array"),
        ((np.array([np.nan, 0.0]), {}), "must be finite"),
    ],
)
def test_a_reset_that_returns_something_else_is_named(first, named):
    with pytest.raises(EnvironmentFailure, match=named):
        stepped(first=first)


@pytest.mark.parametrize(
    ("then", "named"),
    [
        ((GOOD, 0.5, False, {}), r"its step\(\) must return .*; it returned a tuple of 4"),
        ([GOOD, 0.5, False, False, {}], "it returned list"),
        ((GOOD[:1], 0.5, False, False, {}), r"its step\(\) returned an observation of shape \[1\]"),
        ((GOOD, "1.5", False, False, {}), "must return a number as reward; it returned str '1.5'"),
        ((GOOD, None, False, False, {}), "a number as reward; it returned NoneType"),
        ((GOOD, np.zeros(2), False, False, {}), r"a number as reward; it returned an array of shape \[2\]"),
        ((GOOD, 1 + 2j, False, False, {}), "a number as reward"),
        ((GOOD, np.nan, False, False, {}), "reward .* must be finite"),
        ((GOOD, 0.5, np.nan, False, {}), "must return True or False as terminated; it returned float 'nan'"),
        ((GOOD, 0.5, False, None, {}), "True or False as truncated; it returned NoneType"),
        ((GOOD, 0.5, 2, False, {}), "as terminated; it returned int '2'"),
        ((GOOD, 0.5, "no", False, {}), "as terminated; it returned str 'no'"),
    ],
)
def test_a_step_that_returns_something_else_is_named(then, named):
    with pytest.raises(EnvironmentFailure, match=named):
        stepped(then=then)


@pytest.mark.parametrize(
    "reward", [1, np.float32(1), np.array([1.0]), np.array(1.0), np.int64(1), True, torch.ones(1)]
)
@pytest.mark.parametrize("flag", [False, np.bool_(False), 0, np.array([False]), torch.tensor(False)])
def test_numbers_and_flags_of_every_kind_that_libraries_give_are_taken(reward, flag):
    found = stepped(then=(GOOD, reward, flag, flag, {}))
    assert found.reward.tolist() == [1.0]
    assert not found.terminated[0]


@pytest.mark.parametrize("seen", [[0.0, 1.0], np.array([0, 1]), np.zeros(2, np.float64)])
def test_observations_of_another_type_of_number_are_converted(seen):
    assert stepped(then=(seen, 0.5, False, False, {})).next_observation.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_a_box_of_integers_refuses_fractions_and_takes_whole_numbers(dtype):
    whole = np.array([1, 2], dtype)
    step = (np.array([1.0, 2.0]), 0.5, False, False, {})
    assert stepped(first=(whole, {}), then=step, dtype=dtype).next_observation.tolist() == [[1.0, 2.0]]
    with pytest.raises(EnvironmentFailure, match="no fractions"):
        stepped(first=(whole, {}), then=(np.array([0.5, 2.0]), 0.5, False, False, {}), dtype=dtype)
