"""Spaces that no agent takes are refused with a wrapper that helps: each advice is followed here."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Graph, MultiBinary, MultiDiscrete, Sequence, Text, Tuple

from tests.support.envs import Script, registered
from virel_common.errors import InputError
from virel_deep.data.making import make_env

UNIT = Box(0, 1, (2,))
FLATTEN = "FlattenObservation;"
ENCODE = "TransformObservation, whose `func` makes a flat `Box` of numbers"
CONVERT = "TransformAction, whose `func` maps a flat, bounded `Box` or `Discrete` to its actions"


@pytest.mark.parametrize(
    ("space", "advice"),
    [
        (Box(0, 1, (2, 3)), FLATTEN),
        (Box(0, 1, ()), FLATTEN),
        (MultiDiscrete([2, 3]), FLATTEN),
        (MultiBinary(3), FLATTEN),
        (Dict(near=UNIT, kind=Discrete(3)), FLATTEN),
        (Tuple((UNIT, Dict(kind=MultiBinary(2)))), FLATTEN),
        (Text(5), ENCODE),
        (Dict(near=UNIT, said=Text(5)), ENCODE),
        (Tuple((UNIT, Tuple((Text(5), UNIT)))), ENCODE),
        (Sequence(UNIT), ENCODE),
        (Graph(UNIT, None), ENCODE),
        (Box(0, 1, (0,)), ENCODE),
        (Dict(), ENCODE),
    ],
    ids=repr,
)
def test_an_observation_space_that_is_refused_comes_with_the_wrapper_that_helps(space, advice):
    rule = r"`observation` of fake/.* must be a flat `Box` \(one axis, not empty\) or `Discrete`"
    with pytest.raises(InputError, match=f"^{rule}: give .*gymnasium.wrappers.{advice}"):
        make_env(registered(Script, observation=space))
    if advice == FLATTEN:
        flat = registered(lambda: gymnasium.wrappers.FlattenObservation(Script(observation=space)))
        assert len(make_env(flat).observation_space.shape) == 1


@pytest.mark.parametrize(
    ("space", "rule"),
    [
        (MultiDiscrete([2, 3]), "flat `Box`"),
        (MultiBinary(3), "flat `Box`"),
        (Box(-1, 1, (2, 2)), "flat `Box`"),
        (Dict(push=UNIT), "flat `Box`"),
        (Text(5), "flat `Box`"),
        (Box(0, 5, (2,), np.int64), "`Box` of floats"),
        (Box(-np.inf, np.inf, (2,)), "finite bounds, low < high"),
        (Box(1, 1, (2,)), "finite bounds, low < high"),
    ],
    ids=repr,
)
def test_an_action_space_that_is_refused_comes_with_the_wrapper_that_helps(space, rule):
    with pytest.raises(InputError, match=f"^`action` of fake/.* must .*{rule}.*: give .*{CONVERT}"):
        make_env(registered(Script, action=space))
    wrap = gymnasium.wrappers.TransformAction
    env = make_env(registered(lambda: wrap(Script(action=space), lambda _: space.sample(), Discrete(2))))
    env.reset(seed=0)
    assert space.contains(env.step(1) and env.unwrapped.actions[0])
