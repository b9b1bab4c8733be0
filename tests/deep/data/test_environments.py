"""Environment copies: only real transitions, seeds that never meet, one action range, loud failures."""

import multiprocessing

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from gymnasium.vector import SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st

from tests.support.envs import Dice, Script, registered
from virel_common.errors import InputError
from virel_deep.data.actions import ActionRange
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.making import make_env

pytestmark = pytest.mark.mujoco
HOPPER = "Hopper-v5"


def seed(*numbers):
    return np.random.SeedSequence(numbers)


def zeros(envs):
    return np.zeros((envs.copies, envs.action_size), np.float32)


def random_actions(envs, n):
    return np.random.default_rng(0).uniform(-1, 1, (n, envs.copies, envs.action_size)).astype(np.float32)


def copies_of(envs):
    """The environments inside: tests may look."""
    return envs._envs


def test_every_step_is_a_transition_of_the_environment_and_no_reset_is():
    envs = SeedEnvs(registered(Script, length=3), 1, seed(0))
    for n in range(12):
        before = envs.observation
        step = envs.step(zeros(envs))
        np.testing.assert_array_equal(step.next_observation, before + np.array([0, 1]))
        assert step.reward[0] == n % 3 + 1
        assert step.terminated[0] == (n % 3 == 2)


def test_gymnasiums_default_adds_a_step_after_each_episode_that_never_happened():
    """The trap itself: should it go, the note in the module goes too."""
    vector = SyncVectorEnv([lambda: gymnasium.make(registered(Script, length=2))])
    vector.reset(seed=0)
    rewards = [vector.step(np.zeros((1, 1), np.float32))[1][0] for _ in range(6)]
    assert rewards == [1, 2, 0, 1, 2, 0]


def test_a_run_equals_plain_environments_stepped_by_hand_bit_for_bit():
    envs = SeedEnvs(HOPPER, 2, seed(5))
    plain = [gymnasium.make(HOPPER) for _ in range(2)]
    observation = [
        env.reset(seed=twin.unwrapped.np_random_seed)[0]
        for env, twin in zip(plain, copies_of(envs), strict=True)
    ]
    ends = 0
    for action in random_actions(envs, 200):
        np.testing.assert_array_equal(envs.observation, np.array(observation, np.float32))
        step = envs.step(action)
        for i, env in enumerate(plain):
            after, reward, terminated, truncated, _ = env.step(action[i])
            np.testing.assert_array_equal(step.next_observation[i], after.astype(np.float32))
            assert step.reward[i] == np.float32(reward)
            assert (step.terminated[i], step.truncated[i]) == (terminated, truncated)
            observation[i] = env.reset()[0] if terminated or truncated else after
            ends += terminated or truncated
    assert ends > 5


@pytest.mark.parametrize(
    ("length", "limit", "flags"),
    [(2, 3, (True, False)), (None, 3, (False, True)), (3, 3, (True, True)), (None, None, (False, False))],
)
def test_the_end_of_a_task_and_the_time_limit_are_told_apart(length, limit, flags):
    envs = SeedEnvs(registered(Script, length=length, max_episode_steps=limit), 1, seed(0))
    assert envs.max_episode_steps == limit
    for _ in range(min(length or 9, limit or 9)):
        step = envs.step(zeros(envs))
    assert (step.terminated[0], step.truncated[0]) == flags
    assert step.next_observation[0].tolist() == [1, min(length or 9, limit or 9)]
    assert envs.observation[0].tolist() == ([2, 0] if any(flags) else [1, 9])


def test_copies_end_their_episodes_apart():
    envs = SeedEnvs(registered(Dice), 3, seed(1))
    sizes = set()
    for _ in range(50):
        step = envs.step(zeros(envs))
        ended = step.terminated | step.truncated
        np.testing.assert_array_equal((envs.observation != step.next_observation).any(axis=1), ended)
        assert len(step.episodes) == ended.sum()
        sizes.add(int(ended.sum()))
    assert sizes >= {0, 1, 2}


def test_copies_are_stepped_in_this_process():
    """On two cores Gymnasium's process for each copy is slower than stepping them one after another."""
    envs = SeedEnvs(HOPPER, 3, seed(0))
    envs.step(zeros(envs))
    assert multiprocessing.active_children() == []


