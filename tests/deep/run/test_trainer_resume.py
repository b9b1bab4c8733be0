"""Runs that were stopped or killed continue bit for bit, whatever their new goal."""

import json
import re
from dataclasses import replace

import pytest

from tests.support.deep import (
    assert_same,
    metrics,
    small_run,
    train,
)
from virel_common.errors import InputError
from virel_deep.run import launch
from virel_deep.run.folder import set_steps
from virel_deep.run.launch import train_bundle
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

PENDULUM = "InvertedPendulum-v5"
STEPS = 120
MODEL = {"value.members": 3}
PLAN = {"posterior.particles": 8, "posterior.steps": 3}

pytestmark = pytest.mark.mujoco


@pytest.mark.parametrize(
    ("preset", "until", "settings", "config"),
    [
        ("virel", 70, {}, {}),
        ("beta", 70, {"temperature.batch": 24, "temperature.period": 3, "temperature.smoothing": 0.5}, {}),
        ("beta-twin", 70, {"temperature.scale": "auto"}, {}),
        ("sac", 70, {}, {"precision": "compiled"}),
        ("sac", 70, {}, {"copies": 2}),
        ("sac", 80, {}, {"capacity": 50}),
        ("sac-v", 10, {}, {}),
        ("td3", 71, {}, {}),
        ("sac", 70, {"learning_rate_end": 0.0, "learning_rate_updates": 70, "updates_per_step": 1.5}, {}),
        ("mpo", 71, {"value.steps": 3, "posterior.samples": 4, "target_period": 5, "update_every": 2}, {}),
        ("mpo", 80, {"value.steps": 3, "value.trace": None, "posterior.samples": 4}, {"capacity": 50}),
        ("rerpi", 70, {"posterior.samples": 4, "target_period": 5, "update_every": 3}, {"copies": 2}),
        ("mpo-parametric", 70, {"value.steps": 2, "target_period": 5, "update_every": 3}, {"copies": 2}),
        ("vmpo", 71, {"data.epochs": 2, "target_period": 2}, {}),  # a checkpoint in the middle of a rollout
        ("erpg", 70, {"data.length": 12}, {"copies": 2}),
        ("sac-iterative", 70, {"posterior.samples": 2, "update_every": 5}, {"copies": 2}),
        ("mb-sac", 70, MODEL | {"value.elites": 2, "update_every": 3}, {"copies": 2}),
        ("mb-iadp", 70, MODEL | {"value.horizon": 2, "prior.blind": (1,), "update_every": 3}, {}),
        ("mb-mpo", 70, MODEL | {"posterior.samples": 4, "target_period": 5, "update_every": 3}, {}),
        ("smcp", 71, MODEL | PLAN, {}),
        ("sql", 71, {"posterior.samples": 4, "target_period": 5, "update_every": 3}, {}),
    ],
)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, preset, until, settings, config):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config_ = small_run(run, preset, PENDULUM, steps=STEPS, seeds=(0, 1), settings=settings, **config)
    train(whole, config_)
    train(parts, config_, until=until)
    assert load(parts / "seed-0/checkpoints").step == until
    train(parts, config_, resume=True)
    assert_same(parts, whole, (0, 1))
    assert {row["kind"] for row in metrics(whole / "seed-0")} == {"train", "eval", "episode"}


@pytest.mark.parametrize(
    ("preset", "settings"), [("sac", {}), ("mpo", {}), ("vmpo", {}), ("smcp", MODEL | PLAN)]
)
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint_bit_for_bit(tmp_path, preset, settings):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, preset, PENDULUM, steps=STEPS, seeds=(0, 1), settings=settings)
    train(whole, config)
    train(parts, config, until=77, killed=True)
    assert load(parts / "seed-0/checkpoints").step == 40
    assert metrics(parts / "seed-0")[-1]["step"] > 60  # rows of steps that will come again
    train(parts, config, resume=True)
    assert_same(parts, whole, (0, 1))


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, "sac", PENDULUM, steps=60)
    train(whole, config)
    train(parts, config, until=30, killed=True)
    train(parts, config)
    assert_same(parts, whole, (0,))


