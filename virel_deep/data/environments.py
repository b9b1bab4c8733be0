"""The E environment copies of one seed: every step is a real transition, and a run can stop and go on.

Gymnasium's vector environments reset by themselves: by default the step after an episode's end ignores its
action and returns a reward of 0. Here a copy is reset inside the step that ends its episode, after the true
last observation was kept, so that nothing but transitions of the environment reaches a replay. The loop over
copies is ours: Gymnasium's spends more on `info` dictionaries, which nothing here reads, than on all else.
"""

import difflib
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.versions import versions
from virel_deep.data import simulator

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

STREAM = 0x656E7673
"""Marks the streams made here, so that they differ from what the caller spawns of the same sequence."""
SAFE_SQUARE = 1e76
"""Numbers whose squares sum to less are finite in float32, the cheapest check there is; NaN fails it."""


class EnvironmentFailure(RuntimeError):
    """An environment crashed or returned what is no number; the message names it, the step and the value."""


class Episode(NamedTuple):
    """A finished episode."""

    return_: float
    """Sum of unscaled rewards, in float64."""
    length: int


class Transition(NamedTuple):
    """What one step of the E copies showed."""

    next_observation: Floats
    """`[E, O]`, the state that the action led to, also where it ended an episode."""
    reward: Floats
    """`[E]`, unscaled."""
    terminated: Bools
    """`[E]`: the task ended; nothing follows the next observation."""
    truncated: Bools
    """`[E]`: the episode was cut (time limit); values bootstrap. Both flags can be true."""
    episodes: list[Episode]
    """Of the copies that ended an episode in this step, in order."""


class SeedEnvs:
    """E copies of an environment, stepped one after another, for one seed.

    `state` and `restore` continue bit for bit where `exact` is true, that is for Gymnasium's own MuJoCo
    environments and its Pendulum: physics, time limit, random generators, running returns. Elsewhere
    `restore` starts new episodes, with seeds of their own, and the interrupted episodes are not counted.

    Args:
        env_id: Gymnasium id with a flat `Box` observation and a bounded `Box` action.
        copies: E.
        seed: Source of all randomness here; read, not advanced: the same one makes the same copies.
        folder: Where MuJoCo's warnings go (`MUJOCO_LOG.TXT`); None drops them.

    Raises:
        InputError: no such environment, or spaces of another kind.

    Example:
        >>> envs = SeedEnvs("InvertedPendulum-v5", 2, np.random.SeedSequence(0))
        >>> step = envs.step(np.zeros((2, 1), np.float32))
        >>> step.next_observation.shape, step.reward.tolist(), step.episodes
        ((2, 4), [1.0, 1.0], [])
        >>> envs.close()
    """

    def __init__(
        self, env_id: str, copies: int, seed: np.random.SeedSequence, *, folder: Path | None = None
    ) -> None:
        """Make the copies and start an episode in each."""
        require(copies >= 1, "copies", copies, "must be at least 1")
        self.env_id, self.copies, self.steps = env_id, copies, 0
        self._seed, self._folder = seed, folder
        simulator.log.folder = folder  # compiling a model may warn
        self._envs = envs = [make_env(env_id) for _ in range(copies)]
        self._seen = np.zeros((copies, *envs[0].observation_space.shape), envs[0].observation_space.dtype)  # type: ignore[misc]
        self.exact = all(map(simulator.is_exact, envs))
        self.max_episode_steps = envs[0].spec.max_episode_steps if envs[0].spec else None
        self._actions = ActionRange(envs[0].action_space)
        self._returns = np.zeros(copies)
        self._lengths = np.zeros(copies, np.int64)
        self.observation = self._seeded_reset(())
        """`[E, O]`, what the agent acts on next: a reset's where the last step ended an episode."""
        self.observation_size, self.action_size = self.observation.shape[1], self._actions.size

    def step(self, action: Floats) -> Transition:
        """Act in every copy; where that ends an episode, the next one starts.

        Args:
            action: `[E, A]` in [-1, 1], rescaled here to the environment's own range.

        Raises:
            InputError: an action is not in [-1, 1], or is no number.
            EnvironmentFailure: a copy crashed, diverged, or returned what is not finite.
        """
        require(action.shape == (self.copies, self.action_size), "action", action.shape, "must be [E, A]")
        command = self._actions.from_unit(action)
        self.steps += 1
        simulator.log.folder, simulator.log.unstable = self._folder, ""
        reward, terminated, truncated = np.zeros(self.copies), *np.zeros((2, self.copies), np.bool_)
        try:
            for i, env in enumerate(self._envs):
                self._seen[i], reward[i], terminated[i], truncated[i], _ = env.step(command[i])
        except Exception as error:
            raise self._failure(f"step raised {_in_one_line(error)}") from error
        if simulator.log.unstable:
            raise self._failure(f"the simulation diverged: {simulator.log.unstable}")
        next_observation = self.observation = self._finite(self._seen, "observation")
        self._returns += reward
        self._lengths += 1
        rewards = self._finite(reward, "reward")
        ended = terminated | truncated
        episodes = self._start_next(ended) if ended.any() else []
        return Transition(next_observation, rewards, terminated, truncated, episodes)

    def _start_next(self, ended: Bools) -> list[Episode]:
        episodes = [Episode(float(self._returns[i]), int(self._lengths[i])) for i in np.flatnonzero(ended)]
        self._returns[ended], self._lengths[ended] = 0.0, 0
        self.observation = self._reset(None, ended)
        return episodes

    def _seeded_reset(self, key: tuple[int, ...]) -> Floats:
        """Start an episode in every copy, copy i from the stream `key + (i,)` of the seed."""
        seeds: list[int | None] = []
        for i, env in enumerate(self._envs):
            stream = np.random.SeedSequence(
                self._seed.entropy, spawn_key=(*self._seed.spawn_key, STREAM, *key, i)
            )
            # 32 bits, because environments hand their seed to generators that take no more.
            env_seed, action_seed, observation_seed = map(int, stream.generate_state(3))
            env.action_space.seed(action_seed)
            env.observation_space.seed(observation_seed)
            seeds.append(env_seed)
        return self._reset(seeds, np.ones(self.copies, np.bool_))

    def _reset(self, seeds: list[int | None] | None, mask: Bools) -> Floats:
        simulator.log.folder = self._folder
        try:
            for i in np.flatnonzero(mask):
                self._seen[i], _ = self._envs[i].reset(seed=seeds[i] if seeds else None)
        except Exception as error:
            raise self._failure(f"reset raised {_in_one_line(error)}") from error
        return self._finite(self._seen, "observation after a reset")

    def _finite(self, values: NDArray[Any], name: str) -> Floats:
        """`values` in float32, cast once; too large for it counts as infinite."""
        if float(np.vdot(values, values)) < SAFE_SQUARE:
            return values.astype(np.float32)
        with np.errstate(over="ignore"):
            cast = values.astype(np.float32)
        if not np.isfinite(cast).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(cast))[0]))
            raise self._failure(f"{name} {list(where)} (copy first) is {float(values[where])!r}")
        return cast

    def _failure(self, what: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"{self.env_id}, step {self.steps}: {what}")

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs: arrays and JSON values, nested by name."""
        values: dict[str, Any] = {"env": self.env_id, "copies": self.copies, "steps": self.steps}
        if self.exact:
            values |= {
                "mujoco": versions()["mujoco"],
                "observation": self.observation.copy(),
                "returns": self._returns.copy(),
                "lengths": self._lengths.copy(),
            }
            values |= {f"copy-{i}": simulator.read_state(env) for i, env in enumerate(self._envs)}
        return values

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()` of the same environment, number of copies and seed.

        Raises:
            InputError: the state is of another environment, number of copies or version of MuJoCo.
        """
        here: dict[str, Any] = {"env": self.env_id, "copies": self.copies}
        here |= {"mujoco": versions()["mujoco"]} if self.exact else {}
        for name, value in here.items():
            require(
                state.get(name) == value, f"state[{name}]", state.get(name), f"must be {value!r}, as here"
            )
        self.steps = int(state["steps"])
        if not self.exact:
            self._returns[:], self._lengths[:] = 0.0, 0
            # A stream of its own for each restart: the run's first episodes must not come again.
            self.observation = self._seeded_reset((self.steps, 0))
            return
        self.observation = np.array(state["observation"], np.float32)
        self._returns[:], self._lengths[:] = state["returns"], state["lengths"]
        for i, env in enumerate(self._envs):
            simulator.write_state(env, state[f"copy-{i}"])

    def close(self) -> None:
        """Free the simulators."""
        for env in self._envs:
            env.close()