def test_returns_are_sums_of_unscaled_rewards_in_double_precision():
    big = 2.0**24 + 1  # not a float32, nor is a multiple of it below 2^25
    envs = SeedEnvs(registered(Script, length=3, reward=big), 2, seed(0))
    [*_, last] = [envs.step(zeros(envs)) for _ in range(6)]
    assert last.episodes == [(3 * big, 3, 0), (3 * big, 3, 1)]  # each with the number of its copy


def test_the_age_of_an_episode_goes_on_where_its_return_is_counted_anew():
    endless = SeedEnvs(registered(Script), 1, np.random.SeedSequence(0))
    ages = []
    for _ in range(1002):
        endless.step(zeros(endless))
        ages.append(int(endless.ages[0]))
    assert ages == list(range(1, 1003))
    short = SeedEnvs(registered(Script, length=3), 1, np.random.SeedSequence(0))
    ages = []
    for _ in range(7):
        short.step(zeros(short))
        ages.append(int(short.ages[0]))
    assert ages == [1, 2, 0, 1, 2, 0, 1]


def test_observations_and_rewards_are_cast_to_float32_once():
    tenth, third = 0.1, 1 / 3
    envs = SeedEnvs(registered(Script, fault=lambda _: {0: np.array([tenth, third]), 1: tenth}), 1, seed(0))
    step = envs.step(zeros(envs))
    assert step.next_observation.dtype == step.reward.dtype == envs.observation.dtype == np.float32
    assert step.next_observation.tolist() == [[np.float32(tenth), np.float32(third)]]
    assert step.reward[0] == np.float32(tenth)


@pytest.mark.parametrize("env_id", [HOPPER, "Pendulum-v1"])  # observations in float64 and in float32
def test_what_a_step_returned_stays_as_it_is(env_id):
    envs = SeedEnvs(env_id, 1, seed(0))
    step = envs.step(zeros(envs))
    kept = [np.array(value) for value in step[:4]]
    for _ in range(100):
        envs.step(zeros(envs))
    for value, copy in zip(step[:4], kept, strict=True):
        np.testing.assert_array_equal(value, copy)


# Seeds


def test_neighbouring_seeds_share_no_copy():
    firsts = np.concatenate([SeedEnvs(registered(Dice), 4, seed(s)).observation for s in range(8)])
    assert len(np.unique(firsts[:, 0])) == len(np.unique(firsts[:, 1])) == 32  # environment and action space


def test_gymnasium_gives_neighbouring_seeds_the_same_copies():
    """The trap itself: `reset(seed=s)` seeds copy i with s + i."""
    vector = SyncVectorEnv([lambda: gymnasium.make("Hopper-v5")] * 2)
    first, second = vector.reset(seed=0)[0].copy(), vector.reset(seed=1)[0]
    np.testing.assert_array_equal(first[1], second[0])


def test_the_streams_differ_from_those_that_the_caller_spawns():
    root = seed(3)
    envs = SeedEnvs(registered(Dice), 2, root)
    used = {env.unwrapped.np_random_seed for env in copies_of(envs)}
    assert not used & {int(child.generate_state(1)[0]) for child in root.spawn(5)}


def test_the_seed_is_read_and_not_advanced():
    root = seed(3)
    first = SeedEnvs(registered(Dice), 2, root).observation
    assert root.n_children_spawned == 0
    np.testing.assert_array_equal(first, SeedEnvs(registered(Dice), 2, root).observation)


def test_a_copy_does_not_depend_on_how_many_there_are():
    one, three = (SeedEnvs(HOPPER, n, seed(4)) for n in (1, 3))
    for action in random_actions(three, 60):
        np.testing.assert_array_equal(
            one.step(action[:1]).next_observation, three.step(action).next_observation[:1]
        )


def test_action_spaces_are_seeded_too():
    def samples(root):
        return [env.action_space.sample() for env in copies_of(SeedEnvs(registered(Dice), 2, root))]

    np.testing.assert_array_equal(samples(seed(1)), samples(seed(1)))
    first, second = samples(seed(1))
    assert first != second
    assert samples(seed(1))[0] != samples(seed(2))[0]


# Actions


