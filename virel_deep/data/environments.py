"""Parallel environment copies of one seed: no dummy transition after an episode, exact save and restore.

Gymnasium's vector environments reset by themselves: by default the step after an episode's end ignores its
action and returns a reward of 0. Here a copy is reset inside the step that ends its episode, after the true
last observation was kept, so that a replay receives only transitions of the environment. The loop over the
copies is written here, because Gymnasium's spends most of its time on `info` dictionaries that nobody reads.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from virel_common.errors import require
from virel_deep.data import simulator
from virel_deep.data.actions import ActionChoice, actions_of
from virel_deep.data.global_generators import GlobalGenerators
from virel_deep.data.guarded import Bools, EnvironmentFailure, Floats, GuardedEnvs
from virel_deep.data.making import time_limit
from virel_deep.design.environment import LONGEST, EnvSpec
from virel_deep.versions import run_versions

STREAM = 0x656E7673
"""Marks the random streams made here: they differ from those that a caller spawns from the same seed."""
GLOBAL = 0x676C6F62
"""Key of the stream that Python's and numpy's global generators are seeded from."""


class Episode(NamedTuple):
    """Return and length of a finished episode."""

    return_: float
    """Sum of unscaled rewards, in float64."""
    length: int
    """Number of steps."""
    copy: int = 0
    """Number of the environment copy that it was played in."""


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
    """Episodes that ended in this step, in the order of the copies.

    Without a time limit, every `LONGEST` steps of an episode count as one, although it goes on."""


class SeedEnvs:
    """E copies of an environment for one seed, stepped one after another.

    If `exact` is true, `restore` continues from `state` bit for bit: physics, time limit, random generators,
    running returns. That holds for environments that `simulator.is_exact` knows. For others
    `restore` starts new episodes, with seeds of their own, and the interrupted episodes are not counted.

    Args:
        env: specification, or an id alone; or several specifications, one per task, which the copies take in
            turn. Observations are a flat `Box` or `Discrete` (then one-hot here), actions a flat, bounded
            `Box` or `Discrete`.
        copies: number of copies, E.
        seed: source of all randomness here; it is not advanced, so the same seed makes the same copies.
        folder: folder for MuJoCo's warnings (`MUJOCO_LOG.TXT`); None drops them.
        lent: environments to play in, which others made and will close; empty: new ones are made.

    Raises:
        InputError: the environment does not exist, or its spaces are of another kind.
        EnvironmentFailure: a constructor failed, or the first episode can't start.

    Example:
        >>> envs = SeedEnvs("InvertedPendulum-v5", 2, np.random.SeedSequence(0))
        >>> step = envs.step(np.zeros((2, 1), np.float32))
        >>> step.next_observation.shape, step.reward.tolist(), step.episodes
        ((2, 4), [1.0, 1.0], [])
        >>> envs.close()
    """

    def __init__(
        self,
        env: EnvSpec | str | Sequence[EnvSpec],
        copies: int,
        seed: np.random.SeedSequence,
        *,
        folder: Path | None = None,
        lent: Sequence[Any] = (),
    ) -> None:
        """Make the environment copies and start an episode in each."""
        require(copies >= 1, "copies", copies, "must be at least 1")
        tasks = [EnvSpec.of(env)] if isinstance(env, EnvSpec | str) else list(env)
        self.tasks = [tasks[i % len(tasks)] for i in range(copies)]
        """Specification of each copy."""
        self.env, self.copies, self._seed = tasks[0], copies, seed
        simulator.log.folder = folder  # compiling a model may warn
        self._generators = GlobalGenerators(self._stream(GLOBAL))
        self._guarded = GuardedEnvs(self.tasks, self._generators, folder=folder, lent=lent)
        self._envs = envs = self._guarded.envs
        self.exact = self._guarded.exact
        self.alone = ""
        """Why no other environment can be made beside these, as far as an evaluation has found out."""
        self.interrupted = False
        """Whether the episodes before the present observations were given up: neither ended nor cut."""
        self.max_episode_steps = time_limit(envs[0])
        self._longest = sys.maxsize if all(map(time_limit, envs)) else LONGEST
        self._actions = actions_of(envs[0].action_space)
        self.discrete = isinstance(self._actions, ActionChoice)
        """Whether actions are those of a discrete space, which `step` takes as one-hot vectors."""
        self._returns = np.zeros(copies)
        self._lengths = np.zeros(copies, np.int64)
        self.ages = np.zeros(copies, np.int64)
        """Steps `[E]` of each copy's episode so far; `_lengths` begins anew in one that never ends."""
        self.observation = self._begun()
        """`[E, O]`: what the agent acts on next; after an episode's end, the next one's first observation."""
        self.observation_size, self.action_size = self.observation.shape[1], self._actions.size

    def _begun(self) -> Floats:
        """First observations; if there are none, close the copies."""
        try:
            return self._seeded_reset(())
        except EnvironmentFailure:
            self._guarded.close_quietly()
            raise

    @property
    def steps(self) -> int:
        """Steps of every copy so far."""
        return self._guarded.steps

    def restart(self, seed: np.random.SeedSequence) -> None:
        """Start anew as if just made with another seed, for simulators of which only one may be open."""
        self._seed, self._guarded.steps = seed, 0
        self._returns[:], self._lengths[:], self.ages[:] = 0.0, 0, 0
        self.observation = self._seeded_reset(())

    def lend_first(self, seed: np.random.SeedSequence) -> "SeedEnvs":
        """Lend the first environment copy for episodes from another seed; `begin_again` must follow."""
        return SeedEnvs(self.env, 1, seed, lent=self._envs[:1])

    def begin_again(self) -> None:
        """Give up the running episodes, and start new ones whose seeds depend on the step alone."""
        self._give_up((self.steps, 1))

    def _give_up(self, key: tuple[int, ...]) -> None:
        self._returns[:], self._lengths[:], self.ages[:] = 0.0, 0, 0
        self.observation = self._seeded_reset(key)
        self.interrupted = True

    def step(self, action: Floats) -> Transition:
        """Act in every environment copy; if that ends an episode, start the next one.

        Args:
            action: `[E, A]` in [-1, 1], rescaled here to the environment's own range; of a discrete space,
                one-hot vectors.

        Raises:
            InputError: an action is not in [-1, 1], or is NaN; or it is not one-hot.
            EnvironmentFailure: a copy crashed, diverged, or returned a non-finite value.
        """
        suits = action.shape == (self.copies, self.action_size)
        require(suits, "action", action.shape, "must have shape [E, A]")
        command = self._actions.from_unit(action)
        self.interrupted = False
        seen, reward, terminated, truncated = self._guarded.step(command)
        self.observation = seen
        self._returns += reward
        self._lengths += 1
        self.ages += 1
        ended = terminated | truncated
        over = ended | (self._lengths >= self._longest)
        episodes = self._counted(over) if over.any() else []
        if ended.any():
            self.ages[ended] = 0
            self.observation = self._guarded.reset(None, ended)
        return Transition(seen, reward.astype(np.float32), terminated, truncated, episodes)

    def _counted(self, over: Bools) -> list[Episode]:
        episodes = [
            Episode(float(self._returns[i]), int(self._lengths[i]), int(i)) for i in np.flatnonzero(over)
        ]
        self._returns[over], self._lengths[over] = 0.0, 0
        return episodes

    def _seeded_reset(self, key: tuple[int, ...]) -> Floats:
        """Start an episode in every environment copy; copy i uses the seed's random stream `key + (i,)`."""
        seeds: list[int | None] = []
        self._generators.restart(self._stream(*key, GLOBAL))
        for i, env in enumerate(self._envs):
            stream = self._stream(*key, i)
            # 32 bits, because environments hand their seed to generators that take no more.
            env_seed, action_seed, observation_seed = map(int, stream.generate_state(3))
            env.action_space.seed(action_seed)
            env.observation_space.seed(observation_seed)
            seeds.append(env_seed)
        return self._guarded.reset(seeds, np.ones(self.copies, np.bool_))

    def _stream(self, *key: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self._seed.entropy, spawn_key=(*self._seed.spawn_key, STREAM, *key))

    def state(self) -> dict[str, Any]:
        """State of all environment copies for a checkpoint: arrays and JSON values, nested by name."""
        values: dict[str, Any] = {"env": self.env.id, "copies": self.copies, "steps": self.steps}
        if self.exact:
            values |= {
                "mujoco": run_versions()["mujoco"],
                "observation": self.observation.copy(),
                "returns": self._returns.copy(),
                "lengths": self._lengths.copy(),
                "ages": self.ages.copy(),
            }
            values |= {f"copy-{i}": simulator.read_state(env) for i, env in enumerate(self._envs)}
        return values

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a saved state of the same environment, number of copies and seed.

        Raises:
            InputError: the state belongs to another environment, number of copies or version of MuJoCo.
        """
        here: dict[str, Any] = {"env": self.env.id, "copies": self.copies}
        here |= {"mujoco": run_versions()["mujoco"]} if self.exact else {}
        for name, value in here.items():
            rule = f"must be {value!r}, as in this run"
            require(state.get(name) == value, f"state[{name}]", state.get(name), rule)
        self._guarded.steps = int(state["steps"])
        if not self.exact:
            # Each restart has its own random stream: the run's first episodes must not come again.
            self._give_up((self.steps, 0))
            return
        self.observation = np.array(state["observation"], np.float32)
        self._returns[:], self._lengths[:] = state["returns"], state["lengths"]
        self.ages[:] = state.get("ages", state["lengths"])
        for i, env in enumerate(self._envs):
            simulator.write_state(env, state[f"copy-{i}"])

    def close(self) -> None:
        """Close the simulators of all environment copies, but those that are lent.

        Raises:
            EnvironmentFailure: one can't be closed; the others are.
        """
        self._guarded.close()
