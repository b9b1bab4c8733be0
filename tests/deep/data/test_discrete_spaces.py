"""Discrete actions and observations: one-hot on our side, the environment's own numbers on its side."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from tests.support.envs import Script, Walk, registered
from virel_common.errors import InputError
from virel_deep.data.actions import ActionChoice
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.observations import observations_of
from virel_deep.data.returned import Unusable

LEFT, RIGHT = np.eye(2, dtype=np.float32)


def envs_of(*, copies=1, **settings):
    return SeedEnvs(registered(Walk, max_episode_steps=9, **settings), copies, np.random.SeedSequence(0))


def test_actions_reach_the_environment_as_its_numbers_and_observations_come_as_one_hot_vectors():
    envs = envs_of(copies=2)
    assert (envs.discrete, envs.action_size, envs.observation_size) == (True, 2, 5)
    assert envs.observation.tolist() == [[0, 0, 1, 0, 0]] * 2
    step = envs.step(np.stack([LEFT, RIGHT]))
    assert [env.unwrapped.actions for env in envs._envs] == [[-1], [0]]
    assert step.next_observation.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    assert step.next_observation.dtype == np.float32
    step = envs.step(np.stack([LEFT, RIGHT]))
    assert step.next_observation.tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert envs.observation.tolist() == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]  # the second one began anew
    assert step.terminated.tolist() == [False, True]


@pytest.mark.parametrize("action", [[1, 1], [0, 0], [0.5, 0.5], [-1, 1], [np.nan, 1], [np.nan, np.nan]])
def test_what_is_no_choice_is_refused_before_any_step(action):
    envs = envs_of()
    with pytest.raises(
        InputError, match="`action` must be one-hot vectors, one 1 among zeros; found"
    ) as caught:
        envs.step(np.array([action], np.float32))
    assert "\n" not in str(caught.value)
    assert envs.steps == 0


def test_an_observation_outside_the_space_is_a_failure_in_one_line():
    envs = envs_of(broken=True)
    envs.step(RIGHT[None])
    with pytest.raises(EnvironmentFailure, match=r"step 2: an observation is 7; it must be from 2 to 6$"):
        envs.step(RIGHT[None])


def test_a_fraction_is_no_discrete_observation():
    of = observations_of(Discrete(3))
    assert of.vectors(np.array([2.0, 0.0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(Unusable, match=r"an observation is 0.5; it must be from 0 to 2"):
        of.vectors(np.array([1.0, 0.5]))


def test_either_side_may_be_discrete_alone():
    env = registered(Script, action=Discrete(4), length=3)
    envs = SeedEnvs(env, 1, np.random.SeedSequence(0))
    envs.step(np.eye(4, dtype=np.float32)[2:3])
    assert envs._envs[0].unwrapped.actions == [2]
    continuous = SeedEnvs(registered(Script, action=Box(-1, 1, (2,))), 1, np.random.SeedSequence(0))
    assert not continuous.discrete


def test_actions_have_the_number_type_of_their_space():
    space = Discrete(3, start=5, dtype=np.int32)
    (action,) = ActionChoice(space).from_unit(np.eye(3, dtype=np.float32)[2:])
    assert action == 7
    assert space.contains(action)


def test_one_hot_vectors_take_the_memory_of_the_vectors_alone():
    n = 10_000_000  # a matrix of n by n numbers would be 400 TB
    [vector] = observations_of(Discrete(n)).vectors(np.array([n - 1]))
    assert (len(vector), vector.sum(), vector.argmax(), vector.dtype) == (n, 1, n - 1, np.float32)
