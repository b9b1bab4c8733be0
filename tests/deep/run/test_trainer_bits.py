"""A seed's bits depend on nothing but the seed: not on its neighbours, evaluations or clocks."""

import json

import pytest

from tests.support.deep import (
    CLOCKED,
    assert_same,
    differing,
    metrics,
    small_run,
    train,
)
from tests.support.envs import Dice, registered
from virel_deep.storage.checkpoint import load

PENDULUM = "InvertedPendulum-v5"
STEPS = 120

pytestmark = pytest.mark.mujoco


def test_seeds_are_grouped_anew_on_resume_without_a_trace(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, "sac", PENDULUM, steps=STEPS, seeds=(0, 1, 2))
    train(whole, config)
    train(parts, config, until=50)
    train(parts, config, (2,), resume=True, until=90)
    train(parts, config, (1, 0), resume=True, until=90)
    train(parts, config, (1, 2, 0), resume=True)
    assert_same(parts, whole, (0, 1, 2))


def test_a_seed_alone_is_the_same_as_in_a_group(tmp_path):
    together, alone = tmp_path / "together", tmp_path / "alone"
    train(together, small_run(together, "beta-twin", "Hopper-v5", steps=60, seeds=(0, 1, 2)))
    train(alone, small_run(alone, "beta-twin", "Hopper-v5", steps=60, seeds=(1,)))
    assert_same(together, alone, (1,))


def test_clocks_are_the_only_entries_that_two_runs_do_not_share(tmp_path):
    for name in ("one", "two"):
        train(tmp_path / name, small_run(tmp_path / name, "sac", PENDULUM, steps=40))
    lines = [(tmp_path / name / "seed-0/metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    for one, two in zip(*(map(json.loads, of_run) for of_run in lines), strict=True):
        assert {name for name in one if one[name] != two[name]} <= set(CLOCKED)
        assert one["wall"] >= 0
        assert one.get("steps_per_second", 1) > 0


def test_evaluation_leaves_no_trace_in_the_training(tmp_path):
    runs = [tmp_path / name for name in ("often", "seldom")]
    for run, every in zip(runs, (10, 100), strict=True):
        train(run, small_run(run, "sac", PENDULUM, steps=100, eval_every=every, eval_episodes=2))
    often, seldom = (load(run / "seed-0/checkpoints") for run in runs)
    assert differing(often.state, seldom.state) == ["log", "settings"]  # of the evaluations themselves
    last = [[row for row in metrics(run / "seed-0") if row["kind"] == "eval"][-1] for run in runs]
    assert last[0] == last[1]


def test_each_evaluation_of_each_seed_has_episodes_of_its_own(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", registered(Dice), steps=20, seeds=(0, 1), eval_every=10))
    rows = [row for seed in (0, 1) for row in metrics(tmp_path / f"seed-{seed}") if row["kind"] == "eval"]
    assert len({row["return"] for row in rows}) == len(rows) == 4  # of policies that were not updated
