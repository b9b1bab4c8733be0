"""Small scripted environments, for tests of everything around environments."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

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


class Walk(gymnasium.Env):
    """Whole numbers from 2 to 6, changed by -1 or 1; pays 1 at 6, where it ends. `broken`: shows 7 there."""

    def __init__(self, *, broken=False):
        self.observation_space, self.action_space = Discrete(5, start=2), Discrete(2, start=-1)
        self.broken, self.actions = broken, []

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.at = 4
        return self.at, {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.actions.append(action)
        self.at = max(2, self.at + (1 if action == 0 else -1))
        end = self.at == 6
        return self.at + (end and self.broken), float(end), end, False, {}


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