class ActionRange:
    """The affine map from [-1, 1] to an environment's own action range, in the range's type."""

    def __init__(self, space: Any) -> None:
        """Read the range of a bounded `Box`."""
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self.size = int(low.size)
        self.low, self.high = space.low, space.high
        self._symmetric = bool((low == -high).all())
        self._half, self._centre = (
            (high / 2 - low / 2).astype(space.dtype),
            (high / 2 + low / 2).astype(space.dtype),
        )

    def from_unit(self, action: Floats) -> Numbers:
        """`[..., A]` in the environment's range, never a rounding error outside it.

        Raises:
            InputError: an entry of `action` is not in [-1, 1]; NaN is not.
        """
        if not np.abs(action).max() <= 1:
            raise InputError(f"`action` must be in [-1, 1]; found {action.tolist()}")
        command: Numbers = self._half * action.astype(self._half.dtype, copy=False)
        if not self._symmetric:  # a product with a factor of at most 1 cannot round to more than its bound
            command = np.minimum(np.maximum(self._centre + command, self.low), self.high)
        return command


def make_env(env_id: str) -> gymnasium.Env[Any, Any]:
    """A Gymnasium environment that the agent can act in.

    Raises:
        InputError: the id is unknown, the environment cannot be made, its observation is not a flat `Box`, or
            its action is not a flat, bounded `Box` of floats.
    """
    simulator.log.listen()
    try:
        # Its own checker looks only at the first step, and prints; ours looks at every one.
        env: gymnasium.Env[Any, Any] = gymnasium.make(env_id, disable_env_checker=True)
    except gymnasium.error.UnregisteredEnv as error:
        raise InputError(f"`env` must be a Gymnasium id; found {env_id!r}{_near(env_id)}") from error
    except Exception as error:
        raise InputError(f"`env` {env_id!r} cannot be made: {_in_one_line(error)}") from error
    _check_spaces(env_id, env.observation_space, env.action_space)
    return env


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _near(env_id: str) -> str:
    near = difflib.get_close_matches(env_id, list(gymnasium.registry), n=5)
    return f"; near: {', '.join(near)}" if near else ""


def _check_spaces(env_id: str, observation: Any, action: Any) -> None:
    rule = f"of {env_id} must be a flat `Box` (one axis)"
    for name, space in (("observation", observation), ("action", action)):
        require(isinstance(space, Box) and len(space.shape) == 1 and space.shape[0] >= 1, name, space, rule)
    require(np.issubdtype(action.dtype, np.floating), "action", action, f"of {env_id} must be of floats")
    bounded = np.isfinite(action.low) & np.isfinite(action.high) & (action.low < action.high)
    require(bool(bounded.all()), "action", action, f"of {env_id} must have finite bounds, low < high")