def test_a_full_action_is_the_bound_of_humanoid():
    envs = SeedEnvs("Humanoid-v5", 1, seed(0))
    for sign in (1, -1):
        envs.step(np.full((1, 17), sign, np.float32))
        np.testing.assert_array_equal(copies_of(envs)[0].unwrapped.data.ctrl, np.float32(0.4) * sign)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_are_mapped_onto_a_range_that_is_not_symmetric(dtype):
    space = Box(np.array([-1, 0], dtype), np.array([3, 0.5], dtype), dtype=dtype)
    envs = SeedEnvs(registered(Script, action=space), 1, seed(0))
    for x in (-1, 0, 1):
        envs.step(np.full((1, 2), x, np.float32))
    found = copies_of(envs)[0].unwrapped.actions
    assert [action.tolist() for action in found] == [[-1, 0], [1, 0.25], [3, 0.5]]
    assert all(action.dtype == dtype for action in found)


@st.composite
def boxes(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    bound = st.floats(-(2.0**100), 2.0**100, width=np.finfo(dtype).bits)
    low, high = sorted(draw(st.lists(bound, min_size=2, max_size=2, unique=True)))
    return Box(np.array([low], dtype), np.array([high], dtype), dtype=dtype)


@given(space=boxes(), x=st.floats(-1, 1, width=32))
def test_no_action_is_outside_the_range_and_the_ends_reach_its_ends(space, x):
    actions = ActionRange(space)
    command = actions.from_unit(np.array([x, -1, 1], np.float32)[:, None])
    assert ((space.low <= command) & (command <= space.high)).all()
    # Half and centre are rounded once, and so is their sum: 3 half-ulps of numbers up to the larger bound.
    # For float32 a rounding to float64 comes before, 2^-29 of an ulp: 2 ulps hold it all.
    atol = 2 * np.spacing(max(abs(space.low[0]), abs(space.high[0])))
    np.testing.assert_allclose(command[1:, 0], [space.low[0], space.high[0]], rtol=0, atol=atol)


@pytest.mark.parametrize("value", [1.0001, -1.5, np.nan, np.inf])
def test_an_action_outside_the_unit_range_is_refused_before_any_step(value):
    envs = SeedEnvs(registered(Script), 2, seed(0))
    with pytest.raises(InputError, match=r"`action` must be in \[-1, 1\]; found \[\[0.0\], \["):
        envs.step(np.array([[0], [value]], np.float32))
    assert envs.steps == 0
    assert copies_of(envs)[0].unwrapped.actions == []


def test_an_action_of_another_shape_is_refused():
    envs = SeedEnvs(registered(Script), 2, seed(0))
    with pytest.raises(InputError, match=r"`action` must have shape \[E, A\]; found \(1, 2\)"):
        envs.step(np.zeros((1, 2), np.float32))


# What is refused


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        (
            {"observation": Dict({"x": Box(0, 1, (2,))})},
            "`observation` of .* must be a flat `Box`.*found Dict",
        ),
        ({"observation": Box(0, 1, (2, 2))}, "`observation` of .* must be a flat `Box`"),
        ({"observation": Box(0, 1, ())}, "`observation` of .* must be a flat `Box`"),
        (
            {"observation": MultiBinary(3)},
            r"`observation` .* or `Discrete`: .*FlattenObservation; found MultiBinary\(3\)",
        ),
        ({"action": MultiDiscrete([3, 2])}, r"`action` .* or `Discrete`: .*; found MultiDiscrete\(\[3 2\]\)"),
        ({"action": Tuple([Discrete(2)])}, r"`action` .* or `Discrete`: .*; found Tuple\(Discrete\(2\)\)"),
        ({"action": Box(-1, 1, (2, 2))}, "`action` of .* must be a flat `Box`"),
        ({"action": Box(-1, 1, (0,))}, r"`action` of .* must be a flat `Box` \(one axis, not empty\)"),
        ({"action": Box(-np.inf, np.inf, (1,))}, "`action` of .* must have finite bounds.*inf"),
        (
            {"action": Box(np.float32([-1, -np.inf]), np.float32([1, 1]))},
            "`action` of .* must have finite bounds",
        ),
        (
            {"action": Box(np.float32([1]), np.float32([1]))},
            "`action` of .* must have finite bounds, low < high",
        ),
        ({"action": Box(0, 3, (2,), np.int64)}, "`action` of .* must be a `Box` of floats"),
        ({"action": None}, "`env` must be an environment with .*-v0 has no `action_space`"),
        ({"observation": None}, "`env` must be an environment with .*-v0 has no `observation_space`"),
    ],
)
def test_spaces_of_another_kind_are_refused_in_one_line(spaces, message):
    with pytest.raises(InputError, match=message) as caught:
        SeedEnvs(registered(Script, **spaces), 1, seed(0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("env_id", "near"),
    [
        ("HalfCheeta-v5", "HalfCheetah-v5"),
        ("halfcheetah-v5", "HalfCheetah-v5"),
        ("HalfCheetah-v99", "HalfCheetah-v5"),
    ],
)
def test_an_unknown_id_is_refused_with_near_ones(env_id, near):
    with pytest.raises(
        InputError, match=f"`env` must be a Gymnasium id; found '{env_id}'; similar ids: .*{near}"
    ):
        make_env(env_id)


@pytest.mark.parametrize("env_id", ["", "no such thing", "nowhere/Thing-v0", "no_such_module:Thing-v0"])
def test_what_is_no_id_is_refused_in_one_line(env_id):
    with pytest.raises(InputError, match="`env`") as caught:
        make_env(env_id)
    assert "\n" not in str(caught.value)


def test_an_environment_that_cannot_be_made_is_refused_in_one_line():
    def broken():
        raise OSError("no model\nat all")

    with pytest.raises(
        InputError, match=r"must be an environment that can be made; .* raised OSError: no model at all"
    ):
        make_env(registered(broken))


def test_no_copies_are_refused():
    with pytest.raises(InputError, match="`copies` must be at least 1; found 0"):
        SeedEnvs(HOPPER, 0, seed(0))


# Failures in a run


def at_step_3(change):
    return lambda env: change if env.t == 3 else {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: np.array([0, np.nan])}, r"observation, entry 1, is nan"),
        ({0: np.array([-np.inf, 0])}, r"observation, entry 0, is -inf"),
        ({0: np.array([1e39, 0])}, r"observation, entry 0, is 1e\+39"),
        ({1: np.nan}, r"reward is nan"),
        ({1: -1e300}, r"reward is -1e\+300"),
        ({0: np.zeros(3)}, r"its step\(\) returned an observation of shape \[3\]; it must be \[2\]"),
        ({1: "much"}, r"its step\(\) must return a number as reward; it returned str 'much'"),
    ],
)
def test_what_is_no_number_stops_the_seed_and_is_named(change, message):
    env_id = registered(Script, fault=at_step_3(change))
    envs = SeedEnvs(env_id, 1, seed(0))
    envs.step(zeros(envs))
    envs.step(zeros(envs))
    with pytest.raises(EnvironmentFailure, match=f"{env_id}, step 3: {message}"):
        envs.step(zeros(envs))


