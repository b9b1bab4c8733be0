"""Evaluation of a policy: repeatable episodes on separate environments, scored by unscaled return."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import require
from virel_deep.data.environments import Episode, SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.making import can_be_made
from virel_deep.design.environment import EnvSpec

Floats = NDArray[np.float32]
Act = Callable[[Floats], Floats]
"""Policy: maps observations `[N, O]` to actions `[N, A]` in [-1, 1]."""


class PolicyFailure(RuntimeError):
    """A policy returned an invalid action, shown in the message."""


def evaluate_policy(
    act: Act, env: EnvSpec | str, seed: np.random.SeedSequence, episodes: int
) -> list[Episode]:
    """Play episodes; with a deterministic policy the same arguments give the same ones bit for bit.

    The episodes run side by side, so that `act` is called once for all that have not ended. Each has its own
    environment and its own seed, whatever the number of episodes; if only one environment can be made, it
    plays them in turn. Without a time limit an episode is over
    after `LONGEST` steps at most.

    Args:
        act: the policy.
        env: specification of the environment, or its Gymnasium id.
        seed: source of all randomness; it is not advanced.
        episodes: number of episodes.

    Returns:
        The episodes in the order of their seeds.

    Raises:
        InputError: the environment does not exist, or `episodes` is less than 1.
        EnvironmentFailure: an environment crashed, diverged, or returned a non-finite value.
        PolicyFailure: an action is not finite, or not in [-1, 1].

    Example:
        >>> fall = lambda observation: np.zeros((len(observation), 1), np.float32)
        >>> [episode] = evaluate_policy(fall, "InvertedPendulum-v5", np.random.SeedSequence(0), 1)
        >>> episode.length < 1000
        True
    """
    require(episodes >= 1, "episodes", episodes, "must be at least 1")
    envs: list[SeedEnvs] = []
    try:
        together = _made(envs, env, seed, episodes)
        played = _played(act, envs) if together else _in_turn(act, envs[0], seed, episodes)
    except BaseException:
        with suppress(EnvironmentFailure):
            _close(envs)
        raise
    _close(envs)
    return played


def evaluate_tasks(
    act: Act, envs: Sequence[EnvSpec], seed: np.random.SeedSequence, episodes: int
) -> list[list[Episode]]:
    """Play episodes as `evaluate_policy` does, in each of several tasks, by random streams of their own.

    A single task has the stream that is given.
    """
    seeds = [_child(seed, i) for i in range(len(envs))] if len(envs) > 1 else [seed]
    return [evaluate_policy(act, *of_task, episodes) for of_task in zip(envs, seeds, strict=True)]


def evaluated(played: Sequence[Sequence[Episode]], tasks: Sequence[str]) -> dict[str, Any]:
    """Row of the log for the episodes of an evaluation, task by task; `tasks` are their names, if several."""
    means = [float(np.mean([episode.return_ for episode in of_task])) for of_task in played]
    episodes = [episode for of_task in played for episode in of_task]
    returns = [episode.return_ for episode in episodes]
    lengths = [episode.length for episode in episodes]
    of_tasks = {"tasks": dict(zip(tasks, means, strict=True))} if tasks else {}
    return {"return": float(np.mean(returns)), "returns": returns, "lengths": lengths, **of_tasks}


def evaluate_beside(
    training: SeedEnvs, act: Act, env: EnvSpec, seed: np.random.SeedSequence, episodes: int
) -> list[Episode]:
    """Play episodes as `evaluate_policy` does, while environments for training are open.

    Where no second environment can be made, they are played in turn in the first one of training: its
    episodes are given up, `training.interrupted` is true then, and `training.alone` is the reason. A
    constructor that fails once is not such a limit, but a failure.

    Raises:
        InputError, EnvironmentFailure, PolicyFailure: as `evaluate_policy`.
    """
    if not training.alone:
        try:
            return evaluate_policy(act, env, seed, episodes)
        except EnvironmentFailure as failure:
            if failure.where != "constructor" or env != training.env or can_be_made(env):
                raise
            training.alone = str(failure)
    played = _in_turn(act, training.lend_first(_child(seed, 0)), seed, episodes)
    training.begin_again()
    return played


def _made(envs: list[SeedEnvs], env: EnvSpec | str, seed: np.random.SeedSequence, episodes: int) -> bool:
    """Fill in an environment per episode; False if only the first can be made, which then is alone."""
    for i in range(episodes):
        try:
            envs.append(SeedEnvs(env, 1, _child(seed, i)))
        except EnvironmentFailure as failure:
            if i == 0 or failure.where != "constructor":
                raise
            _close(envs[1:])
            del envs[1:]
            return False
    return True


def _in_turn(act: Act, env: SeedEnvs, seed: np.random.SeedSequence, episodes: int) -> list[Episode]:
    """Play the episodes one after another in the same environment, each from its own seed."""
    out = _played(act, [env])
    for i in range(1, episodes):
        env.restart(_child(seed, i))
        out += _played(act, [env])
    return out


def _close(envs: list[SeedEnvs]) -> None:
    """Close all environments, then raise the first failure, if any."""
    failures = []
    for one in envs:
        try:
            one.close()
        except EnvironmentFailure as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


def _played(act: Act, envs: list[SeedEnvs]) -> list[Episode]:
    running = dict(enumerate(envs))
    finished: dict[int, Episode] = {}
    while running:
        actions = act(np.concatenate([env.observation for env in running.values()]))
        if not (np.abs(actions) <= 1).all():  # NaN fails it
            raise PolicyFailure(f"the policy's action must be in [-1, 1]; found {actions.tolist()}")
        for (i, env), action in zip(list(running.items()), actions, strict=True):
            step = env.step(action[None])
            if step.episodes:
                finished[i] = step.episodes[0]
                del running[i]
    return [finished[i] for i in range(len(envs))]


def _child(seed: np.random.SeedSequence, i: int) -> np.random.SeedSequence:
    """Compute the i-th child that `SeedSequence.spawn` would return, without advancing the sequence."""
    return np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, i))
