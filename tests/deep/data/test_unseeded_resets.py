"""Episodes after the first one get no seed: what they draw must go on from the seed that came before."""

import random
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from tests.support.envs import registered
from virel_common.errors import InputError
from virel_deep.data.first_look import first_look
from virel_deep.design.presets import run_config


class Drawing(gymnasium.Env):
    """Shows and pays what `draw` gives; `begin` may make a generator at a reset."""

    observation_space, action_space = Box(-9, 9, (1,), np.float64), Box(-1, 1, (1,), np.float32)

    def begin(self, seed):
        """Make the generator that `draw` draws from."""

    def draw(self):
        return self.np_random.uniform()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.begin(seed)
        return np.array([0.5]), {}

    def step(self, action):  # noqa: ARG002
        return np.array([self.draw()]), self.draw(), False, False, {}


class FromTheSystem(Drawing):
    """Makes a generator at every reset, from the system's entropy where the seed is None."""

    def begin(self, seed):
        self.rng = np.random.default_rng(seed)

    def draw(self):
        return self.rng.random()


class OfPython(FromTheSystem):
    """The same with Python's generator."""

    def begin(self, seed):
        self.rng = random.Random(seed)


class SeedsNumpy(Drawing):
    """Seeds numpy's global generator at every reset, with None as well."""

    def begin(self, seed):
        np.random.seed(seed)  # noqa: NPY002

    def draw(self):
        return np.random.uniform()  # noqa: NPY002


class OfTheClock(FromTheSystem):
    """Takes the time where it gets no seed."""

    def begin(self, seed):
        super().begin(time.time_ns() if seed is None else seed)


class AtTheEnd(FromTheSystem):
    """Differs in its rewards alone."""

    def step(self, action):
        _, *rest = super().step(action)
        return np.array([0.5]), *rest


class Shaken(gymnasium.ObservationWrapper):
    """Wrapper that makes a generator at every reset."""

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        return super().reset(seed=seed, options=options)

    def observation(self, observation):
        return observation + self.rng.uniform()


def looked_at(make, limit=9):
    env = registered(make, max_episode_steps=limit)
    return first_look(run_config("sac", env, steps=10, seeds=(0,)))


def shaken():
    return Shaken(Drawing())


@pytest.mark.parametrize("limit", [9, 200])  # an episode that ends in the trial, and one that does not
@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (FromTheSystem, "environment FromTheSystem"),
        (OfPython, "environment OfPython"),
        (SeedsNumpy, "environment SeedsNumpy"),
        (OfTheClock, "environment OfTheClock"),
        (AtTheEnd, "environment AtTheEnd"),
        (shaken, "wrapper Shaken"),
    ],
)
def test_a_generator_that_a_reset_without_a_seed_makes_anew_is_refused_with_what_to_do(make, layer, limit):
    what = rf"after a reset without a seed, its (observation|reward) at step .*; the {layer} keeps state"
    advice = r"call `super\(\)\.reset\(seed=seed\)` and draw from `self.np_random`, or make a generator"
    rule = "`env` must depend on the seed of `reset` alone"
    with pytest.raises(InputError, match=f"^{rule}; .*{what}.*{advice}"):
        looked_at(make, limit)


class OnlyIfSeeded(FromTheSystem):
    """Makes a generator where there is a seed."""

    def begin(self, seed):
        if seed is not None:
            super().begin(seed)


class AlwaysTheSame(FromTheSystem):
    """Begins every episode without a seed alike."""

    def begin(self, seed):
        super().begin(0 if seed is None else seed)


@pytest.mark.parametrize("make", [Drawing, OnlyIfSeeded, AlwaysTheSame])
@pytest.mark.parametrize("limit", [9, 200])
def test_draws_that_go_on_from_the_seed_are_taken(make, limit):
    assert looked_at(make, limit).notes == []