@pytest.mark.parametrize("value", [2e38, -3.4e38])
def test_the_largest_numbers_of_float32_are_numbers(value):
    envs = SeedEnvs(registered(Script, fault=lambda _: {0: np.array([value, value]), 1: value}), 1, seed(0))
    step = envs.step(zeros(envs))
    assert step.next_observation.tolist() == [[np.float32(value)] * 2]


def test_a_crash_in_a_step_is_told_with_the_environment_and_the_step():
    def crash(env):
        return {} if env.t < 3 else 1 // 0

    envs = SeedEnvs(registered(Script, fault=crash), 1, seed(0))
    envs.step(zeros(envs))
    envs.step(zeros(envs))
    with pytest.raises(EnvironmentFailure, match=r"step 3: its step\(\) raised ZeroDivisionError") as caught:
        envs.step(zeros(envs))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_crash_in_a_reset_is_told_too():
    class Once(Script):
        def reset(self, **arguments):
            if self.episode:
                raise RuntimeError("no second\nepisode")
            return super().reset(**arguments)

    envs = SeedEnvs(registered(Once, length=1), 1, seed(0))
    with pytest.raises(
        EnvironmentFailure, match=r"step 1: its reset\(\) raised RuntimeError: no second episode"
    ):
        envs.step(zeros(envs))


def test_a_first_observation_that_is_no_number_is_told():
    class Broken(Script):
        def reset(self, **_):
            return np.array([np.nan, 0]), {}

    with pytest.raises(EnvironmentFailure, match=r"step 0: observation after a reset, entry 0, is nan"):
        SeedEnvs(registered(Broken), 1, seed(0))
