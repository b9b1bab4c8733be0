"""Does an episode depend on its seed alone? Short episodes played twice tell, before a run begins.

Each is followed by an episode whose reset gets no seed, as every episode of a training but the first: what it
draws must go on from the seed before.

State that outlives an episode (running statistics of a wrapper, a generator that no seed reaches) would be
lost in evaluations, checkpoints and exports. What counts is behaviour: a wrapper whose state begins anew with
each episode passes, whatever its name.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, in_one_line
from virel_deep.data import simulator
from virel_deep.data.actions import ActionRange, actions_of
from virel_deep.data.functions import function_of
from virel_deep.data.global_generators import Disturbed, GlobalGenerators, undisturbed
from virel_deep.data.making import close_quietly, raise_if_asked
from virel_deep.data.observations import one_hot
from virel_deep.data.returned import Unusable, checked_reward, parts_of_step

STEPS = 60
"""Steps of each trial episode, or to its end."""
UNSEEDED_RESET = "after a reset without a seed, "
"""Beginning of what differs in an episode whose reset gets no seed."""
INSTEAD = {
    "NormalizeObservation": "use --normalize instead, which is saved, evaluated and exported with the policy",
    "NormalizeReward": "use --set reward_scale=... instead; evaluation then reports unscaled returns",
}
"""What to use instead of Gymnasium's wrappers that keep statistics."""
SEEDS = (0, 1, 0)
"""Seeds of the trials: the third must be as the first, whatever came between."""

UNSEEDED_MAKING = (
    "two of it differ from the start, so its constructor draws from a generator that nothing seeds: draw in "
    "`reset(seed=...)` by `self.np_random`, or give the constructor a seed (--env-arg)"
)


SAME = "it gave the same environment twice", "make a new one at each call"
"""What is wrong with a function that returns one environment of its own again and again; what to do."""


class FirstStepError(RuntimeError):
    """The first step of an environment failed; the message says how."""

    def __init__(self, error: BaseException) -> None:
        """Store what the step raised, or what was found wrong with what it returned."""
        super().__init__(str(error) if isinstance(error, Unusable) else f"it raised {in_one_line(error)}")


class Episode(NamedTuple):
    """Observations `[T + 1, O]` and rewards `[T]` of a trial episode."""

    observations: list[NDArray[Any]]
    rewards: list[float]


class Trial(NamedTuple):
    """Two episodes, one after the other."""

    seeded: Episode
    unseeded: Episode
    """Episode whose reset got no seed."""


def check_repeats(
    env: gymnasium.Env[Any, Any], env_id: str, again: Callable[[], Any], *, argument: str = "env"
) -> None:
    """Raise `InputError` unless trials of one seed with the same actions are the same; close `env`.

    Gymnasium's own MuJoCo environments are known to be so, and are not played. An environment that can't take
    the first step is refused. One that fails later in the trial is left to the training, which says where it
    failed. One that changes the working directory or torch's default number type is refused. So is one that
    is given twice instead of a new one, because an evaluation would go on with the episode of the training.

    Args:
        env: environment just made, which is used up.
        env_id: its id, for the message.
        again: makes the environment once more; if it can't, the two are not compared.
        argument: what errors call it.
    """
    with ExitStack() as held:
        held.callback(close_quietly, env)
        if simulator.is_exact(env) and function_of(env_id) is None:
            return
        rule = f"`{argument}` must depend on the seed of `reset` alone; {env_id}"
        spaces = {name: repr(getattr(env, name)) for name in ("observation_space", "action_space")}
        try:
            first, _, third = (_played(env, seed) for seed in SEEDS)
            changed = [name for name, was in spaces.items() if repr(getattr(env, name)) != was]
            difference = _difference(first, third)
            advice = _advice(env) if difference else ""
            held.close()  # it may hold what only one environment can have
            if not difference:
                other = again()
                if other.unwrapped is env.unwrapped:
                    difference, advice = SAME
                else:
                    held.callback(close_quietly, other)
                    difference, advice = _difference(first, _played(other, SEEDS[0])), UNSEEDED_MAKING
        except FirstStepError as error:
            raise InputError(f"`{argument}` must be an environment that can take a step; {error}") from None
        except Disturbed as error:
            kept = "must be an environment that leaves to the process what all share"
            raise InputError(f"`{argument}` {kept}; while {env_id} was played, {error}") from None
        except BaseException as error:
            raise_if_asked(error)
            return
    for name in changed:
        kept = f"must keep the `{name}` that its constructor sets; that of {env_id} was {spaces[name]}"
        raise InputError(f"`{argument}` {kept} and is {getattr(env, name)!r} after episodes")
    if difference:
        raise InputError(f"{rule}: {difference}; {advice}")


