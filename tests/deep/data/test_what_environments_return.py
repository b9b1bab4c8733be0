"""What `reset` and `step` return is checked in full: one line says what came back and what is wanted."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from tests.support.envs import registered
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.design.environment import EnvSpec

SEED = np.random.SeedSequence(0)
GOOD = np.zeros(2, np.float32)


class Scripted(gymnasium.Env):
    """Returns from reset and step what it is told to."""

    action_space = Box(-1, 1, (1,))

    def __init__(self, first=(GOOD, {}), then=(GOOD, 0.5, False, False, {}), dtype=np.float32):
        low = -9 if np.issubdtype(dtype, np.signedinteger) or np.issubdtype(dtype, np.floating) else 0
        self.observation_space = Box(low, 1 if dtype == np.bool_ else 9, (2,), dtype)
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


@pytest.mark.parametrize(
    ("dtype", "seen", "named"),
    [
        (
            np.uint8,
            np.array([-18, 3]),
            "returned -18 in .* has uint8: no fractions, and numbers from 0 to 255",
        ),
        (np.uint8, np.array([3, 256]), "returned 256 in an observation"),
        (np.int8, [128, 0], "returned 128 in .* has int8: .* from -128 to 127$"),
        (np.int64, np.array([2**63], np.uint64), r"of shape \[1\]"),
        (np.int64, np.array([0, 2**63], np.uint64), "returned 9223372036854775808 in"),
        (np.uint64, np.array([0, -1]), "returned -1 in"),
        (np.int32, np.array([0.0, np.inf]), "returned inf in"),
        (np.int32, np.array([np.nan, 0.0]), "returned nan in"),
        (np.int32, np.array([1e19, 0.0]), r"returned 1e\+19 in"),
        (np.bool_, np.array([1, 2]), "returned 2 in .* has bool: no fractions, and numbers from 0 to 1"),
        (np.float32, np.array([0.0, 1e39]), r"returned 1e\+39 in .* has float32: no numbers beyond 3.4e\+38"),
        (np.float32, np.array([0.0, np.inf]), "observation, entry 1, is inf; must be finite"),
        (np.float64, np.array([-1e39, 0.0]), r"observation, entry 0, is -1e\+39; must be finite"),
    ],
)
def test_numbers_that_the_type_of_the_space_cannot_hold_are_named_as_they_were_returned(dtype, seen, named):
    first = (np.zeros(2, dtype), {})
    with pytest.raises(EnvironmentFailure, match=f"^fake/.*, step 1: .*{named}"):
        stepped(first=first, then=(seen, 0.5, False, False, {}), dtype=dtype)


@pytest.mark.parametrize(
    ("dtype", "seen"),
    [(np.uint8, [0, 255]), (np.int64, np.array([0, 2**63 - 1], np.uint64)), (np.bool_, np.array([0.0, 1.0]))],
)
def test_numbers_that_the_type_of_the_space_just_holds_are_taken(dtype, seen):
    found = stepped(first=(np.zeros(2, dtype), {}), then=(seen, 0.5, False, False, {}), dtype=dtype)
    assert found.next_observation.tolist() == [[float(x) for x in seen]]


FAULTS = [
    ({"then": (np.array([0.5, 0.0]), 0.5, False, False, {})}, r"step 1: its step\(\) returned 0.5 in"),
    ({"then": (np.array([2**40, 0]), 0.5, False, False, {})}, r"step 1: its step\(\) returned 1099511627776"),
    ({"then": (np.zeros(3, int), 0.5, False, False, {})}, r"observation of shape \[3\]; it must be \[2\]"),
    ({"then": (["a", "b"], 0.5, False, False, {})}, "step 1: .* no numbers"),
    ({"then": (np.zeros(2, int), "1.5", False, False, {})}, "as reward; it returned str '1.5'"),
    ({"then": (np.zeros(2, int), 0.5, False, {})}, r"its step\(\) must return .*; it returned a tuple of 4"),
    ({"first": (np.array([0.5, 0.0]), {})}, r"step 0: its reset\(\) returned 0.5 in"),
    ({"first": np.zeros(2, int)}, r"its reset\(\) must return \(observation, info\)"),
]


@pytest.mark.parametrize(("fault", "named"), FAULTS)
def test_with_several_tasks_the_same_is_refused_in_the_same_words(fault, named):
    whole = {"first": (np.zeros(2, np.int32), {}), "then": (np.zeros(2, np.int32), 0.5, False, False, {})}
    sound, faulty = (registered(Scripted, dtype=np.int32, **(whole | one)) for one in ({}, fault))
    for envs in (faulty, [EnvSpec(sound, task=(0, 2)), EnvSpec(faulty, task=(1, 2))]):
        with pytest.raises(EnvironmentFailure, match=f"^{faulty}, .*{named}"):
            SeedEnvs(envs, 2, SEED).step(np.zeros((2, 1), np.float32))
