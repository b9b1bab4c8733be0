"""Parallel environment copies of one seed: no dummy transition after an episode, exact save and restore.

Gymnasium's vector environments reset by themselves: by default the step after an episode's end ignores its
action and returns a reward of 0. Here a copy is reset inside the step that ends its episode, after the true
last observation was kept, so that a replay receives only transitions of the environment. The loop over the
copies is written here, because Gymnasium's spends most of its time on `info` dictionaries that nobody reads.
"""

import difflib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_deep.data import simulator
from virel_deep.versions import run_versions

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

STREAM = 0x656E7673
"""Marks the random streams made here: they differ from those that a caller spawns from the same seed."""
SAFE_SQUARE = 1e76
"""Bound for a cheap check: numbers whose squares sum to less are finite in float32. NaN fails the check."""


class EnvironmentFailure(RuntimeError):
    """An environment crashed or returned a non-finite or non-numeric value.

    The message gives environment, step and value.
    """


class Episode(NamedTuple):
    """Return and length of a finished episode."""

    return_: float
    """Sum of unscaled rewards, in float64."""
    length: int
    """Number of steps."""


class Transition(NamedTuple):
    """Observations, rewards and ends of episodes from one step of the E environment copies."""

    next_observation: Floats
    """`[E, O]`: state that the action led to, even if it ended the episode."""
    reward: Floats
    """`[E]`: unscaled reward."""
    terminated: Bools
    """`[E]`: whether the task ended, so that nothing follows the next observation."""
    truncated: Bools
    """`[E]`: whether the episode was cut short (time limit), so values bootstrap. Both can be true."""
    episodes: list[Episode]
    """Episodes that ended in this step, in the order of the copies."""


