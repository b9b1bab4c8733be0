"""State that outlives an episode is refused in one line; what begins anew with each episode is taken."""

import json
import random
import re
import sys
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import wrappers
from gymnasium.spaces import Box

from tests.support.deep import assert_same, metrics, small_run, train
from tests.support.envs import Dice, registered
from virel_common.errors import InputError
from virel_deep.data.first_look import changed_environment, first_look
from virel_deep.data.global_generators import GlobalGenerators
from virel_deep.data.repeats import check_repeats
from virel_deep.design.presets import run_config


class Plain(gymnasium.Env):
    """A walk on a line from a random place; `draw` gives the noise of a step."""

    observation_space, action_space = Box(-np.inf, np.inf, (2,), np.float64), Box(-1, 1, (1,), np.float32)

    def draw(self):
        return self.np_random.uniform()

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.x = np.array([self.np_random.uniform(), 5.0])
        return self.x.copy(), {}

    def step(self, action):
        self.x = self.x + action[0] + 0.01 * self.draw()
        return self.x.copy(), float(self.x[0]), False, False, {}


class RunningMax(gymnasium.ObservationWrapper):
    """Divides by the largest observation so far; it never begins anew."""

    def __init__(self, env):
        super().__init__(env)
        self.largest = np.zeros(2)

    def observation(self, observation):
        self.largest = np.maximum(self.largest, np.abs(observation))
        return observation / self.largest


class Widens(Plain):
    """Replaces its space of actions in `reset`."""

    def reset(self, *, seed=None, options=None):
        self.action_space = Box(-2, 2, (1,), np.float32)
        return super().reset(seed=seed, options=options)


class Breaks(Plain):
    """Can't take a step."""

    def step(self, action):
        raise ArithmeticError(f"no {action}")


class Explodes(Plain):
    """Shows finite numbers whose products with a network's weights are not."""

    def step(self, action):  # noqa: ARG002
        self.x = np.full(2, 1e37)
        return self.x.copy(), 1.0, False, False, {}


class OwnGenerator(Plain):
    """Draws from a generator that the seed doesn't reach."""

    def __init__(self):
        self.mine = np.random.default_rng()

    def draw(self):
        return self.mine.uniform()


class Curriculum(Plain):
    """Begins each episode farther away."""

    episodes = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.episodes += 1
        self.x += self.episodes
        return self.x.copy(), {}


class Remembers(Plain):
    """Begins where the episode before began, if there was one."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.x, self.last = getattr(self, "last", self.x).copy(), self.x.copy()
        return self.x.copy(), {}


class RandomMap(Plain):
    """Draws its map in the constructor, from a generator that nothing seeds."""

    def __init__(self):
        self.hill = np.random.default_rng().uniform()

    def draw(self):
        return self.hill


class GlobalNumpy(Plain):
    """Draws from numpy's global generator."""

    def draw(self):
        return np.random.uniform()  # noqa: NPY002


class GlobalPython(Plain):
    """Draws from Python's global generator, in the constructor, too."""

    def __init__(self):
        self.hill = random.random()

    def draw(self):
        return self.hill + random.random()


class GlobalTorch(Plain):
    """Draws from torch's global generator."""

    def draw(self):
        return float(torch.rand(()))


