"""Small scripted environments, for tests of everything around environments."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box

OBSERVATION = Box(-np.inf, np.inf, (2,), np.float64)
ACTION = Box(-1, 1, (1,), np.float32)


class Script(gymnasium.Env):
    """Shows `[episode, t]`, pays `reward` (None: t), terminates after `length` steps.

    `fault(env)` returns what to change of `(observation, reward, terminated, truncated, info)`, by position.
    """

    def __init__(self, *, length=None, reward=None, fault=None, action=ACTION, observation=OBSERVATION):
        self.length, self.reward, self.fault = length, reward, fault
        self.action_space, self.observation_space = action, observation
        self.episode, self.actions = 0, []

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.episode, self.t = self.episode + 1, 0
        return np.array([self.episode, 0.0]), {}

    def step(self, action):
        self.t += 1
        self.actions.append(action)
        reward = float(self.t) if self.reward is None else self.reward
        result = [np.array([self.episode, float(self.t)]), reward, self.t == self.length, False, {}]
        for position, value in (self.fault(self) if self.fault else {}).items():
            result[position] = value
        return tuple(result)


class Dice(gymnasium.Env):
    """Shows random numbers of its own and of its action space; its episodes have random lengths."""

    observation_space, action_space = OBSERVATION, ACTION

    def __init__(self):
        self.action_space = Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.left = self.np_random.integers(1, 6)
        return self._roll(), {}

    def step(self, action):  # noqa: ARG002
        self.left -= 1
        return self._roll(), self.np_random.uniform(), bool(self.left == 0), False, {}

    def _roll(self):
        return np.array([self.np_random.uniform(), self.action_space.sample()[0]])


def registered(entry_point, *, max_episode_steps=None, additional_wrappers=(), **settings):
    """Register an environment class with these settings under a new id; return the id."""
    env_id = f"fake/E{sum(name.startswith('fake/') for name in gymnasium.registry)}-v0"
    gymnasium.register(
        env_id,
        entry_point,
        max_episode_steps=max_episode_steps,
        kwargs=settings,
        additional_wrappers=additional_wrappers,
    )
    return env_id
