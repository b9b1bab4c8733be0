"""A seed that fails is removed and recorded; the others keep their bits."""

import json

import pytest

from tests.support.deep import (
    algorithm_of,
    assert_same,
    metrics,
    quiet,
    small_run,
    train,
)
from tests.support.envs import Dice, Script, registered
from virel_deep.run.trainer import Trainer
from virel_deep.run.training.failures import SeedFailure, check_report
from virel_deep.storage.checkpoint import load

PENDULUM = "InvertedPendulum-v5"
STEPS = 120

pytestmark = pytest.mark.mujoco


def poison(trainer, k, network):
    net = trainer.agent.networks[network]
    net.seed_blocks(net.flat, k)["0.weight"].fill_(float("nan"))


@pytest.mark.parametrize(
    ("network", "after", "at", "detail"),
    [
        ("policy", 45, 46, "the policy's action is not finite at step 46: [[nan]]"),
        ("critic", 59, 60, "values are not finite at step 60: {'eps_omega': nan"),
    ],
)
def test_a_seed_that_diverges_stops_and_the_others_keep_their_bits(tmp_path, network, after, at, detail):
    poisoned, sound = tmp_path / "poisoned", tmp_path / "sound"
    config = small_run(poisoned, "virel", PENDULUM, steps=80, seeds=(0, 1, 2))
    train(sound, small_run(sound, "virel", PENDULUM, steps=80, seeds=(0, 2)))
    trainer = Trainer(poisoned, config, config.seeds, resume=False)
    while not trainer.done:
        if trainer.step == after:
            poison(trainer, 1, network)
        trainer.advance(quiet)
    trainer.close()
    assert_same(poisoned, sound, (0, 2))
    failure = json.loads((poisoned / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (at, "diverged")
    assert failure["detail"].startswith(detail)
    assert load(poisoned / "seed-1/checkpoints").step == 40
    assert metrics(poisoned / "seed-1")[-1]["kind"] == "event"
    for seed in (0, 2):
        assert not (poisoned / f"seed-{seed}/failure.json").exists()
        assert (poisoned / f"seed-{seed}/done.json").exists()
    assert not (poisoned / "seed-1/done.json").exists()


def test_a_seed_that_failed_is_tried_again_from_its_checkpoint_and_its_failure_forgotten(tmp_path):
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    config = small_run(broken, "sac", PENDULUM, steps=80)
    train(sound, small_run(sound, "sac", PENDULUM, steps=80))
    trainer = Trainer(broken, config, (0,), resume=False)
    while not trainer.done:
        if trainer.step == 45:
            poison(trainer, 0, "policy")
        trainer.advance(quiet)
    trainer.close()
    assert (trainer.runs, trainer.failed) == ([], [0])
    assert (broken / "seed-0/failure.json").exists()
    train(broken, config, resume=True)
    assert not (broken / "seed-0/failure.json").exists()
    assert_same(broken, sound, (0,))


def test_a_policy_that_fails_in_an_evaluation_stops_its_seed_only(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=60, seeds=(0, 1), eval_every=30, log_every=60)
    trainer = Trainer(tmp_path, config, config.seeds, resume=False)
    while not trainer.done:
        update = trainer.learning.compute
        if trainer.step == 29:
            trainer.learning.compute = lambda update=update: (update(), poison(trainer, 1, "policy"))
        trainer.advance(quiet)
    trainer.close()
    failure = json.loads((tmp_path / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (30, "diverged")
    assert failure["detail"].startswith("evaluation at step 30: the policy's action must be in [-1, 1]")
    assert (tmp_path / "seed-0/done.json").exists()


class Fragile(Dice):
    """The environments of `doomed` (counted as they are made) crash in their 30th step."""

    made, doomed = 0, ()

    def __init__(self):
        super().__init__()
        self.number, self.steps = Fragile.made, 0
        Fragile.made += 1

    def step(self, action):
        self.steps += 1
        if self.number in Fragile.doomed and self.steps == 30:
            raise RuntimeError("the cable\nis loose")
        return super().step(action)


def test_a_crashing_environment_stops_its_seed_and_the_others_keep_their_bits(tmp_path, monkeypatch):
    crashed, sound = tmp_path / "crashed", tmp_path / "sound"
    env = registered(Fragile)
    train(sound, small_run(sound, "beta", env, steps=60, seeds=(0, 2)))
    monkeypatch.setattr(Fragile, "made", 0)
    monkeypatch.setattr(Fragile, "doomed", {1})  # the second one made is seed 1's
    train(crashed, small_run(crashed, "beta", env, steps=60, seeds=(0, 1, 2)))
    assert_same(crashed, sound, (0, 2))
    failure = json.loads((crashed / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (30, "environment")
    assert failure["detail"] == f"{env}, step 30: its step() raised RuntimeError: the cable is loose"


def test_an_exploding_critic_is_told_from_one_where_rewards_are_rare(tmp_path):
    env = registered(Script, length=7, reward=0.0)
    config = small_run(tmp_path, "virel", env, steps=60, seeds=(0, 1))
    trainer = Trainer(tmp_path, config, config.seeds, resume=False)
    while not trainer.done:
        if trainer.step == 41:
            trainer.agent.critic.seed_blocks(trainer.agent.critic.flat, 1)["2.bias"].fill_(1e6)
        trainer.advance(quiet)
    trainer.close()
    assert not (tmp_path / "seed-0/failure.json").exists()
    failure = json.loads((tmp_path / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (60, "diverged")
    assert failure["detail"].startswith("mean Q is ")


def test_values_that_the_entropy_of_uniform_actions_explains_are_no_divergence():
    # Rewards 0, six actions, alpha = 30: the optimal soft Q is gamma alpha 6 log 2 / (1 - gamma) = 12,352
    algorithm = algorithm_of("sql", gamma=0.99)
    report = {"q": 12_352.0, "entropy": 0.0, "temperature": 30.0}
    check_report(report, 1000, algorithm, 0.0, n_action=6)
    with pytest.raises(SeedFailure, match="what rewards allow"):
        check_report(report | {"temperature": 0.01}, 1000, algorithm, 0.0, n_action=6)