class SeedsGlobals(Plain):
    """Seeds the global generators with numbers of its own in every reset, and draws from them."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            for seeded in (random.seed, np.random.seed, torch.manual_seed):
                seeded(seed)
        return super().reset(seed=seed, options=options)

    def draw(self):
        return random.random() + np.random.uniform() + float(torch.rand(()))  # noqa: NPY002


def wrapped(wrapper, **arguments):
    return registered(Plain, max_episode_steps=50, additional_wrappers=(wrapper.wrapper_spec(**arguments),))


class PaidInArrays(Curriculum):
    """Keeps state from episode to episode, and returns its rewards as arrays with one entry."""

    def step(self, action):
        seen, reward, *rest = super().step(action)
        return seen, np.array([reward]), *rest


def looked_at(env, **config):
    return first_look(run_config("sac", env, steps=10, seeds=(0,), **config))


STATEFUL = [
    (
        lambda: wrapped(wrappers.NormalizeObservation),
        "NormalizeObservation keeps .*: use --normalize instead",
    ),
    (
        lambda: wrapped(wrappers.NormalizeReward, gamma=0.9),
        "NormalizeReward keeps .*: use --set reward_scale",
    ),
    (
        lambda: registered(lambda: RunningMax(Plain()), max_episode_steps=9),
        "the wrapper RunningMax keeps state",
    ),
    (lambda: registered(OwnGenerator, max_episode_steps=9), "the environment OwnGenerator keeps state"),
    (lambda: registered(Curriculum, max_episode_steps=9), "the environment Curriculum keeps state"),
    (lambda: registered(PaidInArrays, max_episode_steps=9), "the environment PaidInArrays keeps state"),
    (lambda: registered(Remembers, max_episode_steps=9), "the environment Remembers keeps state"),
    (
        lambda: registered(RandomMap, max_episode_steps=9),
        "two of it differ from the start, so its constructor",
    ),
]


@pytest.mark.parametrize(("env", "message"), STATEFUL, ids=[message[:24] for _, message in STATEFUL])
def test_state_that_outlives_an_episode_is_refused_with_what_to_do(env, message):
    with pytest.raises(
        InputError, match=rf"^`env` must depend on the seed of `reset` alone; fake/.*{message}"
    ):
        looked_at(env())


class FailsAtReset(Plain):
    """Takes any argument, and finds out later that it is no number."""

    def __init__(self, mass=1.0, old=False):
        super().__init__()
        self.mass, self.old = mass, old

    def reset(self, *, seed=None, options=None):
        self.inverse = 1 / self.mass
        first = super().reset(seed=seed, options=options)
        return first[0] if self.old else first


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"mass": [1]}, r"step 0: its reset\(\) raised TypeError: unsupported operand"),
        ({"mass": 0}, r"step 0: its reset\(\) raised ZeroDivisionError"),
        ({"old": True}, r"step 0: its reset\(\) must return \(observation, info\); it returned an array"),
    ],
)
def test_where_the_first_episode_cannot_start_the_run_is_refused(arguments, what):
    rule = "`env` must be an environment that can start an episode"
    with pytest.raises(InputError, match=f"^{rule}; fake/.*{what}"):
        looked_at(registered(FailsAtReset, max_episode_steps=9), env_arguments=arguments)


class FourValues(Plain):
    """Has the step of the old Gym."""

    def step(self, action):
        seen, reward, terminated, truncated, info = super().step(action)
        return seen, reward, terminated or truncated, info


class FailsAtStep(Plain):
    """Raises an error at step `last`."""

    def __init__(self, last=1):
        self.last, self.t = last, 0

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.t += 1
        if self.t == self.last:
            raise RuntimeError("no gravity\nat all")
        return super().step(action)


def test_an_environment_that_cannot_take_a_step_is_refused():
    rule = "`env` must be an environment that can take a step; it raised RuntimeError: no gravity at all"
    with pytest.raises(InputError, match=f"^{rule}$"):
        looked_at(registered(FailsAtStep, max_episode_steps=9))


class PaidInWords(Plain):
    """Its reward is no number."""

    def step(self, action):
        seen, _, *rest = super().step(action)
        return seen, "much", *rest


def test_an_environment_whose_first_reward_is_no_number_is_refused():
    rule = "`env` must be an environment that can take a step; its step() must return a number as reward"
    with pytest.raises(InputError, match=f"^{re.escape(rule)}; it returned str 'much'$"):
        looked_at(registered(PaidInWords, max_episode_steps=9))


def test_one_that_fails_later_is_left_to_the_training():
    assert looked_at(registered(FailsAtStep, max_episode_steps=9), env_arguments={"last": 3}) is not None


@pytest.mark.parametrize(("limit", "own", "said"), [(None, None, True), (9, None, False), (None, 9, False)])
def test_an_environment_without_a_time_limit_gets_a_line(limit, own, said):
    env = registered(Plain, max_episode_steps=limit)
    line = (
        f"{env} has no registered time limit: if an episode never ends, each 1,000 steps are scored as one; "
    )
    notes = [f"{line}max_episode_steps (--max-episode-steps) sets a limit"] if said else []
    assert looked_at(env, max_episode_steps=own).notes == notes


STATELESS = [
    lambda: wrapped(wrappers.TimeAwareObservation, flatten=True),
    lambda: wrapped(wrappers.RescaleAction, min_action=np.float32(-0.5), max_action=np.float32(0.5)),
    lambda: wrapped(wrappers.ClipReward, min_reward=-1, max_reward=1),
    lambda: wrapped(wrappers.RecordEpisodeStatistics),
    lambda: registered(stacked, max_episode_steps=9),
    lambda: registered(Plain, max_episode_steps=9),
    lambda: registered(Dice, max_episode_steps=9),
    lambda: registered(GlobalNumpy, max_episode_steps=9),
    lambda: registered(GlobalPython, max_episode_steps=9),
    lambda: registered(GlobalTorch, max_episode_steps=9),
    lambda: registered(SeedsGlobals, max_episode_steps=9),
    lambda: "Pendulum-v1",
]


def stacked():
    return wrappers.FlattenObservation(wrappers.FrameStackObservation(Plain(), 3))


@pytest.mark.parametrize("env", STATELESS, ids=range(len(STATELESS)))
def test_what_begins_anew_with_each_episode_is_taken(env):
    assert looked_at(env()).notes == []


@pytest.mark.parametrize("draw", [random.random, np.random.random_sample, lambda: float(torch.rand(()))])
def test_a_lent_generator_goes_on_where_it_was_and_leaves_the_global_one_alone(draw):
    def drawn(generators):
        with generators.lent():
            return draw()

    first, again, other = (GlobalGenerators(np.random.SeedSequence(seed)) for seed in (0, 0, 1))
    mine = [drawn(first) for _ in range(3)]
    assert len(set(mine)) == 3
    assert mine == [drawn(again) for _ in range(3)]
    assert mine[0] != drawn(other)
    before = global_states()
    drawn(first)
    assert global_states() == before


def test_lent_generators_of_two_threads_take_turns():
    def drawn(seed):
        generators, out = GlobalGenerators(np.random.SeedSequence(seed)), []
        for _ in range(300):
            with generators.lent():
                out.append((random.random(), np.random.random_sample()))  # noqa: NPY002
        return out

    alone = [drawn(seed) for seed in (0, 1)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(drawn, (0, 1))) == alone
    finally:
        sys.setswitchinterval(before)


def global_states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002


@pytest.mark.mujoco
@pytest.mark.parametrize("kind", [GlobalNumpy, GlobalPython, GlobalTorch, SeedsGlobals])
def test_draws_from_global_generators_depend_on_the_seed_alone(tmp_path, kind):
    env = registered(kind, max_episode_steps=7)
    together, alone = tmp_path / "together", tmp_path / "alone"
    train(together, small_run(together, "sac", env, steps=40, seeds=(0, 1)))
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    torch.manual_seed(5)
    before = global_states()
    train(alone, small_run(alone, "sac", env, steps=40, seeds=(1,), eval_episodes=1))
    assert_same(together, alone, (1,))
    assert metrics(together / "seed-0") != metrics(together / "seed-1")
    assert global_states() == before


class Unpaid(Plain):
    """Pays NaN."""

    def step(self, action):
        seen, _, *rest = super().step(action)
        return seen, np.nan, *rest


def test_a_reward_of_nan_is_no_matter_of_seeds_and_is_named_by_the_training(tmp_path):
    env = registered(Unpaid, max_episode_steps=9)
    assert looked_at(env).notes == []
    train(tmp_path, small_run(tmp_path, "sac", env, steps=40))
    failure = json.loads((tmp_path / "seed-0/failure.json").read_text())
    assert failure["detail"] == f"{env}, step 1: reward is nan; must be finite"


@pytest.mark.parametrize(
    ("kind", "arguments", "what"),
    [
        (FailsAtReset, {"mass": 0}, r"can start an episode; fake/.*: its reset\(\) raised ZeroDivisionError"),
        (FailsAtStep, {}, "can take a step; it raised RuntimeError: no gravity at all$"),
    ],
)
def test_an_environment_of_evaluations_or_of_a_task_that_never_plays_is_refused(kind, arguments, what):
    unfit = registered(kind, max_episode_steps=9, **arguments)
    sound = registered(Plain, max_episode_steps=9)
    with pytest.raises(InputError, match=f"^`eval_env` must be an environment that {what}"):
        looked_at(sound, eval_env=unfit)
    tasks = tuple({"id": env, "arguments": {}} for env in (sound, unfit))
    with pytest.raises(InputError, match=f"^`task` must be an environment that {what}"):
        looked_at(sound, tasks=tasks, copies=2, eval_every=10, log_every=10, checkpoint_every=10)


def test_every_environment_without_a_time_limit_gets_a_line():
    limited, *endless = registered(Plain, max_episode_steps=9), registered(Plain), registered(Dice)
    tasks = tuple({"id": env, "arguments": {}} for env in (limited, *endless))
    every = dict.fromkeys(("eval_every", "log_every", "checkpoint_every"), 9)
    config = run_config("sac", limited, steps=9, seeds=(0,), tasks=tasks, copies=3, **every)
    assert [line.partition(" ")[0] for line in first_look(config).notes] == endless
    assert looked_at(limited, eval_env=endless[0]).notes[0].startswith(f"{endless[0]} has no registered time")


def test_each_environment_of_a_run_is_recorded_and_compared():
    envs = [registered(kind, max_episode_steps=9) for kind in (Plain, Dice)]
    tasks = tuple({"id": env, "arguments": {}} for env in envs)
    several = run_config(
        "sac", envs[0], steps=10, seeds=(0,), tasks=tasks, copies=2,
        **dict.fromkeys(("eval_every", "log_every", "checkpoint_every"), 10),
    )  # fmt: skip
    beside = run_config("sac", envs[0], steps=10, seeds=(0,), eval_env=envs[1])
    for config in (several, beside):
        record = first_look(config).record
        assert [one["class"].rpartition(".")[2] for one in record] == ["Plain", "Dice"]
        assert changed_environment(record, config) == []
        was = [record[0], record[1] | {"max_episode_steps": 5}]
        [said] = changed_environment(was, config)
        assert said.startswith(f"the environment {envs[1]}'s max_episode_steps changed from 5 to 9 since")
        assert changed_environment(record[:1], config) == []  # of an earlier version


def test_what_changed_alike_in_several_tasks_is_said_once():
    env = registered(FailsAtReset, max_episode_steps=9)
    tasks = tuple({"id": env, "arguments": {"mass": mass}} for mass in (1, 2))
    every = dict.fromkeys(("eval_every", "log_every", "checkpoint_every"), 10)
    config = run_config("sac", env, steps=10, seeds=(0,), tasks=tasks, copies=2, **every)
    was = [one | {"class": "Other"} for one in first_look(config).record]
    assert len(changed_environment(was, config)) == 1


def test_a_step_of_four_values_is_told_as_what_it_is():
    rule = r"`env` must be an environment that can take a step; its step\(\) must return \(observation, .*"
    with pytest.raises(InputError, match=f"^{rule}; it returned a tuple of 4$"):
        check_repeats(FourValues(), "four", FourValues)


def test_spaces_that_reset_replaces_are_named():
    env_id = registered(Widens)
    with pytest.raises(
        InputError, match=r"`env` must keep the `action_space` that its constructor sets.*2\.0"
    ):
        check_repeats(
            gymnasium.make(env_id), env_id=env_id, again=lambda: gymnasium.make(env_id), argument="env"
        )


@pytest.mark.parametrize("kind", [Plain, OwnGenerator, Curriculum, Widens, Breaks, FourValues])
def test_an_environment_that_is_looked_at_is_closed_once(kind):
    made, closings = [], Counter()

    class Counted(kind):
        def __init__(self):
            made.append(id(self))
            super().__init__()
            kept.append(self)  # so that no id is used again

        def close(self):
            closings[id(self)] += 1

    kept = []
    with suppress(InputError):
        first_look(run_config("sac", env=registered(Counted, max_episode_steps=50), seeds=(0,), steps=10))
    assert closings == Counter(made)
    assert len(made) == (2 if kind in {Plain, Widens} else 1)


def test_numbers_that_a_network_overflows_at_are_one_line(tmp_path, capsys):
    env_id = registered(Explodes, max_episode_steps=50)
    config = small_run(tmp_path, "sac", env_id, steps=60, precision="stacked")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(tmp_path, config).failed == [0]
    assert "is not finite at step" in capsys.readouterr().err
