"""Runs with several tasks: exact resume, one environment per task, what is logged, transfer of a prior."""

import json

import numpy as np
import pytest

from tests.support.deep import assert_same, metrics, replay_rows, small_run, train
from virel_common.errors import InputError
from virel_deep.run.policy import load_policy

LAKE = "virel/FrozenGoals-v0"
GOALS = tuple({"id": LAKE, "arguments": {"goal": goal}} for goal in (0, 3))
SIDES = tuple({"id": "virel/ReacherSide-v0", "arguments": {"side": side}} for side in ("left", "right"))
SEEING = {"prior.blind_last": 2}
CASES = [
    ("distral", GOALS, True, {"target_period": 3}),
    ("iadp", GOALS, True, {"value.steps": 2}),
    ("iadp", SIDES, False, {"value.steps": 2, "prior.blind": (4, 5, 8, 9)}),
    ("hdp", GOALS, True, {}),
    ("sac", GOALS, True, {}),
]


def settings_of(preset, settings):
    return settings | (SEEING if preset != "sac" else {})


@pytest.mark.parametrize(("preset", "tasks", "discrete", "settings"), CASES)
def test_a_run_in_several_tasks_that_was_stopped_or_killed_goes_on_bit_for_bit(
    tmp_path, preset, tasks, discrete, settings
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    more = {"settings": settings_of(preset, settings), "discrete": discrete, "tasks": tasks, "copies": 2}
    for run in (whole, parts):
        config = small_run(run, preset, tasks[0]["id"], seeds=(0, 1), steps=90, **more)
    train(whole, config)
    train(parts, config, until=50, killed=True)  # its checkpoint is of step 40
    train(parts, config, (1,), resume=True)  # the seeds are grouped anew
    train(parts, config, (0,), resume=True)
    assert_same(parts, whole, (0, 1))


def test_each_copy_steps_its_own_task_and_says_which_in_its_observations_and_in_the_log(tmp_path):
    config = small_run(tmp_path, "sac", LAKE, discrete=True, tasks=GOALS, copies=4, steps=400, eval_every=200)
    train(tmp_path, config)
    observation, _, following, reward, terminated = replay_rows(tmp_path)
    entry = observation[:, 16:]
    np.testing.assert_array_equal(entry, np.tile(np.eye(2, dtype=np.float32), (200, 1)))
    np.testing.assert_array_equal(following[:, 16:], entry)
    # Goal 0 is the last cell, goal 3 the first of the third row.
    arrived = following[np.arange(400), np.where(entry[:, 0] == 1, 15, 8)] == 1
    np.testing.assert_array_equal(reward[:, 0] == 1, arrived)
    assert terminated[arrived].all()
    rows = metrics(tmp_path / "seed-0")
    episodes = [row for row in rows if row["kind"] == "episode"]
    assert {row["task"] for row in episodes} == {"goal=0", "goal=3"}
    assert sum(row["return"] for row in episodes if row["task"] == "goal=3") == reward[entry[:, 1] == 1].sum()
    for row in rows:
        if row["kind"] == "eval":
            assert list(row["tasks"]) == ["goal=0", "goal=3"]
            assert row["return"] == np.mean([*row["tasks"].values()])
            assert len(row["returns"]) == 2


def test_a_policy_acts_in_the_task_that_is_asked_for(tmp_path):
    train(tmp_path, small_run(tmp_path, "distral", LAKE, discrete=True, tasks=GOALS, copies=2, steps=40))
    assert load_policy(tmp_path, 0).env.arguments == {"goal": 0}
    for name in ("goal=3", "1"):
        policy = load_policy(tmp_path, 0, task=name)
        assert (policy.env.arguments, policy.env.task) == ({"goal": 3}, (1, 2))
    assert policy.act(np.eye(18, dtype=np.float32)).sum(1).tolist() == [1] * 18
    with pytest.raises(InputError, match="`task` must be one of goal=0, goal=3; found '2'"):
        load_policy(tmp_path, 0, task="2")


def test_the_log_of_a_run_in_one_task_is_as_it_was(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", LAKE, discrete=True, steps=60))
    rows = metrics(tmp_path / "seed-0")
    assert not any({"task", "tasks"} & row.keys() for row in rows)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["tasks"] == []
