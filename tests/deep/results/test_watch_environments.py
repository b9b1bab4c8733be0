"""`virel watch` in environments of one's own: what they return is taken and refused as in training."""

import os
import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from tests.support.envs import registered
from virel_common.errors import InputError
from virel_deep.design.environment import EnvSpec
from virel_deep.results import watch
from virel_deep.run.actors import TanhPerceptron
from virel_deep.run.policy import Policy

pytestmark = pytest.mark.mujoco


class Shown(gymnasium.Env):
    """Draws grey pictures; `change` says what else a step returns, by position, from step 2 on."""

    observation_space, action_space = Box(-9, 9, (1,)), Box(-2, 2, (1,))
    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012

    def __init__(self, change=None, first=None, render_mode=None):
        self.change, self.first, self.render_mode = change or {}, first, render_mode
        self.offset = np.random.uniform()  # noqa: NPY002

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.t = 0
        return (np.zeros(1, np.float32), {}) if self.first is None else self.first

    def step(self, action):  # noqa: ARG002
        self.t += 1
        reward = self.offset + np.random.uniform() + float(torch.rand(()))  # noqa: NPY002
        parts = [np.zeros(1, np.float32), reward, self.t == 4, False, {}]
        for place, value in self.change.items() if self.t >= 2 else ():
            parts[place] = value
        return tuple(part for part in parts if part is not Ellipsis)

    def render(self):
        np.random.uniform()  # noqa: NPY002
        return np.full((16, 16, 3), 40, np.uint8)


STEP = "its step() must return (observation, reward, terminated, truncated, info); it returned a tuple of 4"


class Wanders(Shown):
    """Changes the working directory at each step."""

    def step(self, action):
        os.chdir("/")
        return super().step(action)


def recorded(tmp_path, *, kind=Shown, weight=0.0, seed=3, **settings):
    """Video of a policy that acts tanh(weight * observation + 1/2)."""
    layers = [(np.full((1, 1), weight, np.float32), np.array([0.5], np.float32))]
    policy = Policy(TanhPerceptron(layers), EnvSpec(registered(kind, **settings)), 0)
    return watch.record(policy, tmp_path / "video.gif", np.random.SeedSequence(seed))


@pytest.mark.parametrize("reward", [np.array([0.5]), np.float32(0.5), torch.full((1,), 0.5)])
@pytest.mark.parametrize("end", [np.array([True]), np.bool_(True), 1])
def test_rewards_and_flags_that_training_takes_are_taken(tmp_path, reward, end):
    assert recorded(tmp_path, change={1: reward, 2: end}).steps == 2


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({0: np.array([np.nan], np.float32)}, "observation, entry 0, is nan; must be finite"),
        ({0: np.zeros(2, np.float32)}, "its step() returned an observation of shape [2]; it must be [1]"),
        ({1: np.nan}, "reward is nan; must be finite"),
        ({1: np.zeros(2)}, "its step() must return a number as reward; it returned an array of shape [2]"),
        ({2: None}, "its step() must return True or False as terminated; it returned NoneType 'None'"),
        (
            {3: Ellipsis},
            STEP,
        ),
    ],
)
def test_what_a_step_returns_is_refused_as_in_training(tmp_path, change, what):
    with pytest.raises(InputError, match=rf"^fake/.*, step 2: {re.escape(what)}$"):
        recorded(tmp_path, change=change, weight=1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (np.zeros(1, np.float32), "its reset() must return (observation, info); it returned ndarray '[0.]'"),
        ((np.array([np.nan], np.float32), {}), "observation after a reset, entry 0, is nan; must be finite"),
    ],
)
def test_what_a_reset_returns_is_refused_as_in_training(tmp_path, first, what):
    with pytest.raises(InputError, match=rf"^fake/.*, step 0: {re.escape(what)}$"):
        recorded(tmp_path, first=first)


def test_a_step_that_changes_the_working_directory_moves_no_video(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recorded(Path(), kind=Wanders)
    assert (tmp_path / "video.gif").is_file()


def test_draws_from_global_generators_depend_on_the_seed_alone(tmp_path):
    first, *others = (recorded(tmp_path, seed=seed).return_ for seed in (3, 3, 4))
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert others[0] == first != others[1]
    recorded(tmp_path)
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002