class SeedEnvs:
    """E copies of an environment for one seed, stepped one after another.

    If `exact` is true, `restore` continues from `state` bit for bit: physics, time limit, random generators,
    running returns. That holds for Gymnasium's own MuJoCo environments and for its Pendulum. For others
    `restore` starts new episodes, with seeds of their own, and the interrupted episodes are not counted.

    Args:
        env_id: Gymnasium id with a flat `Box` observation and a bounded `Box` action.
        copies: number of copies, E.
        seed: source of all randomness here; it is not advanced, so the same seed makes the same copies.
        folder: folder for MuJoCo's warnings (`MUJOCO_LOG.TXT`); None drops them.

    Raises:
        InputError: the environment does not exist, or its spaces are of another kind.

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
        """Make the environment copies and start an episode in each."""
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
        """`[E, O]`: what the agent acts on next; after an episode's end, the next one's first observation."""
        self.observation_size, self.action_size = self.observation.shape[1], self._actions.size

    def step(self, action: Floats) -> Transition:
        """Act in every environment copy; if that ends an episode, start the next one.

        Args:
            action: `[E, A]` in [-1, 1], rescaled here to the environment's own range.

        Raises:
            InputError: an action is not in [-1, 1], or is NaN.
            EnvironmentFailure: a copy crashed, diverged, or returned a non-finite value.
        """
        require(
            action.shape == (self.copies, self.action_size), "action", action.shape, "must have shape [E, A]"
        )
        command = self._actions.from_unit(action)
        self.steps += 1
        simulator.log.folder, simulator.log.unstable = self._folder, ""
        reward, terminated, truncated = np.zeros(self.copies), *np.zeros((2, self.copies), np.bool_)
        try:
            returned = [env.step(command[i]) for i, env in enumerate(self._envs)]
        except Exception as error:
            raise self._failure(f"its step() raised {_in_one_line(error)}") from error
        for i, one in enumerate(returned):
            seen, reward[i], terminated[i], truncated[i] = self._step_of(one)
            self._seen[i] = seen
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
        """Start an episode in every environment copy; copy i uses the seed's random stream `key + (i,)`."""
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
            chosen = [int(i) for i in np.flatnonzero(mask)]
            returned = [self._envs[i].reset(seed=seeds[i] if seeds else None) for i in chosen]
        except Exception as error:
            raise self._failure(f"its reset() raised {_in_one_line(error)}") from error
        for i, one in zip(chosen, returned, strict=True):
            if not (isinstance(one, tuple) and len(one) == 2):
                rule = "its reset() must return (observation, info)"
                raise self._failure(f"{rule}; it returned {_described(one)}")
            self._seen[i] = self._observation(one[0], "reset()")
        return self._finite(self._seen, "observation after a reset")

    def _step_of(self, returned: Any) -> tuple[Any, float, bool, bool]:
        """Check what one environment's step() returned: observation, reward, and the two flags."""
        if not (isinstance(returned, tuple) and len(returned) == 5):
            wanted = "(observation, reward, terminated, truncated, info)"
            raise self._failure(f"its step() must return {wanted}; it returned {_described(returned)}")
        seen, reward, terminated, truncated, _ = returned
        if type(reward) is not float:
            reward = self._reward(reward)
        if type(terminated) is not bool:
            terminated = self._flag(terminated, "terminated")
        if type(truncated) is not bool:
            truncated = self._flag(truncated, "truncated")
        return self._observation(seen, "step()"), reward, terminated, truncated

    def _observation(self, seen: Any, source: str) -> Any:
        """Check one observation: of the announced shape, of numbers, whole ones if the space has integers."""
        wanted = self._seen[0]
        if isinstance(seen, np.ndarray) and seen.shape == wanted.shape and seen.dtype == wanted.dtype:
            return seen
        try:
            values = np.asarray(seen)
        except ValueError:  # a ragged list
            found = _described(seen)
            raise self._failure(f"its {source} returned {found} as observation, no array") from None
        if values.shape != wanted.shape:
            shapes = f"shape {list(values.shape)}; it must be {list(wanted.shape)}"
            raise self._failure(f"its {source} returned an observation of {shapes}")
        if values.dtype.kind not in "biuf":
            raise self._failure(f"its {source} returned an observation of {values.dtype}, no numbers")
        fractional = values.dtype.kind == "f" and bool((values != np.rint(values)).any())
        if wanted.dtype.kind in "iu" and fractional:
            rule = f"but its observation space has {wanted.dtype}: no fractions"
            raise self._failure(f"its {source} returned {values.tolist()}, {rule}")
        return values

    def _reward(self, reward: Any) -> float:
        """Check that a reward is one number; an array with one entry is taken."""
        values = np.asarray(reward)
        if values.size != 1 or values.dtype.kind not in "biuf":
            rule = "its step() must return a number as reward"
            raise self._failure(f"{rule}; it returned {_described(reward)}")
        return float(values.reshape(()))

    def _flag(self, flag: Any, name: str) -> bool:
        """Check that the end of an episode is told by a boolean; 0 and 1 as whole numbers are taken."""
        values = np.asarray(flag)
        whole = values.size == 1 and values.dtype.kind in "biu" and int(values.reshape(())) in (0, 1)
        if not whole:
            rule = f"its step() must return True or False as {name}"
            raise self._failure(f"{rule}; it returned {_described(flag)}")
        return bool(values.reshape(()))

    def _finite(self, values: NDArray[Any], name: str) -> Floats:
        """Cast observations or rewards to float32; fail if one of them is not finite as float32."""
        if float(np.vdot(values, values)) < SAFE_SQUARE:
            return values.astype(np.float32)
        with np.errstate(over="ignore"):
            cast = values.astype(np.float32)
        if not np.isfinite(cast).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(cast))[0]))
            raise self._failure(
                f"{name} {list(where)} (environment copy first) is {float(values[where])!r}; must be finite"
            )
        return cast

    def _failure(self, what: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"{self.env_id}, step {self.steps}: {what}")

    def state(self) -> dict[str, Any]:
        """State of all environment copies for a checkpoint: arrays and JSON values, nested by name."""
        values: dict[str, Any] = {"env": self.env_id, "copies": self.copies, "steps": self.steps}
        if self.exact:
            values |= {
                "mujoco": run_versions()["mujoco"],
                "observation": self.observation.copy(),
                "returns": self._returns.copy(),
                "lengths": self._lengths.copy(),
            }
            values |= {f"copy-{i}": simulator.read_state(env) for i, env in enumerate(self._envs)}
        return values

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a saved state of the same environment, number of copies and seed.

        Raises:
            InputError: the state belongs to another environment, number of copies or version of MuJoCo.
        """
        here: dict[str, Any] = {"env": self.env_id, "copies": self.copies}
        here |= {"mujoco": run_versions()["mujoco"]} if self.exact else {}
        for name, value in here.items():
            require(
                state.get(name) == value,
                f"state[{name}]",
                state.get(name),
                f"must be {value!r}, as in this run",
            )
        self.steps = int(state["steps"])
        if not self.exact:
            self._returns[:], self._lengths[:] = 0.0, 0
            # Each restart has its own random stream: the run's first episodes must not come again.
            self.observation = self._seeded_reset((self.steps, 0))
            return
        self.observation = np.array(state["observation"], np.float32)
        self._returns[:], self._lengths[:] = state["returns"], state["lengths"]
        for i, env in enumerate(self._envs):
            simulator.write_state(env, state[f"copy-{i}"])

    def close(self) -> None:
        """Close the simulators of all environment copies."""
        for env in self._envs:
            env.close()


class ActionRange:
    """Affine map from actions in [-1, 1] to an environment's own range, in that range's number type."""

    def __init__(self, space: Any) -> None:
        """Read lower and upper bounds of a bounded Gymnasium `Box`."""
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        self.size = int(low.size)
        self.low, self.high = space.low, space.high
        self._symmetric = bool((low == -high).all())
        self._half, self._centre = (
            (high / 2 - low / 2).astype(space.dtype),
            (high / 2 + low / 2).astype(space.dtype),
        )

    def from_unit(self, action: Floats) -> Numbers:
        """Map actions `[..., A]` from [-1, 1] to the environment's range; rounding never leaves the range.

        Raises:
            InputError: an entry of `action` is not in [-1, 1], or is NaN.
        """
        if not np.abs(action).max() <= 1:
            raise InputError(f"`action` must be in [-1, 1]; found {action.tolist()}")
        command: Numbers = self._half * action.astype(self._half.dtype, copy=False)
        if not self._symmetric:  # a product with a factor of at most 1 cannot round to more than its bound
            command = np.minimum(np.maximum(self._centre + command, self.low), self.high)
        return command


def make_env(env_id: str) -> gymnasium.Env[Any, Any]:
    """Make a Gymnasium environment, after checking that the agent can act in it.

    Raises:
        InputError: the id is unknown, the environment cannot be made, its observation is not a flat `Box`, or
            its action is not a flat, bounded `Box` of floats.
    """
    simulator.log.listen()
    _find_own_module(env_id)
    try:
        # Gymnasium's checker looks only at the first step, and prints; `SeedEnvs` checks every step.
        env: gymnasium.Env[Any, Any] = gymnasium.make(env_id, disable_env_checker=True)
    except gymnasium.error.UnregisteredEnv as error:
        raise InputError(f"`env` must be a Gymnasium id; found {env_id!r}{_near(env_id)}") from error
    except Exception as error:
        raise InputError(
            f"`env` must be an environment that can be made; {env_id!r} raised {_in_one_line(error)}"
        ) from error
    _check_spaces(env_id, env.observation_space, env.action_space)
    return env


def _described(value: Any) -> str:
    """What an environment returned, in few words: type, shape or length, and the value if it is short."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if isinstance(value, np.ndarray) and value.size > 1:
        return f"an array of shape {list(value.shape)}"
    return f"{type(value).__name__} {str(value)[:40]!r}"


def _find_own_module(env_id: str) -> None:
    """Let `module:Id` find a module in the folder where the command runs, as `python` itself would."""
    here = str(Path.cwd())
    if ":" in env_id and here not in sys.path:
        sys.path.append(here)


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _near(env_id: str) -> str:
    near = difflib.get_close_matches(env_id, list(gymnasium.registry), n=5)
    return f"; similar ids: {', '.join(near)}" if near else ""


def _check_spaces(env_id: str, observation: Any, action: Any) -> None:
    rule = f"of {env_id} must be a flat `Box` (one axis)"
    for name, space in (("observation", observation), ("action", action)):
        require(isinstance(space, Box) and len(space.shape) == 1 and space.shape[0] >= 1, name, space, rule)
    require(
        np.issubdtype(action.dtype, np.floating), "action", action, f"of {env_id} must be a `Box` of floats"
    )
    bounded = np.isfinite(action.low) & np.isfinite(action.high) & (action.low < action.high)
    require(bool(bounded.all()), "action", action, f"of {env_id} must have finite bounds, low < high")
