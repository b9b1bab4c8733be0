"""Training with a learned model: rows that are held out, a model that diverges, plans in evaluations."""

import json

import numpy as np
import pytest

from tests.support.deep import assert_same, metrics, small_run, train
from virel_deep.run.policy import load_policy
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

PENDULUM, STEPS = "InvertedPendulum-v5", 60
MODEL = {"value.members": 2, "value.horizon": 2}
PLAN = {"value.members": 2, "posterior.particles": 8, "posterior.steps": 3}

pytestmark = pytest.mark.mujoco


def test_a_model_that_diverges_stops_its_seed_and_leaves_the_others_alone(tmp_path):
    both, alone = tmp_path / "both", tmp_path / "alone"
    config = small_run(both, "mb-sac", PENDULUM, steps=STEPS, seeds=(0, 1), settings=MODEL)
    trainer = Trainer(both, config, (0, 1), resume=False)
    try:
        while not trainer.done:
            trainer.advance(lambda *_: None)
            if trainer.step == 30:
                model = trainer.agent.networks["model"]
                model.seed_blocks(model.flat, 1)["0.weight"].fill_(np.nan)
    finally:
        trainer.close()
    assert trainer.failed == [1]
    failure = json.loads((both / "seed-1/failure.json").read_text())
    assert failure["what"] == "diverged"
    assert "model_loss" in failure["detail"]
    assert failure["step"] == 32  # of the update with the bad model, the next action
    train(alone, small_run(alone, "mb-sac", PENDULUM, steps=STEPS, seeds=(0,), settings=MODEL))
    assert_same(both, alone, (0,))


def test_every_fifth_row_of_each_copy_is_held_out_in_the_replay(tmp_path):
    train(tmp_path, small_run(tmp_path, "mb-sac", PENDULUM, steps=STEPS, settings=MODEL, copies=2))
    rows = load(tmp_path / "seed-0/checkpoints").rows.data
    one, two = rows[:, -1].reshape(-1, 2).T.tolist()
    assert one == [0, 0, 0, 0, 1] * (len(one) // 5)
    assert two == [0, 0, 0, 1, 0] * (len(two) // 5)


def test_plans_of_an_evaluation_can_be_repeated_and_are_logged(tmp_path):
    train(tmp_path, small_run(tmp_path, "smcp", PENDULUM, steps=STEPS, settings=PLAN, eval_every=20))
    rows = metrics(tmp_path / "seed-0")
    [last] = [row for row in rows if row["kind"] == "train"][-1:]
    assert 1 <= last["plan_effective"] <= 8
    assert 0 <= last["resamplings"] <= 2
    assert last["model_loss"] is not None
    assert last["holdout_error"] > 0
    observation = np.zeros((3, 4), np.float32)
    one, two = (load_policy(tmp_path, 0).act(observation) for _ in range(2))
    assert np.array_equal(one, two)