def test_a_run_with_a_new_goal_is_the_longer_run(tmp_path):
    longer, extended = tmp_path / "longer", tmp_path / "extended"
    train(longer, small_run(longer, "sac", PENDULUM, steps=STEPS))
    config = small_run(extended, "sac", PENDULUM, steps=80)
    train(extended, config)
    assert (extended / "seed-0/done.json").exists()
    set_steps(extended, STEPS)
    train(extended, replace(config, steps=STEPS), resume=True)
    assert_same(extended, longer, (0,))


def test_a_kill_between_the_last_checkpoint_and_its_record_is_made_good(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=40)
    train(tmp_path, config)
    done = tmp_path / "seed-0/done.json"
    assert json.loads(done.read_text()) == {"step": 40}
    done.unlink()
    train(tmp_path, config, resume=True)
    assert json.loads(done.read_text()) == {"step": 40}


def test_a_seed_at_an_earlier_step_is_trained_after_the_others(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1, 2))
    train(tmp_path, config, (0, 2), until=30)
    train(tmp_path, config, (1,), until=40)
    trainer = Trainer(tmp_path, config, (0, 1, 2), resume=True)
    assert ([run.seed for run in trainer.runs], trainer.step, trainer.behind) == ([1], 40, [[0, 2]])
    trainer.close()
    assert train_bundle(tmp_path, config, [0, 1, 2], True, report=lambda *_: None) == 0
    whole = tmp_path / "whole"
    train(whole, small_run(whole, "sac", PENDULUM, steps=STEPS, seeds=(0, 1, 2)))
    assert_same(tmp_path, whole, (0, 1, 2))


def test_a_seed_that_is_being_trained_is_not_trained_twice(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1))
    trainer = Trainer(tmp_path, config, (0,), resume=False)
    with pytest.raises(InputError, match="seed-0: another process trains this seed"):
        Trainer(tmp_path, config, (0,), resume=False)
    trainer.close()
    train(tmp_path, config, (0,), until=5)


def test_a_later_checkpoint_without_its_manifest_is_named_before_anything_is_trained(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=80)
    train(tmp_path, config)
    folder = tmp_path / "seed-0/checkpoints"
    lost = folder / "step-000000080/manifest.json"
    kept = lost.read_bytes()
    lost.unlink()
    (tmp_path / "seed-0/done.json").unlink()
    log = (tmp_path / "seed-0/metrics.jsonl").read_bytes()
    what = "must hold a manifest.json; put it back, or move the folder away to go on from step 40"
    with pytest.raises(InputError, match=f"^{re.escape(str(lost.parent))}: {what}$"):
        launch.train(tmp_path, jobs=1)
    assert (tmp_path / "seed-0/metrics.jsonl").read_bytes() == log
    lost.write_bytes(kept)
    assert launch.train(tmp_path, jobs=1) == 0
    lost.unlink()
    lost.parent.rename(tmp_path / "away")
    assert launch.train(tmp_path, jobs=1) == 0
    assert load(folder).step == 80


def test_what_a_kill_in_the_last_save_left_is_removed(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=80)
    train(tmp_path, config)
    (tmp_path / "seed-0/done.json").unlink()  # as if killed between the checkpoint and this record
    replay = tmp_path / "seed-0/replay"
    named = sorted(replay.iterdir())
    (replay / f"rows-{0:012d}-{79:012d}-{'a' * 16}.npy").write_bytes(b"unnamed")
    (replay / ".tmp-rows.npy").write_bytes(b"half")
    (tmp_path / "seed-0/checkpoints/.tmp-step-000000080").mkdir()
    (replay / "notes.txt").write_text("mine")
    assert launch.train(tmp_path, jobs=1) == 0
    assert sorted(replay.iterdir()) == sorted([*named, replay / "notes.txt"])
    assert not list((tmp_path / "seed-0/checkpoints").glob(".tmp-*"))
    assert load(tmp_path / "seed-0/checkpoints").step == 80
