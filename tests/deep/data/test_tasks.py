"""Environments of several tasks: gridworlds by their maps, the task's entry, one-sided Reacher."""

import numpy as np
import pytest
from gymnasium.envs.toy_text.frozen_lake import MAPS

from tests.support.deep import differing
from virel_common.errors import InputError
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.grids import LAKE_GOALS, LAKES, FrozenGoals, TwoRooms
from virel_deep.data.making import make_env
from virel_deep.design.environment import EnvSpec, numbered
from virel_theory.models.draw import gridworld

UP, RIGHT, DOWN, LEFT = range(4)


def played(env, actions):
    env.reset(seed=0)
    return [env.step(action)[:3] for action in actions]


def test_a_lake_rewards_the_goal_alone_and_a_hole_ends_the_episode():
    to_corner = [DOWN, DOWN, RIGHT, DOWN, RIGHT, RIGHT]
    assert played(FrozenGoals(), to_corner)[-2:] == [(14, 0.0, False), (15, 1.0, True)]
    assert played(FrozenGoals(goal=4), to_corner)[-2] == (14, 1.0, True)
    assert played(FrozenGoals(), [UP, LEFT, DOWN, RIGHT]) == [
        (0, 0.0, False), (0, 0.0, False), (4, 0.0, False), (5, 0.0, True),
    ]  # fmt: skip


def test_maps_are_those_of_gymnasium_and_every_goal_is_on_ice():
    for size, name in ((4, "4x4"), (8, "8x8")):
        theirs = MAPS[name]
        ours = [row.replace(".", "F") for row in LAKES[size]]
        assert [row.replace("G", "F") for row in theirs] == ours
        assert len(set(LAKE_GOALS[size])) == 5
        assert all(LAKES[size][row][column] == "." for row, column in LAKE_GOALS[size])


@pytest.mark.parametrize("goal", range(5))
def test_two_rooms_are_the_mdp_of_the_exact_counterpart(goal):
    # The exact gridworld has the same moves, walls and slips: every entry is a count of 1,000 turns. The
    # largest deviation of a share near 0.05 or 0.9 that 4 standard deviations allow is 4 sqrt(0.09 / 1000).
    place = ((0, 4), (0, 6), (4, 4), (4, 6), (2, 6))[goal]
    walls = [(row, 3) for row in range(5) if row != 2]
    exact = gridworld(5, 7, gamma=0.9, goal=place, walls=walls, slip=0.1).dense_transition
    env = TwoRooms(goal=goal)
    assert env.reset(seed=goal)[0] == 14
    for state in (14, 0, 16, 17, 18, 34):
        if state == place[0] * 7 + place[1]:
            continue
        for action in range(4):
            counts = np.zeros(35)
            for _ in range(1000):
                env.cell = state
                found, reward, ended, *_ = env.step(action)
                assert (reward, ended) == (-1.0, found == place[0] * 7 + place[1])
                counts[found] += 1 / 1000
            assert np.abs(counts - exact[state, action]).max() <= 4 * (0.09 / 1000) ** 0.5


def test_the_task_of_a_run_with_one_task_must_be_left_out():
    with pytest.raises(InputError, match=r"^`task` must be left out: the run has one task; found 'goal=1'$"):
        numbered("goal=1", [])
    assert [numbered(task, ["goal=0", "goal=3"]) for task in ("goal=3", "1", "0")] == [1, 1, 0]


def test_a_goal_or_size_that_is_not_there_is_one_line():
    for wrong in (5, -1, 1.0, "0", True):
        with pytest.raises(InputError, match=r"^`goal` must be a whole number from 0 to 4; found "):
            FrozenGoals(goal=wrong)
    with pytest.raises(InputError, match=r"^`size` must be one of 4, 8; found 5$"):
        FrozenGoals(size=5)
    with pytest.raises(InputError, match=r"^`slip` must lie in \[0, 1\]; found 2$"):
        TwoRooms(slip=2)


def test_a_picture_shows_map_goal_and_agent():
    env = make_env(EnvSpec("virel/FrozenGoals-v0", {"goal": 3}), render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
    assert len({tuple(x) for x in picture.reshape(-1, 3)}) == 4  # ice, holes, goal, agent


@pytest.mark.parametrize(
    ("env_id", "argument", "values", "size"),
    [("virel/TwoRooms-v0", "goal", (0, 3), 35), ("virel/ReacherSide-v0", "side", ("left", "right"), 10)],
)
def test_copies_take_the_tasks_in_turn_and_are_restored_bit_for_bit(env_id, argument, values, size):
    specs = [EnvSpec(env_id, {argument: value}, task=(i, 2)) for i, value in enumerate(values)]
    envs, again = (SeedEnvs(specs, 4, np.random.SeedSequence(0)) for _ in range(2))
    assert envs.exact
    assert envs.observation_size == size + 2
    rng = np.random.default_rng(0)

    def action():
        if envs.discrete:
            return np.eye(4, dtype=np.float32)[rng.integers(4, size=4)]
        return rng.uniform(-1, 1, (4, 2)).astype(np.float32)

    for _ in range(60):
        step = envs.step(action())
        np.testing.assert_array_equal(step.next_observation[:, -2:], np.eye(2)[[0, 1, 0, 1]])
    again.restore(envs.state())
    for _ in range(60):
        now = action()
        mine, theirs = envs.step(now), again.step(now)
        assert differing(mine._asdict(), theirs._asdict()) == []
    envs.close()
    again.close()


@pytest.mark.parametrize(("side", "sign"), [("left", -1), ("right", 1)])
def test_targets_of_a_side_lie_there_and_are_told_by_four_entries(side, sign):
    env = make_env(EnvSpec("virel/ReacherSide-v0", {"side": side}))
    seen = np.array([env.reset(seed=seed)[0] for seed in range(20)])
    assert (sign * seen[:, 4] > 0).all()
    target = env.unwrapped.data.body("target").xpos[:2]
    np.testing.assert_allclose(seen[-1, 4:6], target)
    np.testing.assert_allclose(
        seen[-1, 8:], env.unwrapped.data.body("fingertip").xpos[:2] - target, atol=1e-12
    )
    env.close()