def _difference(first: Trial, third: Trial) -> str:
    """How two trials from the same seed differ, in words; empty if they don't."""
    unseeded = _between(first.unseeded, third.unseeded)
    return _between(first.seeded, third.seeded) or (unseeded and UNSEEDED_RESET + unseeded)


def _between(first: Episode, third: Episode) -> str:
    """How two episodes differ, in words; empty if they don't."""
    if len(first.rewards) != len(third.rewards):
        return f"an episode has {len(first.rewards)} steps, and {len(third.rewards)} when it is played again"
    for t, (mine, again) in enumerate(zip(first.observations, third.observations, strict=True)):
        if not np.array_equal(mine, again, equal_nan=True):
            return f"its observation at step {t} is {_short(mine)}, and {_short(again)} when played again"
    for t, (was, now) in enumerate(zip(first.rewards, third.rewards, strict=True), start=1):
        if not np.array_equal(was, now, equal_nan=True):
            return f"its reward at step {t} is {was:.6g}, and {now:.6g} when played again"
    return ""


def _played(env: gymnasium.Env[Any, Any], seed: int) -> Trial:
    """Play two short episodes with random actions of this seed; global generators are seeded, too."""
    with undisturbed(), GlobalGenerators(np.random.SeedSequence(seed)).lent():
        rng = np.random.default_rng(seed)
        env.action_space.seed(seed)
        env.observation_space.seed(seed)
        return Trial(_episode(env, seed, rng), _episode(env, None, rng))


def _episode(env: gymnasium.Env[Any, Any], seed: int | None, rng: np.random.Generator) -> Episode:
    actions = actions_of(env.action_space)
    observation, _ = env.reset(seed=seed)
    trial = Episode([np.array(observation)], [])
    for _ in range(STEPS):
        if isinstance(actions, ActionRange):
            unit = rng.uniform(-1, 1, actions.size).astype(np.float32)
        else:
            unit = one_hot(np.array([rng.integers(actions.size)]), actions.size)[0]
        action = actions.from_unit(unit[None])[0]
        try:
            observation, reward, terminated, truncated, _ = parts_of_step(env.step(action))
            reward = checked_reward(reward)
        except BaseException as error:
            raise_if_asked(error)
            raise (FirstStepError(error) if not trial.rewards else error) from None
        trial.observations.append(np.array(observation))
        trial.rewards.append(reward)
        if terminated or truncated:
            break
    return trial


def _advice(env: gymnasium.Env[Any, Any]) -> str:
    """Which layer keeps the state, from the innermost outwards, and what to do."""
    for layer in reversed(list(simulator.layers(env))):
        name = type(layer).__name__
        if not _alone_repeats(layer):
            for one, instead in INSTEAD.items():
                if isinstance(layer, getattr(gymnasium.wrappers, one)):
                    return f"{name} keeps running statistics from episode to episode: {instead}"
            what = "the wrapper" if isinstance(layer, gymnasium.Wrapper) else "the environment"
            return (
                f"{what} {name} keeps state from episode to episode, or draws from a generator that the "
                "seeds of `reset` do not determine: let `reset` start all state anew, call "
                "`super().reset(seed=seed)` and draw from `self.np_random`, or make a generator only if the "
                "seed is not None"
            )
    return "let `reset(seed=...)` start everything anew"


def _alone_repeats(layer: gymnasium.Env[Any, Any]) -> bool:
    try:
        first, _, third = (_played(layer, seed) for seed in SEEDS)
        return _difference(first, third) == ""
    except BaseException as error:
        raise_if_asked(error)
        return True


def _short(values: NDArray[Any]) -> str:
    return np.array2string(values, precision=6, threshold=4, edgeitems=2).replace("\n", "")
